//! Rows of the prescribing half and their way to the domain and back. What is
//! clinical lies sealed in one column, as JSON of its own shape.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Address, PrescriptionId, ProviderId, Uuid};
use pharmacy::{
    erx::ErxMessage,
    prescription::{
        Amount, Diagnosis, Dosing, Medication, Pharmacy, Prescription, PrescriptionState,
        store::Fill,
    },
    safety::{AlertOverride, SafetyAlert},
};
use ports::{PortError, Result};
use sea_orm::FromQueryResult;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Tx;

pub(crate) const PRESCRIPTION: &str = "id, treatment_plan_id, plan_version, patient_id, provider_id, \
     category_id, pharmacy_id, clinical, quantity_milli, unit, days_supply, refills, fills_used, \
     last_filled_on, written_on, state, state_at, message_id, attempts, state_detail, \
     created_at, updated_at, version";

const CLINICAL: &str = "prescriptions.clinical";
const STATE_DETAIL: &str = "prescriptions.state_detail";

/// A prescription as its table holds it.
#[derive(Debug, FromQueryResult)]
pub(crate) struct PrescriptionRow {
    pub id: Uuid,
    pub treatment_plan_id: Uuid,
    pub plan_version: i32,
    pub patient_id: Uuid,
    pub provider_id: Uuid,
    pub category_id: Uuid,
    pub pharmacy_id: Uuid,
    pub clinical: Vec<u8>,
    pub quantity_milli: i64,
    pub unit: String,
    pub days_supply: i16,
    pub refills: i16,
    pub fills_used: i16,
    pub last_filled_on: Option<NaiveDate>,
    pub written_on: NaiveDate,
    pub state: String,
    pub state_at: Option<DateTime<Utc>>,
    pub message_id: Option<Uuid>,
    pub attempts: i32,
    pub state_detail: Option<Vec<u8>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

#[derive(Serialize, Deserialize)]
struct Clinical {
    rxnorm: String,
    ndc: String,
    medication: String,
    strength: String,
    schedule: String,
    sig: String,
    diagnosis: String,
    diagnosis_display: String,
    alerts: Vec<StoredAlert>,
}

#[derive(Serialize, Deserialize)]
struct StoredAlert {
    key: String,
    kind: String,
    severity: String,
    summary: String,
    source: String,
    overridden: Option<StoredOverride>,
}

#[derive(Serialize, Deserialize)]
struct StoredOverride {
    by: Uuid,
    reason: String,
    at: DateTime<Utc>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StateDetail {
    alerts: Vec<String>,
    code: String,
    reason: String,
}

/// A value of a row that the domain does not accept: the row was not written
/// by this code.
fn broken(what: &str, cause: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::internal(format!("a stored prescription has a {what} that cannot be read"), cause)
}

pub(super) fn plan_version(number: i32) -> Result<u32> {
    u32::try_from(number).map_err(|error| broken("version of its plan", error))
}

fn missing(what: &str) -> PortError {
    PortError::bug(format!("a stored prescription lacks its {what}"))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| broken("sealed part", error))
}

fn from_json<T: DeserializeOwned>(plain: &[u8]) -> Result<T> {
    serde_json::from_slice(plain).map_err(|error| broken("sealed part", error))
}

/// The columns that a change of a prescription writes.
pub(super) struct Columns {
    pub clinical: Vec<u8>,
    pub state_at: Option<DateTime<Utc>>,
    pub message_id: Option<Uuid>,
    pub attempts: i32,
    pub state_detail: Option<Vec<u8>>,
}

impl Columns {
    pub fn of(tx: &Tx, prescription: &Prescription) -> Result<Self> {
        let Medication { rxnorm, ndc, display, strength, schedule } = &prescription.medication;
        let clinical = Clinical {
            rxnorm: rxnorm.to_string(),
            ndc: ndc.to_string(),
            medication: display.clone(),
            strength: strength.clone(),
            schedule: schedule.to_string(),
            sig: prescription.dosing.sig.clone(),
            diagnosis: prescription.diagnosis.code.to_string(),
            diagnosis_display: prescription.diagnosis.display.clone(),
            alerts: prescription.alerts.iter().map(StoredAlert::of).collect(),
        };
        let id = prescription.id.uuid();
        let seal = |detail: StateDetail| tx.seal(STATE_DETAIL, id, &to_json(&detail)?).map(Some);
        let (state_at, message, attempts, state_detail) = match &prescription.state {
            PrescriptionState::Draft => (None, None, 0, None),
            PrescriptionState::Blocked { alerts } => {
                let detail = StateDetail { alerts: alerts.clone(), ..StateDetail::default() };
                (None, None, 0, seal(detail)?)
            }
            PrescriptionState::Queued { message, attempts } => {
                (None, Some(*message), *attempts, None)
            }
            PrescriptionState::Sent { message, at }
            | PrescriptionState::Active { message, verified_at: at } => {
                (Some(*at), Some(*message), 0, None)
            }
            PrescriptionState::Completed { at } => (Some(*at), None, 0, None),
            PrescriptionState::Failed { code, reason, at } => {
                let detail = StateDetail {
                    code: code.clone(),
                    reason: reason.clone(),
                    ..StateDetail::default()
                };
                (Some(*at), None, 0, seal(detail)?)
            }
            PrescriptionState::Canceled { reason, at } => {
                let detail = StateDetail { reason: reason.clone(), ..StateDetail::default() };
                (Some(*at), None, 0, seal(detail)?)
            }
        };
        Ok(Self {
            clinical: tx.seal(CLINICAL, id, &to_json(&clinical)?)?,
            state_at,
            message_id: message.map(|message| message.uuid()),
            attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
            state_detail,
        })
    }
}

impl StoredAlert {
    fn of(alert: &SafetyAlert) -> Self {
        Self {
            key: alert.key.clone(),
            kind: alert.kind.to_string(),
            severity: alert.severity.to_string(),
            summary: alert.summary.clone(),
            source: alert.source.clone(),
            overridden: alert.overridden.as_ref().map(|given| StoredOverride {
                by: given.by.uuid(),
                reason: given.reason.clone(),
                at: given.at,
            }),
        }
    }

