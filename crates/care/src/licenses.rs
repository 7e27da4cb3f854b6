//! Who may treat a patient: a provider whose license is in force in the state where
//! the patient is now, which may no longer be where a form was submitted.

use chrono::{DateTime, Utc};
use kernel::{PatientId, ProviderId, UsState};
use ports::Env;

use crate::{CareError, CareTx, ClinicalFacts, Sources};

/// The patient's facts, where a license in one of these states lets its holder treat
/// the patient.
pub(crate) async fn check(
    sources: &Sources,
    states: &[UsState],
    patient: PatientId,
) -> Result<ClinicalFacts, CareError> {
    let facts = sources.facts.facts(patient).await?.ok_or(CareError::ProfileIncomplete)?;
    if states.contains(&facts.state) {
        Ok(facts)
    } else {
        Err(CareError::LicenseRequired(facts.state))
    }
}

/// Refuses a request that names a provider who may not treat the patient.
pub(crate) async fn check_named(
    env: &Env,
    sources: &Sources,
    patient: PatientId,
    named: ProviderId,
) -> Result<(), CareError> {
    let facts = sources.facts.facts(patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let licensed = sources.directory.licensed_providers(facts.state, env.now()).await?;
    is_among(named, &licensed)
}

/// The same where the licensed providers are known.
pub(crate) fn is_among(named: ProviderId, licensed: &[ProviderId]) -> Result<(), CareError> {
    if licensed.contains(&named) {
        return Ok(());
    }
    let message = "The provider needs an active license in the patient's state.";
    Err(CareError::field("provider_id", "license_required", message))
}

/// Refuses to let a change stand that was begun by somebody who may no longer
/// practice where the patient is. It is asked in the transaction that makes the
/// change and holds until it ends, so that of a signature and the closing of the
/// account one comes first.
pub(crate) async fn still_holds(
    tx: &mut dyn CareTx,
    provider: ProviderId,
    state: UsState,
    now: DateTime<Utc>,
) -> Result<(), CareError> {
    if tx.holds_license(provider, state, now).await? {
        Ok(())
    } else {
        Err(CareError::LicenseRequired(state))
    }
}
