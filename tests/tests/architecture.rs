//! The house's plan, held against the crates as Cargo sees them and against
//! the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const CONTEXTS: [&str; 12] = [
    "salus-identity",
    "salus-catalog",
    "salus-intake",
    "salus-care",
    "salus-pharmacy",
    "salus-subscriptions",
    "salus-billing",
    "salus-communication",
    "salus-records",
    "salus-analytics",
    "salus-compliance",
    "salus-kernel",
];

/// What no context may know: frameworks, databases, HTTP and vendors.
const FOREIGN: [&str; 16] = [
    "poem",
    "poem-openapi",
    "sea-orm",
    "sea-orm-migration",
    "sqlx",
    "reqwest",
    "hyper",
    "async-stripe",
    "async-stripe-billing",
    "async-stripe-core",
    "async-stripe-payment",
    "fhir-sdk",
    "lettre",
    "object_store",
    "typst",
    "tokio",
];

const VENDOR_WORDS: [&str; 7] =
    ["stripe", "opentok", "infermedica", "easypost", "twilio", "vonage", "seaorm"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata")
}

/// The direct dependencies of each crate of the workspace, without those for
/// tests alone.
fn dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .packages
        .iter()
        .map(|package| {
            let names = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                // The kernel describes ids and words to those adapters that ask for it.
                .filter(|dependency| !dependency.optional)
                .map(|dependency| dependency.name.clone())
                .collect();
            (package.name.to_string(), names)
        })
        .collect()
}

fn ours(names: &BTreeSet<String>) -> BTreeSet<&str> {
    names.iter().map(String::as_str).filter(|name| name.starts_with("salus")).collect()
}

#[test]
fn a_context_depends_on_the_kernel_and_the_ports_alone() {
    let metadata = metadata();
    let dependencies = dependencies(&metadata);
    for context in CONTEXTS {
        let own = &dependencies[context];
        let allowed: BTreeSet<&str> = match context {
            "salus-kernel" => ["salus-macros"].into(),
            _ => ["salus-kernel", "salus-ports"].into(),
        };
        let surplus: Vec<_> = ours(own).difference(&allowed).copied().collect();
        assert!(surplus.is_empty(), "{context} depends on {surplus:?}");
        let foreign: Vec<_> = FOREIGN.iter().filter(|name| own.contains(**name)).collect();
        assert!(foreign.is_empty(), "{context} knows {foreign:?}");
    }
    assert_eq!(ours(&dependencies["salus-ports"]), ["salus-kernel", "salus-macros"].into());
    assert_eq!(ours(&dependencies["salus-macros"]), BTreeSet::new());
    // Without the features of the kernel a context is compiled without a framework.
    for package in &metadata.packages {
        let context = CONTEXTS.contains(&package.name.as_str());
        let kernel = package.dependencies.iter().find(|own| own.name == "salus-kernel");
        let features = kernel.map(|kernel| kernel.features.clone()).unwrap_or_default();
        assert!(!context || features.is_empty(), "{} asks for {features:?}", package.name);
    }
    assert_eq!(ours(&dependencies["salus-jobs"]), ["salus-ports"].into());
}

#[test]
fn adapters_do_not_know_each_other() {
    let metadata = metadata();
    let dependencies = dependencies(&metadata);
    let adapters: BTreeSet<&str> = metadata
        .packages
        .iter()
        .filter(|package| package.manifest_path.as_str().contains("/adapters/"))
        .map(|package| package.name.as_str())
        .collect();
    assert!(adapters.len() > 10, "{adapters:?}");
    for adapter in &adapters {
        let own = ours(&dependencies[*adapter]);
        let known: Vec<_> =
            own.intersection(&adapters).filter(|known| !may_know(adapter, known)).collect();
        assert!(known.is_empty(), "{adapter} depends on {known:?}");
    }
    // An emulator that shared a type with its adapter would share its mistakes.
    assert_eq!(ours(&dependencies["salus-emulators"]), BTreeSet::new());
}

/// An adapter that is a crate for each context is a family: every slice knows its core, and
/// the whole knows its slices.
fn may_know(adapter: &str, known: &str) -> bool {
    ["salus-postgres", "salus-rest"].iter().any(|family| {
        let slice =
            |name: &str| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('-'));
        let core = format!("{family}-core");
        (adapter == *family && slice(known)) || (slice(adapter) && adapter != core && known == core)
    }) || FAMILIAR.contains(&(adapter, known))
}

/// A license is held for the transaction that relies on it, and its rows are identity's.
const FAMILIAR: [(&str, &str); 1] = [("salus-postgres-care", "salus-postgres-identity")];

#[test]
fn every_crate_of_the_workspace_has_its_place_in_this_test() {
    let metadata = metadata();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let path = package.manifest_path.as_str();
        let placed = CONTEXTS.contains(&name)
            || [
                "salus",
                "salus-macros",
                "salus-ports",
                "salus-migrations",
                "salus-bench",
                "salus-tests",
                "salus-seeds",
                "salus-walk",
                "salus-emulators",
            ]
            .contains(&name)
            || path.contains("/adapters/");
        assert!(placed, "{name} at {path} is neither a context, a port, an adapter nor the binary");
    }
}

#[test]
fn no_context_names_a_vendor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in fs::read_dir(root.join("crates")).expect("the crates").flatten() {
        if ["salus", "macros"].map(Into::into).contains(&folder.file_name()) {
            continue;
        }
        for file in sources(&folder.path().join("src")) {
            let text = fs::read_to_string(&file).expect("a source file").to_lowercase();
            for word in VENDOR_WORDS.iter().filter(|word| text.contains(**word)) {
                found.push(format!("{}: {word}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn files_stay_about_one_thing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut long = Vec::new();
    for folder in ["crates", "ports", "adapters", "migrations", "demo", "bench", "tests"] {
        for file in sources(&root.join(folder)) {
            let lines = fs::read_to_string(&file).expect("a source file").lines().count();
            if lines > 800 {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "split by meaning: {long:#?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