    fn into_domain(self) -> Result<SafetyAlert> {
        Ok(SafetyAlert {
            key: self.key,
            kind: self.kind.parse().map_err(|error| broken("kind of alert", error))?,
            severity: self.severity.parse().map_err(|error| broken("severity", error))?,
            summary: self.summary,
            source: self.source,
            overridden: self.overridden.map(|given| AlertOverride {
                by: ProviderId::from_uuid(given.by),
                reason: given.reason,
                at: given.at,
            }),
        })
    }
}

impl PrescriptionRow {
    pub(crate) fn into_domain(self, tx: &Tx) -> Result<Prescription> {
        let clinical: Clinical =
            from_json(&tx.unseal(CLINICAL, self.id, self.clinical.clone())?)?;
        let state = self.state(tx)?;
        let quantity = u32::try_from(self.quantity_milli)
            .map_err(|error| broken("quantity", error))
            .and_then(|value| {
                Amount::from_thousandths(value).map_err(|error| broken("quantity", error))
            })?;
        let small =
            |value: i16, what: &str| u8::try_from(value).map_err(|error| broken(what, error));
        Ok(Prescription {
            id: self.id.into(),
            treatment_plan: self.treatment_plan_id.into(),
            plan_version: plan_version(self.plan_version)?,
            patient: self.patient_id.into(),
            provider: self.provider_id.into(),
            category: self.category_id.into(),
            pharmacy: self.pharmacy_id.into(),
            medication: Medication {
                rxnorm: clinical.rxnorm.parse().map_err(|error| broken("RxNorm code", error))?,
                ndc: clinical.ndc.parse().map_err(|error| broken("NDC", error))?,
                display: clinical.medication,
                strength: clinical.strength,
                schedule: clinical.schedule.parse().map_err(|error| broken("schedule", error))?,
            },
            dosing: Dosing {
                sig: clinical.sig,
                quantity,
                unit: self.unit.parse().map_err(|error| broken("unit", error))?,
                days_supply: u16::try_from(self.days_supply)
                    .map_err(|error| broken("days' supply", error))?,
                refills: small(self.refills, "number of refills")?,
            },
            diagnosis: Diagnosis {
                code: clinical.diagnosis.parse().map_err(|error| broken("diagnosis", error))?,
                display: clinical.diagnosis_display,
            },
            written_on: self.written_on,
            alerts: clinical
                .alerts
                .into_iter()
                .map(StoredAlert::into_domain)
                .collect::<Result<_>>()?,
            fills_used: small(self.fills_used, "number of fills")?,
            last_filled_on: self.last_filled_on,
            state,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        })
    }

