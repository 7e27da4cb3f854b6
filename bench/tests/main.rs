//! The benchmarks run. How long anything takes is not looked at: that is what
//! they are run for by hand, on a machine that does nothing else.

use std::{path::Path, process::Command};

#[test]
fn intake_measures_and_leaves_nothing_behind() {
    // The cluster's own user has to reach it.
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix("salus-smoke-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_salus-bench"))
        .args(["intake", "--seconds", "1", "--clients", "1,2", "--growth-clients", "2"])
        .args(["--baseline", "40", "--responses", "300", "--rounds", "1", "--statements"])
        .arg("--folder")
        .arg(folder.path())
        .output()
        .expect("running the benchmark");
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    // Everything was measured once it says so; whether it was fast enough is
    // in the exit code.
    assert!(said.contains("300 responses in the table instead of 40"), "{said}{failed}");
    assert!(said.contains("a clinic with 300 responses"), "{said}{failed}");
    let left = entries(folder.path());
    assert!(left.is_empty(), "{left:?}");
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
