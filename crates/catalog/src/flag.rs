//! Feature flags: what is rolled out to whom. A flag is on for an account that
//! it names, and for a share of those in its cohorts. Which accounts the share
//! holds is fixed by the flag's key, so that a larger share only adds some.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{
    AccountId, CategoryId, FeatureCode, FeatureFlagId, FieldError, PlanId, Role, TextKind as _,
    UsState, text::FlagDescription,
};
use ports::Aggregate;
use sha2::{Digest as _, Sha256};

use crate::{CatalogError, Tier};

/// What is known of an account when a flag is evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where a patient lives.
    pub state: Option<UsState>,
    /// The plans of the subscriptions in force.
    pub plans: BTreeSet<PlanId>,
    /// The categories of the subscriptions in force.
    pub categories: BTreeSet<CategoryId>,
    /// The tier of each of these subscriptions, as it was bought.
    pub tiers: BTreeMap<CategoryId, Tier>,
}

/// Whom a flag is evaluated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub account: AccountId,
    pub roles: BTreeSet<Role>,
    pub standing: Standing,
}

/// A group of accounts. Whoever belongs to it meets every condition that it
/// names; a condition that names nothing is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    pub states: BTreeSet<UsState>,
    pub plans: BTreeSet<PlanId>,
    pub categories: BTreeSet<CategoryId>,
    pub roles: BTreeSet<Role>,
}

impl Cohort {
    fn holds(&self, subject: &Subject) -> bool {
        let standing = &subject.standing;
        (self.states.is_empty() || standing.state.is_some_and(|state| self.states.contains(&state)))
            && (self.plans.is_empty() || !self.plans.is_disjoint(&standing.plans))
            && (self.categories.is_empty() || !self.categories.is_disjoint(&standing.categories))
            && (self.roles.is_empty() || !self.roles.is_disjoint(&subject.roles))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn reads_standing(&self) -> bool {
        !(self.states.is_empty() && self.plans.is_empty() && self.categories.is_empty())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("feature_flag")]
pub struct FeatureFlag {
    pub id: FeatureFlagId,
    /// What programs ask for. It never changes, because the share of accounts
    /// follows from it.
    pub key: FeatureCode,
    pub description: String,
    /// A flag that is not enabled is on for nobody.
    pub enabled: bool,
    /// From 0 to 100: how many of the accounts in the cohorts it is on for.
    pub percentage: u8,
    /// Without one the percentage is of all accounts.
    pub cohorts: Vec<Cohort>,
    /// Accounts that it is on for whatever their cohort and the percentage.
    pub accounts: BTreeSet<AccountId>,
    pub version: i64,
}

/// What an administrator says of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagSpec {
    pub key: FeatureCode,
    pub description: String,
    pub enabled: bool,
    pub percentage: u8,
    pub cohorts: Vec<Cohort>,
    pub accounts: BTreeSet<AccountId>,
}

impl FeatureFlag {
    /// Into how many parts the accounts are divided.
    pub const BUCKETS: u64 = 10_000;

    pub fn create(id: FeatureFlagId, spec: FlagSpec) -> Result<Self, CatalogError> {
        check(&spec)?;
        let FlagSpec { key, description, enabled, percentage, cohorts, accounts } = spec;
        Ok(Self { id, key, description, enabled, percentage, cohorts, accounts, version: 1 })
    }

    pub fn revise(&mut self, spec: FlagSpec) -> Result<(), CatalogError> {
        if spec.key != self.key {
            return Err(CatalogError::Invalid(vec![FieldError::new(
                "key",
                "immutable",
                "A flag keeps its key, because it decides whom a percentage holds.",
            )]));
        }
        *self = Self { version: self.version, ..Self::create(self.id, spec)? };
        Ok(())
    }

    /// The part of all accounts that this one is in, from 0 on. It depends on
    /// the key, so that not always the same accounts go first.
    pub fn bucket(key: &FeatureCode, account: AccountId) -> u64 {
        let mut hash = Sha256::new();
        hash.update(key.as_str().as_bytes());
        hash.update([0]);
        hash.update(account.uuid().as_bytes());
        let digest = hash.finalize();
        let first: u64 = digest.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        first % Self::BUCKETS
    }

    pub fn is_on(&self, subject: &Subject) -> bool {
        if !self.enabled {
            return false;
        }
        if self.accounts.contains(&subject.account) {
            return true;
        }
        let reached = Self::BUCKETS * u64::from(self.percentage) / 100;
        let meant = self.cohorts.is_empty() || self.cohorts.iter().any(|all| all.holds(subject));
        meant && Self::bucket(&self.key, subject.account) < reached
    }

    /// Whether the answer needs more of a subject than the account and its
    /// roles.
    pub fn reads_standing(&self) -> bool {
        self.enabled && self.percentage > 0 && self.cohorts.iter().any(Cohort::reads_standing)
    }
}

fn check(spec: &FlagSpec) -> Result<(), CatalogError> {
    let mut errors = Vec::new();
    FlagDescription::check(&mut errors, "description", &spec.description);
    if spec.percentage > 100 {
        errors.push(FieldError::new("percentage", "out_of_range", "From 0 to 100."));
    }
    if spec.cohorts.len() > 20 {
        errors.push(FieldError::new("cohorts", "too_many", "At most 20 cohorts."));
    }
    for (index, _) in spec.cohorts.iter().enumerate().filter(|(_, cohort)| cohort.is_empty()) {
        errors.push(FieldError::new(
            format!("cohorts[{index}]"),
            "required",
            "A cohort names a condition; leave out all cohorts to mean everybody.",
        ));
    }
    if spec.accounts.len() > 1_000 {
        errors.push(FieldError::new("account_ids", "too_many", "At most 1,000 accounts."));
    }
    if errors.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(errors)) }
}

#[cfg(test)]
mod tests;
