//! What administrators set for the clinic: the formulary, the default treatment
//! of a category, and what a state allows. Each has a version, and whoever
//! changes it names the one that was read.

use std::fmt::Display;

use kernel::{Actor, CategoryId, FieldError, Permission, RxNorm, Seen, UsState};
use ports::{AuditAction, AuditEntry, PortError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    AssignmentPolicy, CareError, CareStore, CareTx, Categories, DoseLimit, Modality, Protocol,
    Treatment, diff, dosing::DosingRule,
};

/// What a state allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatePolicy {
    pub state: UsState,
    pub modality: Modality,
}

impl StatePolicy {
    /// What holds where nothing has been set.
    pub fn unset(state: UsState) -> Self {
        Self { state, modality: Modality::Video }
    }
}

/// What is set for the clinic under a key of its own, and kept with a version.
pub trait Setting: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync {
    /// What the store and the audit log call it.
    const NAME: &'static str;

    type Key: Display + Sync + ?Sized;

    fn key(&self) -> &Self::Key;
}

macro_rules! settings {
    ($($setting:ident, $name:literal, $key:ty, |$self:ident| $of:expr;)+) => {$(
        impl Setting for $setting {
            const NAME: &'static str = $name;

            type Key = $key;

            fn key(&self) -> &$key {
                let $self = self;
                $of
            }
        }
    )+};
}

settings! {
    DoseLimit, "formulary_drug", RxNorm, |limit| &limit.rxnorm;
    DosingRule, "dosing_rule", RxNorm, |rule| &rule.rxnorm;
    Protocol, "protocol", CategoryId, |protocol| &protocol.category;
    StatePolicy, "state_policy", UsState, |policy| &policy.state;
    AssignmentPolicy, "assignment_policy", str, |_policy| CLINIC;
}

/// The key of what there is once.
pub(crate) const CLINIC: &str = "clinic";

/// A setting with the version that it is changed by.
pub async fn versioned<T: Setting>(
    tx: &mut dyn CareTx,
    key: &T::Key,
) -> Result<Option<(T, i64)>, PortError> {
    let Some((value, version)) = tx.setting(T::NAME, &key.to_string()).await? else {
        return Ok(None);
    };
    Ok(Some((read(value)?, version)))
}

fn read<T: Setting>(value: Value) -> Result<T, PortError> {
    serde_json::from_value(value)
        .map_err(|error| PortError::internal(format!("a {} cannot be read", T::NAME), error))
}

/// A setting as it decides now.
pub async fn held<T: Setting>(tx: &mut dyn CareTx, key: &T::Key) -> Result<Option<T>, PortError> {
    Ok(versioned(tx, key).await?.map(|(setting, _)| setting))
}

/// The same in a transaction of its own.
pub async fn current<T: Setting>(
    store: &dyn CareStore,
    actor: &Actor,
    key: &T::Key,
) -> Result<Option<T>, PortError> {
    held(store.begin(actor).await?.as_mut(), key).await
}

/// Sets it over the version that was seen, which is 0 for what is not there yet. Another
/// change of a setting of this name waits until the transaction ends.
pub(crate) async fn set<T: Setting>(
    tx: &mut dyn CareTx,
    setting: &T,
    seen: &Seen,
) -> Result<i64, CareError> {
    tx.lock_settings(T::NAME).await?;
    let before = versioned::<T>(tx, setting.key()).await?;
    check(before.as_ref(), setting, seen)?;
    let version = before.as_ref().map_or(0, |(_, version)| *version) + 1;
    let (key, value) = (setting.key().to_string(), document(setting)?);
    tx.keep_setting(T::NAME, &key, &value, version).await?;
    let before = before.map(|(before, _)| document(&before)).transpose()?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, T::NAME, key)
            .detail("old", before)
            .detail("new", value),
    );
    Ok(version)
}

