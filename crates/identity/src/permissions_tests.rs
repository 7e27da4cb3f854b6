use proptest::prelude::*;

use super::*;

const HEAD: &str = "# Permissions\n\n\
    What a new installation lets each role do: `x` what the role holds by itself, `i` what it \
    inherits. Whoever holds `role.administer` edits it; `salus permissions` prints it as it is. \
    The page is generated from `crates/identity/src/permissions.rs`; a test fails when the two \
    drift apart.\n\n";

fn permissions(of: &[Permission]) -> BTreeSet<Permission> {
    of.iter().copied().collect()
}

fn codes(result: Result<Matrix>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(IdentityError::Invalid(fields)) => fields.into_iter().map(|f| f.code).collect(),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_permission_is_held_by_some_role_and_rank_never_gives_clinical_work() {
    let matrix = Matrix::initial();
    let all = matrix.permissions_of(&Role::ALL.iter().copied().collect());
    assert_eq!(all, Permission::iter().collect());
    let highest = matrix.effective(Role::SuperAdmin);
    assert!(CLINICAL.iter().all(|clinical| !highest.contains(clinical)));
    assert!(highest.is_superset(&matrix.effective(Role::Support)));
    assert!(Role::ALL.iter().copied().all(|role| matrix.faults(role).is_empty()));
}

#[test]
fn what_is_given_to_a_role_reaches_those_that_inherit_from_it() {
    let mut own = Matrix::initial().grant(Role::Support).own;
    own.insert(Permission::AnalyticsRead);
    let edited = Matrix::initial().edit(Role::Support, own, BTreeSet::new()).unwrap();
    assert!(edited.effective(Role::Support).contains(&Permission::AnalyticsRead));
    assert_eq!(edited.grant(Role::Support).version, 2);
    let without = Matrix::initial().grant(Role::Admin).own;
    let without = without.into_iter().filter(|p| *p != Permission::AnalyticsRead).collect();
    let edited = edited.edit(Role::Admin, without, BTreeSet::from([Role::Support])).unwrap();
    assert!(edited.effective(Role::SuperAdmin).contains(&Permission::AnalyticsRead));
}

#[test]
fn what_would_break_the_house_is_refused_by_name() {
    let matrix = Matrix::initial();
    let edit = |role: Role, own: &[Permission], inherits: &[Role]| {
        codes(matrix.edit(role, permissions(own), inherits.iter().copied().collect()))
    };
    assert_eq!(edit(Role::Support, &[], &[Role::SuperAdmin]), ["cycle"]);
    assert_eq!(edit(Role::Support, &[], &[Role::Support]), ["cycle"]);
    assert_eq!(edit(Role::Patient, &[Permission::AuditRead], &[]), ["not_of_a_patient"]);
    assert_eq!(edit(Role::Patient, &[], &[Role::Auditor]), ["patient"]);
    assert_eq!(edit(Role::Auditor, &[], &[Role::Patient]), ["patient"]);
    assert_eq!(edit(Role::Pharmacist, &[Permission::PrescriptionWrite], &[]), ["clinical"]);
    // Support, admin and super admin would all hold it.
    assert_eq!(edit(Role::Support, &[Permission::ReviewWork], &[]), ["clinical"; 3]);
    assert_eq!(edit(Role::SuperAdmin, &[], &[Role::Admin]), ["lock_out"]);
}

#[test]
fn the_page_of_permissions_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
    let page = format!("{HEAD}{}", Matrix::initial().to_markdown());
    if std::env::var_os("SALUS_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == page, "run the tests with SALUS_WRITE_DOCS=1 to write docs/permissions.md");
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL.to_vec())
}

proptest! {
    /// However it is edited, no accepted matrix breaks what the house stands
    /// on, and reading it always ends.
    #[test]
    fn edits_keep_the_invariants(edits in prop::collection::vec((
        any_role(),
        prop::collection::btree_set(prop::sample::select(Permission::iter().collect::<Vec<_>>()), 0..6),
        prop::collection::btree_set(any_role(), 0..3),
    ), 1..12)) {
        let mut matrix = Matrix::initial();
        for (role, own, inherits) in edits {
            if let Ok(edited) = matrix.edit(role, own, inherits) {
                matrix = edited;
            }
            prop_assert!(matrix.effective(Role::SuperAdmin).contains(&Permission::RoleAdminister));
            for role in Role::ALL.iter().copied().filter(|role| *role != Role::Provider) {
                prop_assert!(CLINICAL.iter().all(|held| !matrix.effective(role).contains(held)));
                let circular = ancestors(&matrix.grants, role).into_iter().any(|parent| {
                    parent != role && ancestors(&matrix.grants, parent).contains(&role)
                });
                prop_assert!(!circular, "{role}");
            }
            prop_assert!(matrix.effective(Role::Patient).is_subset(&permissions(own_of_a_patient())));
        }
    }
}

fn own_of_a_patient() -> &'static [Permission] {
    own(Role::Patient)
}
