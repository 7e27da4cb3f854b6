//! What prescribing needs to know of the treatment, the prescriber and the
//! patient. Other contexts own these; bridges answer for them. Each answer is
//! `None` where there is no such thing, and an error where it could not be
//! asked, which is never taken for an absence.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Address, CategoryId, Dea, HumanName, Npi, PatientId, PhoneNumber, ProviderId, Sex,
    TreatmentPlanId, UsState,
};

use super::{Diagnosis, Dosing, Medication};
use crate::PharmacyError;

/// What a treatment plan asks the pharmacy for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTreatment {
    pub id: TreatmentPlanId,
    /// Counts up with each modification.
    pub version: u32,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub category: CategoryId,
    /// A plan that was stopped or replaced is prescribed no more.
    pub active: bool,
    /// The concept, its name and the package are one drug of the formulary.
    pub on_formulary: bool,
    pub medication: Medication,
    pub dosing: Dosing,
    pub diagnosis: Diagnosis,
}

#[async_trait]
pub trait TreatmentPlans: Send + Sync {
    async fn treatment(&self, plan: TreatmentPlanId) -> ports::Result<Option<PlannedTreatment>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLicense {
    pub state: UsState,
    pub number: String,
    /// The last day on which it is valid.
    pub expires_on: NaiveDate,
    /// `false` when it is suspended or revoked.
    pub active: bool,
}

/// A prescriber as a message names them. What is missing is reported by the
/// pre-flight and not made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrescriberDetails {
    pub provider: ProviderId,
    pub name: HumanName,
    pub npi: Option<Npi>,
    pub dea: Option<Dea>,
    /// The identifier under which the network knows the prescriber.
    pub spi: Option<String>,
    pub licenses: Vec<StateLicense>,
    pub address: Option<Address>,
    pub phone: Option<PhoneNumber>,
}

impl PrescriberDetails {
    /// The license with which the prescriber may act for a patient in `state`
    /// at this moment, by the calendar of that state.
    pub fn license_in(
        &self,
        state: UsState,
        now: DateTime<Utc>,
    ) -> Result<&StateLicense, PharmacyError> {
        let in_force = |license: &&StateLicense| {
            license.state == state
                && license.active
                && state.has_not_passed(license.expires_on, now)
        };
        self.licenses.iter().find(in_force).ok_or(PharmacyError::LicenseRequired(state))
    }
}

#[async_trait]
pub trait Prescribers: Send + Sync {
    async fn prescriber(&self, provider: ProviderId) -> ports::Result<Option<PrescriberDetails>>;
}

/// A patient as a message names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientDetails {
    pub patient: PatientId,
    pub name: Option<HumanName>,
    pub birth_date: Option<NaiveDate>,
    pub sex: Option<Sex>,
    pub address: Option<Address>,
    pub phone: Option<PhoneNumber>,
}

#[async_trait]
pub trait Patients: Send + Sync {
    async fn details(&self, patient: PatientId) -> ports::Result<Option<PatientDetails>>;
}