/// Fails with `Stale` where another version holds than the one that was seen, and says
/// where what holds is not what is asked for.
fn check<T: Setting>(now: Option<&(T, i64)>, asked: &T, seen: &Seen) -> Result<(), PortError> {
    let Some((now, version)) = now else {
        if *seen != Seen::Any && seen.admits(0) {
            return Ok(());
        }
        let message = "There is no such setting yet; leave its version out.";
        return Err(PortError::Stale(vec![FieldError::new("header.If-Match", "changed", message)]));
    };
    if seen.admits(*version) {
        return Ok(());
    }
    let mut stale = PortError::stale(seen, *version, &[]);
    if let PortError::Stale(fields) = &mut stale {
        fields.extend(diff::between(now, asked).into_iter().map(|change| {
            let now = change.before.map_or_else(|| "not there".to_owned(), |now| now.to_string());
            FieldError::new(change.path, "changed", format!("It is {now} now."))
        }));
    }
    Err(stale)
}

fn document<T: Setting>(setting: &T) -> Result<Value, PortError> {
    serde_json::to_value(setting)
        .map_err(|error| PortError::internal(format!("a {} cannot be written", T::NAME), error))
}

/// Whoever signs treatments reads what they are held against, as those who set
/// it do.
pub fn may_read(actor: &Actor) -> Result<(), CareError> {
    if actor.may(Permission::TreatmentWrite) {
        return Ok(());
    }
    Ok(actor.require(Permission::RuleAdminister)?)
}

/// The formulary, by RxNorm concept.
pub async fn formulary(
    store: &dyn CareStore,
    actor: &Actor,
) -> Result<Vec<(DoseLimit, i64)>, CareError> {
    may_read(actor)?;
    Ok(listed(store.begin(actor).await?.as_mut()).await?)
}

/// The same as it is stored.
pub async fn listed(tx: &mut dyn CareTx) -> Result<Vec<(DoseLimit, i64)>, PortError> {
    let found = tx.settings(DoseLimit::NAME).await?;
    found.into_iter().map(|(value, version)| Ok((read(value)?, version))).collect()
}

pub async fn drug(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &RxNorm,
) -> Result<(DoseLimit, i64), CareError> {
    may_read(actor)?;
    let found = versioned(store.begin(actor).await?.as_mut(), drug).await?;
    found.ok_or_else(|| CareError::no(DoseLimit::NAME))
}

/// Puts a drug into the formulary or replaces what it says of it.
pub async fn set_drug(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &DoseLimit,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    drug.validate()?;
    let mut tx = store.begin(actor).await?;
    tx.lock_settings(DoseLimit::NAME).await?;
    check_packages(tx.as_mut(), drug).await?;
    let version = set(tx.as_mut(), drug, seen).await?;
    tx.commit().await?;
    Ok(version)
}

