//! What administrators set for the clinic: the formulary, the default treatment
//! of a category, and what a state allows. Each has a version, and whoever
//! changes it names the one that was read.

use kernel::{Actor, CategoryId, FieldError, Permission, RxNorm, UsState};
use ports::{AuditAction, AuditEntry};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    CareError, CareStore, CareTx, Categories, DoseLimit, Modality, Protocol, Treatment, diff,
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

/// What has become of a setting since somebody read it.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingChange {
    /// `None` where there is no such setting.
    pub version: Option<i64>,
    /// Where what holds now is not what was asked for.
    pub fields: Vec<FieldError>,
}

impl SettingChange {
    /// The version that a change makes, if `seen` is the version that it
    /// replaces; `None` is for what is not there yet.
    pub fn check<T: Serialize>(
        now: Option<(&T, i64)>,
        asked: &T,
        seen: Option<i64>,
    ) -> Result<i64, CareError> {
        let version = now.map(|(_, version)| version);
        if seen == version {
            return Ok(version.unwrap_or(0) + 1);
        }
        let fields = now.map_or_else(Vec::new, |(now, _)| changed_fields(now, asked));
        Err(CareError::SettingChanged(Box::new(Self { version, fields })))
    }
}

/// The fields of which something else holds now than what is asked for.
pub(crate) fn changed_fields<T: Serialize>(now: &T, asked: &T) -> Vec<FieldError> {
    let told = |change: diff::FieldChange| {
        let now = change.before.map_or_else(|| "not there".to_owned(), |now| now.to_string());
        FieldError::new(change.path, "changed", format!("It is {now} now."))
    };
    diff::between(now, asked).into_iter().map(told).collect()
}

impl std::fmt::Display for SettingChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => {
                write!(f, "its version is {version} now; read it before changing it")
            }
            None => write!(f, "there is no such setting yet; leave its version out"),
        }
    }
}

fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn entry<T: Serialize>(
    entity: &'static str,
    id: impl ToString,
    before: Option<&(T, i64)>,
    now: &T,
) -> AuditEntry {
    AuditEntry::new(AuditAction::Update, entity, id)
        .detail("old", before.map(|(before, _)| document(before)))
        .detail("new", document(now))
}

fn at_once(error: ports::PortError) -> CareError {
    CareError::on_conflict(error, CareError::RulesChangedAtOnce)
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
    Ok(store.begin(actor).await?.formulary().await?)
}

pub async fn drug(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &RxNorm,
) -> Result<(DoseLimit, i64), CareError> {
    may_read(actor)?;
    let found = store.begin(actor).await?.formulary_drug(drug).await?;
    found.ok_or(CareError::NotFound("drug of the formulary"))
}

/// Puts a drug into the formulary or replaces what it says of it.
pub async fn set_drug(
    store: &dyn CareStore,
    actor: &Actor,
    drug: &DoseLimit,
    seen: Option<i64>,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    drug.validate()?;
    let mut tx = store.begin(actor).await?;
    tx.lock_formulary().await?;
    check_packages(tx.as_mut(), drug).await?;
    let before = tx.formulary_drug(&drug.rxnorm).await?;
    let now = before.as_ref().map(|(before, version)| (before, *version));
    let version = SettingChange::check(now, drug, seen)?;
    tx.save_dose_limit(drug, version).await.map_err(at_once)?;
    tx.audit(entry("formulary_drug", &drug.rxnorm, before.as_ref(), drug));
    tx.commit().await?;
    Ok(version)
}

/// A package is one drug: what is checked by the concept is dispensed by it.
async fn check_packages(tx: &mut dyn CareTx, drug: &DoseLimit) -> Result<(), CareError> {
    let others = tx.formulary().await?;
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
    let found = store.begin(actor).await?.category_protocol(category).await?;
    found.ok_or(CareError::NotFound("default treatment"))
}

/// Sets the default treatment of a category, which is one of the formulary and
/// within its limits.
pub async fn set_protocol(
    store: &dyn CareStore,
    categories: &dyn Categories,
    actor: &Actor,
    protocol: &Protocol,
    seen: Option<i64>,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    if categories.terms(protocol.category).await?.is_none() {
        return Err(CareError::NotFound("category"));
    }
    save_protocol(store, actor, protocol, seen).await
}

/// For a category that is known to exist.
pub(crate) async fn save_protocol(
    store: &dyn CareStore,
    actor: &Actor,
    protocol: &Protocol,
    seen: Option<i64>,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    check_default(tx.as_mut(), &protocol.treatment).await?;
    let before = tx.category_protocol(protocol.category).await?;
    let now = before.as_ref().map(|(before, version)| (before, *version));
    let version = SettingChange::check(now, protocol, seen)?;
    tx.save_protocol(protocol, version).await.map_err(at_once)?;
    tx.audit(entry("protocol", protocol.category, before.as_ref(), protocol));
    tx.commit().await?;
    Ok(version)
}

async fn check_default(tx: &mut dyn CareTx, treatment: &Treatment) -> Result<(), CareError> {
    let limit = tx.dose_limit(&treatment.medication.rxnorm).await?;
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
    let found = store.begin(actor).await?.state_policy(state).await?;
    Ok(found.map_or_else(
        || (StatePolicy::unset(state), None),
        |(policy, version)| (policy, Some(version)),
    ))
}

pub async fn set_state_policy(
    store: &dyn CareStore,
    actor: &Actor,
    policy: &StatePolicy,
    seen: Option<i64>,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let before = tx.state_policy(policy.state).await?;
    let now = before.as_ref().map(|(before, version)| (before, *version));
    let version = SettingChange::check(now, policy, seen)?;
    tx.save_state_policy(policy, version).await.map_err(at_once)?;
    tx.audit(entry("state_policy", policy.state, before.as_ref(), policy));
    tx.commit().await?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(modality: Modality) -> StatePolicy {
        StatePolicy { state: UsState::Tx, modality }
    }

    #[test]
    fn a_change_names_the_version_that_it_replaces() {
        let (held, asked) = (policy(Modality::Video), policy(Modality::Asynchronous));
        assert_eq!(SettingChange::check(None, &asked, None).unwrap(), 1);
        assert_eq!(SettingChange::check(Some((&held, 4)), &asked, Some(4)).unwrap(), 5);
        for seen in [None, Some(3)] {
            let Err(CareError::SettingChanged(change)) =
                SettingChange::check(Some((&held, 4)), &asked, seen)
            else {
                panic!("accepted");
            };
            assert_eq!(change.version, Some(4));
            let told: Vec<_> = change.fields.iter().map(|f| (&*f.path, &*f.message)).collect();
            assert_eq!(told, [("modality", "It is \"video\" now.")]);
        }
        assert!(SettingChange::check(None, &asked, Some(1)).is_err());
    }
}
