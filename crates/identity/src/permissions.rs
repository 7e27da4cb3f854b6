//! Which role holds which permission. The database decides at run time, and
//! whoever may edits it; what it starts with stands here, and the migrations and
//! `docs/permissions.md` are held to it by tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use kernel::{FieldError, Permission, Role};
use strum::IntoEnumIterator as _;

use crate::{IdentityError, error::Result};

/// What a role holds by itself and whose permissions it holds as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleGrant {
    pub own: BTreeSet<Permission>,
    pub inherits: BTreeSet<Role>,
    /// Grows with every change.
    pub version: i64,
}

/// Every role's grant, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    grants: BTreeMap<Role, RoleGrant>,
    effective: BTreeMap<Role, BTreeSet<Permission>>,
}

/// Work that hangs on a license and not on rank: only a provider holds it.
const CLINICAL: [Permission; 5] = [
    Permission::ReviewWork,
    Permission::TreatmentWrite,
    Permission::PrescriptionWrite,
    Permission::ConsultationConduct,
    Permission::BreakGlass,
];

impl Matrix {
    pub fn new(grants: BTreeMap<Role, RoleGrant>) -> Self {
        let effective =
            Role::ALL.iter().copied().map(|role| (role, effective(&grants, role))).collect();
        Self { grants, effective }
    }

    /// What a new database starts with.
    pub fn initial() -> Self {
        let grant = |role| {
            let own = own(role).iter().copied().collect();
            let inherits = inherits(role).iter().copied().collect();
            (role, RoleGrant { own, inherits, version: 1 })
        };
        Self::new(Role::ALL.iter().copied().map(grant).collect())
    }

    /// What somebody with these roles may do.
    pub fn permissions_of(&self, roles: &BTreeSet<Role>) -> BTreeSet<Permission> {
        roles.iter().filter_map(|role| self.effective.get(role)).flatten().copied().collect()
    }

    pub fn grant(&self, role: Role) -> RoleGrant {
        self.grants.get(&role).cloned().unwrap_or_default()
    }

    /// What a role holds, its own and inherited.
    pub fn effective(&self, role: Role) -> BTreeSet<Permission> {
        self.effective.get(&role).cloned().unwrap_or_default()
    }

    /// The matrix with another grant for a role, unless that would break what
    /// the house stands on.
    pub fn edit(
        &self,
        role: Role,
        own: BTreeSet<Permission>,
        inherits: BTreeSet<Role>,
    ) -> Result<Self> {
        let mut grants = self.grants.clone();
        let version = self.grant(role).version + 1;
        grants.insert(role, RoleGrant { own, inherits, version });
        let edited = Self::new(grants);
        let errors = edited.faults(role);
        if errors.is_empty() { Ok(edited) } else { Err(IdentityError::Invalid(errors)) }
    }

    fn faults(&self, changed: Role) -> Vec<FieldError> {
        let grant = self.grant(changed);
        let mut errors = Vec::new();
        let mut fault = |path: &str, code: &str, message: String| {
            errors.push(FieldError::new(path, code, message));
        };
        if grant.inherits.iter().any(|parent| ancestors(&self.grants, *parent).contains(&changed)) {
            fault("inherits", "cycle", format!("The role {changed} would inherit from itself."));
        }
        // The rows that a patient's session reaches are the patient's own, and
        // a permission over others' would promise what it cannot hold. What a
        // patient inherited could grow later, so there is nothing to inherit.
        if changed == Role::Patient {
            let allowed: BTreeSet<_> = self::own(Role::Patient).iter().copied().collect();
            for permission in grant.own.difference(&allowed) {
                fault(
                    "permissions",
                    "not_of_a_patient",
                    format!("{permission} is not for patients: they reach their own data alone."),
                );
            }
            if !grant.inherits.is_empty() {
                fault("inherits", "patient", "Patients inherit from nobody.".to_owned());
            }
        } else if grant.inherits.contains(&Role::Patient) {
            fault("inherits", "patient", "Nobody inherits from patients.".to_owned());
        }
        for role in Role::ALL.iter().copied().filter(|role| *role != Role::Provider) {
            for permission in self.effective(role).iter().filter(|held| CLINICAL.contains(held)) {
                let message = format!("{role} would hold {permission}, which takes a license.");
                fault("permissions", "clinical", message);
            }
        }
        // Without anybody who may edit the matrix it could never be mended.
        if !self.effective(Role::SuperAdmin).contains(&Permission::RoleAdminister) {
            let message = "super_admin keeps role.administer, or nobody could mend the matrix.";
            fault("permissions", "lock_out", message.to_owned());
        }
        errors
    }

    /// The matrix as a Markdown table: `x` for what a role holds by itself, `i`
    /// for what it inherits.
    pub fn to_markdown(&self) -> String {
        let mut page = String::from("| permission | what it allows |");
        for role in Role::ALL {
            let _ = write!(page, " {role} |");
        }
        page.push_str("\n|---|---|");
        for _ in Role::ALL {
            page.push_str(":-:|");
        }
        page.push('\n');
        for permission in Permission::iter() {
            let _ = write!(page, "| `{permission}` | {} |", permission.description());
            for role in Role::ALL.iter().copied() {
                let own = self.grant(role).own.contains(&permission);
                let held = self.effective(role).contains(&permission);
                page.push_str(match (own, held) {
                    (true, _) => " x |",
                    (false, true) => " i |",
                    (false, false) => "   |",
                });
            }
            page.push('\n');
        }
        page
    }
}

/// The roles whose permissions a role holds as well. Clinical work is never
/// inherited: it hangs on a license, not on rank.
fn inherits(role: Role) -> &'static [Role] {
    match role {
        Role::Admin => &[Role::Support],
        Role::SuperAdmin => &[Role::Admin, Role::Auditor],
        _ => &[],
    }
}

/// A role and all that it inherits from, however far.
fn ancestors(grants: &BTreeMap<Role, RoleGrant>, role: Role) -> BTreeSet<Role> {
    let mut found = BTreeSet::new();
    let mut open = vec![role];
    while let Some(role) = open.pop() {
        if found.insert(role)
            && let Some(grant) = grants.get(&role)
        {
            open.extend(&grant.inherits);
        }
    }
    found
}

fn effective(grants: &BTreeMap<Role, RoleGrant>, role: Role) -> BTreeSet<Permission> {
    let holders = ancestors(grants, role);
    holders
        .iter()
        .filter_map(|role| grants.get(role))
        .flat_map(|grant| &grant.own)
        .copied()
        .collect()
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
            BreakGlass,
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
        Role::Auditor => &[ProfileOwn, AuditRead, AuditExport, BreakGlassReview, NotificationOwn],
        Role::Admin => &[
            AccountAdminister,
            ClientAdminister,
            CatalogAdminister,
            FormAdminister,
            RuleAdminister,
            BillingAdminister,
            PharmacyAdminister,
            AnalyticsRead,
            AuditRead,
            AuditExport,
            NoticeWork,
        ],
        Role::SuperAdmin => &[PatientReadAny, RoleAdminister, SystemAdminister],
    }
}

#[cfg(test)]
#[path = "permissions_tests.rs"]
mod tests;