/// A package is one drug: what is checked by the concept is dispensed by it.
async fn check_packages(tx: &mut dyn CareTx, drug: &DoseLimit) -> Result<(), CareError> {
    let others = listed(tx).await?;
    let taken = |package| {
        let has = |(other, _): &&(DoseLimit, i64)| {
            other.rxnorm != drug.rxnorm && other.ndcs.contains(package)
        };
        others.iter().find(has).map(|(other, _)| other.display.clone())
    };
    let mut errors = Vec::new();
    for (index, package) in drug.ndcs.iter().enumerate() {
        let path = format!("ndcs[{index}]");
        if drug.ndcs[..index].contains(package) {
            errors.push(FieldError::new(path, "repeated", "This package is listed already."));
        } else if let Some(other) = taken(package) {
            let message = format!("This is a package of {other}.");
            errors.push(FieldError::new(path, "taken", message));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
}

pub async fn protocol(
    store: &dyn CareStore,
    actor: &Actor,
    category: CategoryId,
) -> Result<(Protocol, i64), CareError> {
    may_read(actor)?;
    let found = versioned(store.begin(actor).await?.as_mut(), &category).await?;
    found.ok_or_else(|| CareError::no(Protocol::NAME))
}

/// Sets the default treatment of a category, which is one of the formulary and
/// within its limits.
pub async fn set_protocol(
    store: &dyn CareStore,
    categories: &dyn Categories,
    actor: &Actor,
    protocol: &Protocol,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    if categories.terms(protocol.category).await?.is_none() {
        return Err(CareError::no("category"));
    }
    save_protocol(store, actor, protocol, seen).await
}

/// For a category that is known to exist.
pub(crate) async fn save_protocol(
    store: &dyn CareStore,
    actor: &Actor,
    protocol: &Protocol,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    check_default(tx.as_mut(), &protocol.treatment).await?;
    let version = set(tx.as_mut(), protocol, seen).await?;
    tx.commit().await?;
    Ok(version)
}

async fn check_default(tx: &mut dyn CareTx, treatment: &Treatment) -> Result<(), CareError> {
    let limit: Option<DoseLimit> = held(tx, &treatment.medication.rxnorm).await?;
    let Some(limit) = limit else {
        let message = "The formulary has no such drug.";
        return Err(CareError::field("treatment.medication.rxnorm", "unknown", message));
    };
    let mut errors = Vec::new();
    let mut refuse = |path: &str| {
        let message = "It is of one patient, and the default is for everybody.";
        errors.push(FieldError::new(path, "not_allowed", message));
    };
    if treatment.kidneys.is_some() {
        refuse("treatment.kidneys");
    }
    if !treatment.overrides.is_empty() {
        refuse("treatment.overrides");
    }
    if !errors.is_empty() {
        return Err(CareError::Invalid(errors));
    }
    treatment.validate(Some(&limit), "treatment")?;
    if treatment.exceeds(&limit) {
        let message = "No patient begins above the drug's maximum.";
        return Err(CareError::field("treatment.dose.value", "out_of_range", message));
    }
    Ok(())
}

/// What a state allows, with its version once it was set.
pub async fn state_policy(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
) -> Result<(StatePolicy, Option<i64>), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let found = versioned(store.begin(actor).await?.as_mut(), &state).await?;
    Ok(found.map_or_else(
        || (StatePolicy::unset(state), None),
        |(policy, version)| (policy, Some(version)),
    ))
}

/// [`Modality::Video`] where nothing is known of the state.
pub(crate) async fn modality(tx: &mut dyn CareTx, state: UsState) -> Result<Modality, PortError> {
    let policy = held(tx, &state).await?;
    Ok(policy.unwrap_or_else(|| StatePolicy::unset(state)).modality)
}

pub async fn set_state_policy(
    store: &dyn CareStore,
    actor: &Actor,
    policy: &StatePolicy,
    seen: &Seen,
) -> Result<i64, CareError> {
    set_plain(store, actor, policy, seen).await
}

/// Sets what is sound as it stands.
pub(crate) async fn set_plain<T: Setting>(
    store: &dyn CareStore,
    actor: &Actor,
    setting: &T,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let version = set(tx.as_mut(), setting, seen).await?;
    tx.commit().await?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use kernel::DomainError as _;

    use super::*;

    fn policy(modality: Modality) -> StatePolicy {
        StatePolicy { state: UsState::Tx, modality }
    }

    #[test]
    fn a_change_names_the_version_that_it_replaces() {
        let (held, asked) = ((policy(Modality::Video), 4), policy(Modality::Asynchronous));
        assert!(check(None, &asked, &Seen::from(0)).is_ok());
        assert!(check(Some(&held), &asked, &Seen::from(4)).is_ok());
        assert!(check(Some(&held), &asked, &Seen::Any).is_ok());
        for seen in [0, 3] {
            let stale = check(Some(&held), &asked, &Seen::from(seen)).unwrap_err();
            let told: Vec<_> = stale.fields().iter().map(|f| (&*f.path, &*f.message)).collect();
            assert!(told[0].1.contains("version 4 is the current one"), "{told:?}");
            assert_eq!(told[1..], [("modality", "It is \"video\" now.")]);
        }
        for absent in [Seen::from(1), Seen::Any] {
            assert!(check(None, &asked, &absent).is_err());
        }
    }
}
