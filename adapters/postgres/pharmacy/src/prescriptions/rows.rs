//! Prescriptions. What is clinical lies sealed in one column.

use kernel::{
    Actor, CategoryId, ErxMessageId, PatientId, PharmacyId, PrescriptionId, ProviderId,
    QuantityUnit, TreatmentPlanId,
};
use pharmacy::{
    prescription::{
        Amount, Diagnosis, Dosing, Medication, Prescription, PrescriptionReach, PrescriptionState,
    },
    safety::SafetyAlert,
};
use ports::Result;
use sea_orm::{Condition, entity::prelude::*, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{int, staffed_by};
use pg::{Row, Unreadable};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "prescriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PrescriptionId,
    pub treatment_plan_id: TreatmentPlanId,
    pub plan_version: i32,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub category_id: CategoryId,
    pub pharmacy_id: PharmacyId,
    pub clinical: Vec<u8>,
    pub quantity_milli: i64,
    pub unit: QuantityUnit,
    pub days_supply: i16,
    pub refills: i16,
    pub fills_used: i16,
    pub last_filled_on: Option<ChronoDate>,
    pub written_on: ChronoDate,
    pub state: String,
    pub state_at: Option<ChronoDateTimeUtc>,
    pub message_id: Option<ErxMessageId>,
    pub attempts: i32,
    pub state_detail: Option<Vec<u8>>,
    pub created_at: ChronoDateTimeUtc,
    pub updated_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Serialize, Deserialize)]
struct Clinical {
    medication: Medication,
    sig: String,
    diagnosis: Diagnosis,
    alerts: Vec<SafetyAlert>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Detail {
    alerts: Vec<String>,
    code: String,
    reason: String,
}

impl Model {
    fn state(&self) -> Result<PrescriptionState, Unreadable> {
        let at = || self.state_at.ok_or("it lacks the time of its state");
        let message = || self.message_id.ok_or("it lacks its message");
        let detail = || -> Result<Detail, Unreadable> {
            let sealed = self.state_detail.as_deref().ok_or("it lacks its state's detail")?;
            Ok(serde_json::from_slice(sealed)?)
        };
        Ok(match self.state.as_str() {
            "draft" => PrescriptionState::Draft,
            "blocked" => PrescriptionState::Blocked { alerts: detail()?.alerts },
            "queued" => PrescriptionState::Queued {
                message: message()?,
                attempts: self.attempts.try_into()?,
            },
            "sent" => PrescriptionState::Sent { message: message()?, at: at()? },
            "active" => PrescriptionState::Active { message: message()?, verified_at: at()? },
            "completed" => PrescriptionState::Completed { at: at()? },
            "failed" => {
                let Detail { code, reason, .. } = detail()?;
                PrescriptionState::Failed { code, reason, at: at()? }
            }
            "canceled" => PrescriptionState::Canceled { reason: detail()?.reason, at: at()? },
            other => return Err(format!("it is in the state {other}").into()),
        })
    }
}

impl Row for Model {
    type Aggregate = Prescription;

    const SEALED: &'static [Column] = &[Column::Clinical, Column::StateDetail];

    fn open(self) -> Result<Prescription, Unreadable> {
        let state = self.state()?;
        let Clinical { medication, sig, diagnosis, alerts } =
            serde_json::from_slice(&self.clinical)?;
        Ok(Prescription {
            id: self.id,
            treatment_plan: self.treatment_plan_id,
            plan_version: self.plan_version.try_into()?,
            patient: self.patient_id,
            provider: self.provider_id,
            category: self.category_id,
            pharmacy: self.pharmacy_id,
            medication,
            dosing: Dosing {
                sig,
                quantity: Amount::from_thousandths(self.quantity_milli.try_into()?)?,
                unit: self.unit,
                days_supply: self.days_supply.try_into()?,
                refills: self.refills.try_into()?,
            },
            diagnosis,
            written_on: self.written_on,
            alerts,
            fills_used: self.fills_used.try_into()?,
            last_filled_on: self.last_filled_on,
            state,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        })
    }

    fn close(prescription: &Prescription) -> Self {
        let Prescription { medication, dosing, diagnosis, alerts, .. } = prescription.clone();
        let Dosing { sig, quantity, unit, days_supply, refills } = dosing;
        let clinical = Clinical { medication, sig, diagnosis, alerts };
        let (state_at, message_id, attempts, detail) = match prescription.state.clone() {
            PrescriptionState::Draft => (None, None, 0, None),
            PrescriptionState::Blocked { alerts } => {
                (None, None, 0, Some(Detail { alerts, ..Detail::default() }))
            }
            PrescriptionState::Queued { message, attempts } => {
                (None, Some(message), attempts, None)
            }
            PrescriptionState::Sent { message, at }
            | PrescriptionState::Active { message, verified_at: at } => {
                (Some(at), Some(message), 0, None)
            }
            PrescriptionState::Completed { at } => (Some(at), None, 0, None),
            PrescriptionState::Failed { code, reason, at } => {
                (Some(at), None, 0, Some(Detail { code, reason, ..Detail::default() }))
            }
            PrescriptionState::Canceled { reason, at } => {
                (Some(at), None, 0, Some(Detail { reason, ..Detail::default() }))
            }
        };
        Self {
            id: prescription.id,
            treatment_plan_id: prescription.treatment_plan,
            plan_version: int(prescription.plan_version),
            patient_id: prescription.patient,
            provider_id: prescription.provider,
            category_id: prescription.category,
            pharmacy_id: prescription.pharmacy,
            clinical: json!(clinical).to_string().into_bytes(),
            quantity_milli: quantity.thousandths().into(),
            unit,
            // A hundred at most.
            days_supply: days_supply.try_into().unwrap_or(i16::MAX),
            refills: refills.into(),
            fills_used: prescription.fills_used.into(),
            last_filled_on: prescription.last_filled_on,
            written_on: prescription.written_on,
            state: prescription.state.word().to_owned(),
            state_at,
            message_id,
            attempts: int(attempts),
            state_detail: detail.map(|detail| json!(detail).to_string().into_bytes()),
            created_at: prescription.created_at,
            updated_at: prescription.updated_at,
            version: prescription.version,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        match actor.as_provider() {
            _ if actor.is_system() => Condition::all(),
            Some(provider) => within(PrescriptionReach::Prescriber(provider)),
            None => Condition::all().add(Expr::value(false)),
        }
    }
}

/// The condition that holds a query to its reach.
pub fn within(reach: PrescriptionReach) -> Condition {
    let treated = |provider: ProviderId| {
        Expr::cust_with_values("salus_care_treats($1, patient_id)", [provider.uuid()])
    };
    let all = Condition::all();
    match reach {
        PrescriptionReach::Any => all,
        PrescriptionReach::Patient(patient) => all.add(Column::PatientId.eq(patient)),
        PrescriptionReach::Prescriber(provider) => {
            all.add(Column::ProviderId.eq(provider)).add(treated(provider))
        }
        PrescriptionReach::Responsible(provider) => {
            let answers = Expr::cust_with_values(
                "treatment_plan_id IN (SELECT id FROM care_treatment_plans \
                 WHERE provider_id = $1)",
                [provider.uuid()],
            );
            let theirs = Condition::any().add(Column::ProviderId.eq(provider)).add(answers);
            all.add(theirs).add(treated(provider))
        }
        PrescriptionReach::Pharmacist { account, patient } => all
            .add(staffed_by(account))
            .add_option(patient.map(|patient| Column::PatientId.eq(patient))),
    }
}
