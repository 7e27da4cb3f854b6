//! What goes over the wire of prescriptions.

use api::{Mirror, Text};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    CategoryId, ErxMessageId, Page, PatientId, PharmacyId, PrescriptionId, ProviderId,
    TreatmentPlanId, Uuid,
    text::{GraveReason, Sig},
};
use pharmacy::{
    PharmacyError,
    prescription::{
        Medication, Pharmacy, Prescription, PrescriptionState, PrescriptionStatus,
        write::{Changes, OverrideRequest, PrescribeRequest},
    },
    safety::{AlertKind, AlertOverride, SafetyAlert, Severity},
};
use poem_openapi::Object;

/// A provider's reason to go on in spite of an alert.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(into = OverrideRequest)]
pub struct AlertOverrideRequest {
    /// The `key` of the alert.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub alert: String,
    /// Why the alert does not stand in the way, in 10 to 1,000 characters.
    pub reason: Text<GraveReason>,
}

/// Asks for the prescription of a treatment plan.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = PrescribeRequest)]
pub struct SendPrescriptionRequest {
    pub treatment_plan_id: TreatmentPlanId,
    /// The `version` of the plan's treatment that was read; where the treatment
    /// has changed since, the answer is 409 `pharmacy.treatment_changed`.
    #[oai(validator(minimum(value = "1")))]
    pub plan_version: u32,
    /// A pharmacy of the directory.
    pub pharmacy_id: PharmacyId,
    /// Overrides of alerts that are known beforehand.
    #[oai(default, validator(max_items = 50))]
    pub overrides: Vec<AlertOverrideRequest>,
}

api::example!(SendPrescriptionRequest {
    treatment_plan_id: Uuid::from_u128(0x0192_9f6e_7c00_7000_8000_0000_0000_0001).into(),
    plan_version: 1,
    pharmacy_id: Uuid::from_u128(0x0192_9f6e_7c00_7000_8000_0000_0000_0002).into(),
    overrides: Vec::new(),
});

/// Overrides alerts of a blocked prescription.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct OverrideAlertsRequest {
    #[oai(validator(min_items = 1, max_items = 50))]
    pub overrides: Vec<AlertOverrideRequest>,
}

api::example!(OverrideAlertsRequest {
    overrides: vec![AlertOverrideRequest {
        alert: "interaction:sildenafil+nitroglycerin".into(),
        reason: "Nitrates were stopped in January.".into(),
    }],
});

/// Changes of a prescription that has not been sent; what is left out stays.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct ModifyPrescriptionRequest {
    pub pharmacy_id: Option<PharmacyId>,
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

api::example!(ModifyPrescriptionRequest {
    pharmacy_id: None,
    sig: Some("Take 1 tablet by mouth in the evening.".into()),
    quantity: Some("30".into()),
    days_supply: Some(30),
    refills: None,
});

impl ModifyPrescriptionRequest {
    pub(super) fn read(self) -> Result<Changes, PharmacyError> {
        let message = "A positive decimal number with at most three decimals.";
        let invalid = |_| PharmacyError::field("quantity", "invalid", message);
        let quantity = self.quantity.map(|text| text.parse().map_err(invalid)).transpose()?;
        Ok(Changes {
            pharmacy: self.pharmacy_id,
            sig: self.sig.map(Into::into),
            quantity,
            days_supply: self.days_supply,
            refills: self.refills,
        })
    }
}

/// A prescriber's override of an alert.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = AlertOverride)]
pub struct AlertOverrideView {
    #[mirror(by)]
    pub provider_id: ProviderId,
    pub reason: String,
    pub at: DateTime<Utc>,
}

/// One finding of the safety check.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = SafetyAlert)]
pub struct SafetyAlertView {
    /// Names the alert on its prescription.
    pub key: String,
    pub kind: AlertKind,
    pub severity: Severity,
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    /// Whether it keeps the prescription from being sent.
    #[mirror(|alert| alert.blocks())]
    pub blocking: bool,
    pub overridden: Option<AlertOverrideView>,
}

/// The product that is prescribed.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Medication)]
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

impl PrescriptionFailure {
    fn of(state: &PrescriptionState) -> Option<Self> {
        let PrescriptionState::Failed { code, reason, .. } = state else { return None };
        Some(Self { code: code.clone(), reason: reason.clone() })
    }
}

/// A prescription.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Prescription)]
pub struct PrescriptionView {
    pub id: PrescriptionId,
    pub treatment_plan_id: TreatmentPlanId,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub category_id: CategoryId,
    pub pharmacy_id: PharmacyId,
    #[mirror(|prescription| prescription.state.status())]
    pub status: PrescriptionStatus,
    pub medication: PrescribedMedication,
    /// The directions to the patient.
    #[mirror(dosing.sig)]
    pub sig: String,
    /// The amount of one fill in `unit`, a decimal number.
    #[mirror(dosing.quantity)]
    pub quantity: String,
    /// `tablet`, `capsule`, `milliliter`, `gram` or `each`.
    #[mirror(dosing.unit)]
    pub unit: String,
    /// How many days one fill lasts.
    #[mirror(dosing.days_supply)]
    pub days_supply: u16,
    /// Refills after the first fill.
    #[mirror(dosing.refills)]
    pub refills: u8,
    /// Fills that are left, the first one counted.
    #[mirror(|prescription| prescription.remaining_fills())]
    pub remaining_fills: u8,
    pub last_filled_on: Option<NaiveDate>,
    /// The ICD-10-CM code of the diagnosis.
    #[mirror(diagnosis.code)]
    pub diagnosis_code: String,
    #[mirror(diagnosis.display)]
    pub diagnosis: String,
    pub written_on: NaiveDate,
    pub alerts: Vec<SafetyAlertView>,
    /// The NewRx that carries it, once it is signed.
    #[mirror(|prescription| prescription.state.message())]
    pub message_id: Option<ErxMessageId>,
    #[mirror(|prescription| PrescriptionFailure::of(&prescription.state))]
    pub failure: Option<PrescriptionFailure>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A page of prescriptions.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Page<Prescription>)]
pub struct PrescriptionPage {
    pub items: Vec<PrescriptionView>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A pharmacy of the directory.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Pharmacy)]
pub struct PharmacyView {
    pub id: PharmacyId,
    /// The NCPDP provider identifier, seven digits.
    pub ncpdp_id: String,
    pub npi: String,
    pub name: String,
    #[mirror(address.line1)]
    pub line1: String,
    #[mirror(address.line2)]
    pub line2: Option<String>,
    #[mirror(address.city)]
    pub city: String,
    /// The postal code of the state, as in `MA`.
    #[mirror(address.state)]
    pub state: String,
    #[mirror(address.postal_code)]
    pub postal_code: String,
    /// In E.164 form.
    pub phone: String,
    /// Whether it ships to patients.
    pub mail_order: bool,
    /// The postal codes of the states for whose patients it fills.
    pub licensed_in: Vec<String>,
}

/// A page of pharmacies.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Page<Pharmacy>)]
pub struct PharmacyPage {
    pub items: Vec<PharmacyView>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}
