//! What goes over the wire of prescriptions.

use api::Text;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::Uuid;
use kernel::text::{GraveReason, Sig};
use pharmacy::{
    PharmacyError,
    prescription::{
        Pharmacy, Prescription, PrescriptionState,
        write::{Changes, OverrideRequest, PrescribeRequest},
    },
    safety::SafetyAlert,
};
use poem_openapi::{Enum, Object};

/// A provider's reason to go on in spite of an alert.
#[derive(Clone, Debug, Object)]
pub struct AlertOverrideRequest {
    /// The `key` of the alert.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub alert: String,
    /// Why the alert does not stand in the way, in 10 to 1,000 characters.
    pub reason: Text<GraveReason>,
}

/// Asks for the prescription of a treatment plan.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct SendPrescriptionRequest {
    pub treatment_plan_id: Uuid,
    /// The `version` of the plan's treatment that was read; where the treatment
    /// has changed since, the answer is 409 `pharmacy.treatment_changed`.
    #[oai(validator(minimum(value = "1")))]
    pub plan_version: u32,
    /// A pharmacy of the directory.
    pub pharmacy_id: Uuid,
    /// Overrides of alerts that are known beforehand.
    #[oai(default, validator(max_items = 50))]
    pub overrides: Vec<AlertOverrideRequest>,
}

impl poem_openapi::types::Example for SendPrescriptionRequest {
    fn example() -> Self {
        Self {
            treatment_plan_id: Uuid::from_u128(0x0192_9f6e_7c00_7000_8000_0000_0000_0001),
            plan_version: 1,
            pharmacy_id: Uuid::from_u128(0x0192_9f6e_7c00_7000_8000_0000_0000_0002),
            overrides: Vec::new(),
        }
    }
}

impl SendPrescriptionRequest {
    pub(super) fn into_domain(self) -> PrescribeRequest {
        PrescribeRequest {
            treatment_plan: self.treatment_plan_id.into(),
            plan_version: self.plan_version,
            pharmacy: self.pharmacy_id.into(),
            overrides: overrides(self.overrides),
        }
    }
}

/// Overrides alerts of a blocked prescription.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct OverrideAlertsRequest {
    #[oai(validator(min_items = 1, max_items = 50))]
    pub overrides: Vec<AlertOverrideRequest>,
}

impl poem_openapi::types::Example for OverrideAlertsRequest {
    fn example() -> Self {
        Self {
            overrides: vec![AlertOverrideRequest {
                alert: "interaction:sildenafil+nitroglycerin".into(),
                reason: "Nitrates were stopped in January.".into(),
            }],
        }
    }
}

impl OverrideAlertsRequest {
    pub(super) fn into_domain(self) -> Vec<OverrideRequest> {
        overrides(self.overrides)
    }
}

fn overrides(requests: Vec<AlertOverrideRequest>) -> Vec<OverrideRequest> {
    requests
        .into_iter()
        .map(|given| OverrideRequest { alert: given.alert, reason: given.reason.into() })
        .collect()
}

/// Changes of a prescription that has not been sent; what is left out stays.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct ModifyPrescriptionRequest {
    pub pharmacy_id: Option<Uuid>,
    /// The directions to the patient.
    pub sig: Option<Text<Sig>>,
    /// The amount of one fill in the prescription's unit, a decimal number
    /// with at most three decimals, as in `30` or `2.5`.
    #[oai(validator(max_length = 9))]
    pub quantity: Option<String>,
    /// How many days one fill lasts.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub days_supply: Option<u16>,
    /// Refills after the first fill.
    #[oai(validator(maximum(value = "11")))]
    pub refills: Option<u8>,
}

impl poem_openapi::types::Example for ModifyPrescriptionRequest {
    fn example() -> Self {
        Self {
            pharmacy_id: None,
            sig: Some("Take 1 tablet by mouth in the evening.".into()),
            quantity: Some("30".into()),
            days_supply: Some(30),
            refills: None,
        }
    }
}