    fn state(&self, tx: &Tx) -> Result<PrescriptionState> {
        let at = || self.state_at.ok_or_else(|| missing("time of its state"));
        let message = || self.message_id.map(Into::into).ok_or_else(|| missing("message"));
        let detail = || -> Result<StateDetail> {
            let sealed = self.state_detail.clone().ok_or_else(|| missing("state's detail"))?;
            from_json(&tx.unseal(STATE_DETAIL, self.id, sealed)?)
        };
        Ok(match self.state.as_str() {
            "draft" => PrescriptionState::Draft,
            "blocked" => PrescriptionState::Blocked { alerts: detail()?.alerts },
            "queued" => PrescriptionState::Queued {
                message: message()?,
                attempts: u32::try_from(self.attempts)
                    .map_err(|error| broken("number of attempts", error))?,
            },
            "sent" => PrescriptionState::Sent { message: message()?, at: at()? },
            "active" => PrescriptionState::Active { message: message()?, verified_at: at()? },
            "completed" => PrescriptionState::Completed { at: at()? },
            "failed" => {
                let StateDetail { code, reason, .. } = detail()?;
                PrescriptionState::Failed { code, reason, at: at()? }
            }
            "canceled" => PrescriptionState::Canceled { reason: detail()?.reason, at: at()? },
            other => return Err(PortError::bug(format!("a prescription is in state {other}"))),
        })
    }
}

#[derive(Debug, FromQueryResult)]
pub(super) struct FillRow {
    prescription_id: Uuid,
    dispatch_id: Uuid,
    number: i16,
    filled_on: NaiveDate,
    recorded_at: DateTime<Utc>,
}

impl FillRow {
    pub fn into_domain(self) -> Result<Fill> {
        Ok(Fill {
            prescription: self.prescription_id.into(),
            dispatch: self.dispatch_id.into(),
            number: u8::try_from(self.number).map_err(|error| broken("fill's number", error))?,
            filled_on: self.filled_on,
            at: self.recorded_at,
        })
    }
}

#[derive(Debug, FromQueryResult)]
pub(super) struct MessageRow {
    id: Uuid,
    prescription_id: Uuid,
    body: Vec<u8>,
    created_at: DateTime<Utc>,
}

pub(super) const MESSAGE_BODY: &str = "erx_messages.body";

impl MessageRow {
    pub fn into_domain(self, tx: &Tx) -> Result<ErxMessage> {
        Ok(ErxMessage {
            id: self.id.into(),
            prescription: PrescriptionId::from_uuid(self.prescription_id),
            text: tx.unseal_text(MESSAGE_BODY, self.id, self.body)?,
            created_at: self.created_at,
        })
    }
}

pub(super) const PHARMACY: &str = "id, ncpdp_id, npi, name, line1, line2, city, state, postal_code, phone, mail_order, active, \
     dea, licensed_in, version";

#[derive(Debug, FromQueryResult)]
pub(super) struct PharmacyRow {
    id: Uuid,
    ncpdp_id: String,
    npi: String,
    name: String,
    line1: String,
    line2: Option<String>,
    city: String,
    state: String,
    postal_code: String,
    phone: String,
    mail_order: bool,
    active: bool,
    dea: Option<String>,
    licensed_in: Vec<String>,
    version: i64,
}

impl PharmacyRow {
    pub fn into_domain(self) -> Result<Pharmacy> {
        Ok(Pharmacy {
            id: self.id.into(),
            ncpdp_id: self.ncpdp_id.parse().map_err(|error| broken("NCPDP id", error))?,
            npi: self.npi.parse().map_err(|error| broken("pharmacy's NPI", error))?,
            name: self.name,
            address: Address {
                line1: self.line1,
                line2: self.line2,
                city: self.city,
                state: self.state.parse().map_err(|error| broken("pharmacy's state", error))?,
                postal_code: self.postal_code,
            },
            phone: self.phone.parse().map_err(|error| broken("pharmacy's phone", error))?,
            mail_order: self.mail_order,
            active: self.active,
            dea: self
                .dea
                .map(|dea| dea.parse().map_err(|error| broken("pharmacy's DEA number", error)))
                .transpose()?,
            licensed_in: self
                .licensed_in
                .iter()
                .map(|state| {
                    state.parse().map_err(|error| broken("state of a pharmacy's license", error))
                })
                .collect::<Result<_>>()?,
            version: self.version,
        })
    }
}
