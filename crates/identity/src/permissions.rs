//! Which role holds which permission. The database decides at run time; what
//! it starts with stands here, and the migration and `docs/permissions.md` are
//! held to it by tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use kernel::{Permission, Role};
use strum::IntoEnumIterator as _;

/// Roles with their permissions, inherited ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix(BTreeMap<Role, BTreeSet<Permission>>);

impl Matrix {
    pub fn from_pairs(pairs: impl IntoIterator<Item = (Role, Permission)>) -> Self {
        let mut matrix = Self::default();
        for (role, permission) in pairs {
            matrix.0.entry(role).or_default().insert(permission);
        }
        matrix
    }

    /// What a new database starts with.
    pub fn initial() -> Self {
        Self(Role::iter().map(|role| (role, with_inherited(role))).collect())
    }

    /// What somebody with these roles may do.
    pub fn permissions_of(&self, roles: &BTreeSet<Role>) -> BTreeSet<Permission> {
        roles.iter().filter_map(|role| self.0.get(role)).flatten().copied().collect()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (Role, Permission)> {
        self.0.iter().flat_map(|(role, held)| held.iter().map(|permission| (*role, *permission)))
    }

    /// The matrix as a Markdown page.
    pub fn to_markdown(&self) -> String {
        let mut page = String::from(
            "# Permissions\n\n\
             What a new installation lets each role do. The page is generated from \
             `crates/identity/src/permissions.rs`; a test fails when the two drift apart.\n\n\
             | permission | what it allows |",
        );
        for role in Role::iter() {
            let _ = write!(page, " {role} |");
        }
        page.push_str("\n|---|---|");
        for _ in Role::iter() {
            page.push_str(":-:|");
        }
        page.push('\n');
        for permission in Permission::iter() {
            let _ = write!(page, "| `{permission}` | {} |", permission.description());
            for role in Role::iter() {
                let held = self.0.get(&role).is_some_and(|held| held.contains(&permission));
                page.push_str(if held { " x |" } else { "   |" });
            }
            page.push('\n');
        }
        page
    }
}

/// The roles whose permissions a role holds as well. Clinical work is never
/// inherited: it hangs on a licence, not on rank.
fn inherits(role: Role) -> &'static [Role] {
    match role {
        Role::Admin => &[Role::Support],
        Role::SuperAdmin => &[Role::Admin, Role::Auditor],
        _ => &[],
    }
}

fn with_inherited(role: Role) -> BTreeSet<Permission> {
    let mut held: BTreeSet<Permission> = own(role).iter().copied().collect();
    for other in inherits(role) {
        held.extend(with_inherited(*other));
    }
    held
}

fn own(role: Role) -> &'static [Permission] {
    use Permission::*;
    match role {
        Role::Patient => &[
            ProfileOwn,
            IntakeSubmit,
            ConsultationOwn,
            ShipmentOwn,
            SubscribeOwn,
            BillingOwn,
            MessageOwn,
            NotificationOwn,
        ],
        Role::Provider => &[
            ProfileOwn,
            PatientRead,
            IntakeReadAny,
            ReviewWork,
            TreatmentWrite,
            TaskWork,
            ConsultationConduct,
            PrescriptionWrite,
            PrescriptionRead,
            MessageOwn,
            NotificationOwn,
        ],
        Role::Pharmacist => &[ProfileOwn, PrescriptionRead, PharmacyWork, NotificationOwn],
        Role::Support => &[ProfileOwn, SubscriptionReadAny, BillingReadAny, NotificationOwn],
        Role::Auditor => &[ProfileOwn, AuditRead, AuditExport, NotificationOwn],
        Role::Admin => &[
            AccountAdminister,
            ClientAdminister,
            CatalogAdminister,
            FormAdminister,
            RuleAdminister,
            BillingAdminister,
            AnalyticsRead,
            AuditRead,
            AuditExport,
        ],
        Role::SuperAdmin => &[PatientReadAny, RoleAdminister, SystemAdminister],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATION: &str = include_str!("../../../migrations/sql/010_identity.up.sql");

    #[test]
    fn every_permission_is_held_by_some_role_and_rank_never_gives_clinical_work() {
        let matrix = Matrix::initial();
        let all = matrix.permissions_of(&Role::iter().collect());
        assert_eq!(all, Permission::iter().collect());
        let highest = matrix.permissions_of(&BTreeSet::from([Role::SuperAdmin]));
        for clinical in
            [Permission::ReviewWork, Permission::PrescriptionWrite, Permission::TreatmentWrite]
        {
            assert!(!highest.contains(&clinical), "{clinical}");
        }
        assert!(highest.is_superset(&matrix.permissions_of(&BTreeSet::from([Role::Support]))));
    }

    #[test]
    fn the_migration_seeds_this_matrix() {
        let seeded = MIGRATION
            .lines()
            .filter_map(|line| line.trim().strip_prefix("('")?.split_once("', '"))
            .filter_map(|(role, rest)| {
                let permission = rest.split('\'').next()?;
                Some((role.parse().ok()?, permission.parse().ok()?))
            });
        assert_eq!(Matrix::from_pairs(seeded), Matrix::initial());
    }

    #[test]
    fn the_page_of_permissions_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
        let page = Matrix::initial().to_markdown();
        if std::env::var_os("SALUS_WRITE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(
            written == page,
            "run the tests with SALUS_WRITE_DOCS=1 to write docs/permissions.md"
        );
    }
}