impl ModifyPrescriptionRequest {
    pub(super) fn into_domain(self) -> Result<Changes, PharmacyError> {
        let quantity = self
            .quantity
            .map(|text| {
                text.parse().map_err(|_| {
                    PharmacyError::field(
                        "quantity",
                        "invalid",
                        "A positive decimal number with at most three decimals.",
                    )
                })
            })
            .transpose()?;
        Ok(Changes {
            pharmacy: self.pharmacy_id.map(Into::into),
            sig: self.sig.map(Into::into),
            quantity,
            days_supply: self.days_supply,
            refills: self.refills,
        })
    }
}

/// Where a prescription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum PrescriptionStatus {
    /// Written, not yet checked.
    Draft,
    /// A safety alert stands in the way.
    Blocked,
    /// Signed and on its way to the pharmacy.
    Queued,
    /// The pharmacy's system has received it.
    Sent,
    /// The pharmacy has verified it; it can be filled.
    Active,
    /// The last fill is used.
    Completed,
    /// The pharmacy refused it, or it could not be sent.
    Failed,
    Canceled,
}

/// A prescriber's override of an alert.
#[derive(Clone, Debug, Object)]
pub struct AlertOverrideView {
    pub provider_id: Uuid,
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// One finding of the safety check.
#[derive(Clone, Debug, Object)]
pub struct SafetyAlertView {
    /// Names the alert on its prescription.
    pub key: String,
    pub kind: pharmacy::safety::AlertKind,
    pub severity: pharmacy::safety::Severity,
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    /// Whether it keeps the prescription from being sent.
    pub blocking: bool,
    pub overridden: Option<AlertOverrideView>,
}

impl SafetyAlertView {
    fn of(alert: &SafetyAlert) -> Self {
        Self {
            key: alert.key.clone(),
            kind: alert.kind,
            severity: alert.severity,
            summary: alert.summary.clone(),
            source: alert.source.clone(),
            blocking: alert.blocks(),
            overridden: alert.overridden.as_ref().map(|given| AlertOverrideView {
                provider_id: given.by.uuid(),
                reason: given.reason.clone(),
                at: given.at,
            }),
        }
    }
}

/// The product that is prescribed.
#[derive(Clone, Debug, Object)]
pub struct PrescribedMedication {
    /// The RxNorm concept.
    pub rxnorm: String,
    /// The National Drug Code in its eleven-digit form.
    pub ndc: String,
    pub display: String,
    /// The strength of one unit.
    pub strength: String,
}

/// Why a prescription failed.
#[derive(Clone, Debug, Object)]
pub struct PrescriptionFailure {
    /// The network's error code, or `preflight` with the fields at fault in
    /// the reason.
    pub code: String,
    pub reason: String,
}

/// A prescription.
#[derive(Clone, Debug, Object)]
pub struct PrescriptionView {
    pub id: Uuid,
    pub treatment_plan_id: Uuid,
    pub patient_id: Uuid,
    pub provider_id: Uuid,
    pub category_id: Uuid,
    pub pharmacy_id: Uuid,
    pub status: PrescriptionStatus,
    pub medication: PrescribedMedication,
    /// The directions to the patient.
    pub sig: String,
    /// The amount of one fill in `unit`, a decimal number.
    pub quantity: String,
    /// `tablet`, `capsule`, `milliliter`, `gram` or `each`.
    pub unit: String,
    /// How many days one fill lasts.
    pub days_supply: u16,
    /// Refills after the first fill.
    pub refills: u8,
    /// Fills that are left, the first one counted.
    pub remaining_fills: u8,
    pub last_filled_on: Option<NaiveDate>,
    /// The ICD-10-CM code of the diagnosis.
    pub diagnosis_code: String,
    pub diagnosis: String,
    pub written_on: NaiveDate,
    pub alerts: Vec<SafetyAlertView>,
    /// The NewRx that carries it, once it is signed.
    pub message_id: Option<Uuid>,
    pub failure: Option<PrescriptionFailure>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PrescriptionView {
    pub(super) fn of(prescription: &Prescription) -> Self {
        let (status, message, failure) = match &prescription.state {
            PrescriptionState::Draft => (PrescriptionStatus::Draft, None, None),
            PrescriptionState::Blocked { .. } => (PrescriptionStatus::Blocked, None, None),
            PrescriptionState::Queued { message, .. } => {
                (PrescriptionStatus::Queued, Some(*message), None)
            }
            PrescriptionState::Sent { message, .. } => {
                (PrescriptionStatus::Sent, Some(*message), None)
            }
            PrescriptionState::Active { message, .. } => {
                (PrescriptionStatus::Active, Some(*message), None)
            }
            PrescriptionState::Completed { .. } => (PrescriptionStatus::Completed, None, None),
            PrescriptionState::Failed { code, reason, .. } => {
                let failure = PrescriptionFailure { code: code.clone(), reason: reason.clone() };
                (PrescriptionStatus::Failed, None, Some(failure))
            }
            PrescriptionState::Canceled { .. } => (PrescriptionStatus::Canceled, None, None),
        };
        let dosing = &prescription.dosing;
        Self {
            id: prescription.id.uuid(),
            treatment_plan_id: prescription.treatment_plan.uuid(),
            patient_id: prescription.patient.uuid(),
            provider_id: prescription.provider.uuid(),
            category_id: prescription.category.uuid(),
            pharmacy_id: prescription.pharmacy.uuid(),
            status,
            medication: PrescribedMedication {
                rxnorm: prescription.medication.rxnorm.to_string(),
                ndc: prescription.medication.ndc.to_string(),
                display: prescription.medication.display.clone(),
                strength: prescription.medication.strength.clone(),
            },
            sig: dosing.sig.clone(),
            quantity: dosing.quantity.to_string(),
            unit: dosing.unit.to_string(),
            days_supply: dosing.days_supply,
            refills: dosing.refills,
            remaining_fills: prescription.remaining_fills(),
            last_filled_on: prescription.last_filled_on,
            diagnosis_code: prescription.diagnosis.code.to_string(),
            diagnosis: prescription.diagnosis.display.clone(),
            written_on: prescription.written_on,
            alerts: prescription.alerts.iter().map(SafetyAlertView::of).collect(),
            message_id: message.map(|message| message.uuid()),
            failure,
            created_at: prescription.created_at,
            updated_at: prescription.updated_at,
        }
    }
}

/// A page of prescriptions.
#[derive(Clone, Debug, Object)]
pub struct PrescriptionPage {
    pub items: Vec<PrescriptionView>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A pharmacy of the directory.
#[derive(Clone, Debug, Object)]
pub struct PharmacyView {
    pub id: Uuid,
    /// The NCPDP provider identifier, seven digits.
    pub ncpdp_id: String,
    pub npi: String,
    pub name: String,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    /// The postal code of the state, as in `MA`.
    pub state: String,
    pub postal_code: String,
    /// In E.164 form.
    pub phone: String,
    /// Whether it ships to patients.
    pub mail_order: bool,
    /// The postal codes of the states for whose patients it fills.
    pub licensed_in: Vec<String>,
}

impl PharmacyView {
    pub(super) fn of(pharmacy: &Pharmacy) -> Self {
        Self {
            id: pharmacy.id.uuid(),
            ncpdp_id: pharmacy.ncpdp_id.to_string(),
            npi: pharmacy.npi.to_string(),
            name: pharmacy.name.clone(),
            line1: pharmacy.address.line1.clone(),
            line2: pharmacy.address.line2.clone(),
            city: pharmacy.address.city.clone(),
            state: pharmacy.address.state.to_string(),
            postal_code: pharmacy.address.postal_code.clone(),
            phone: pharmacy.phone.to_string(),
            mail_order: pharmacy.mail_order,
            licensed_in: pharmacy.licensed_in.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A page of pharmacies.
#[derive(Clone, Debug, Object)]
pub struct PharmacyPage {
    pub items: Vec<PharmacyView>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}
