//! Video consultations.

use care::{Consultation, ConsultationStatus};
use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, ConsultationId, PatientId, ProviderId};
use ports::Result;
use sea_orm::{Condition, entity::prelude::*, sea_query::Expr};

use crate::{Tx, text, text_of};
use pg::{Row, Unreadable, db};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_consultations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ConsultationId,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub category_id: Option<CategoryId>,
    pub state: String,
    pub starts_at: ChronoDateTimeUtc,
    pub status: ConsultationStatus,
    pub began_at: Option<ChronoDateTimeUtc>,
    pub ended_at: Option<ChronoDateTimeUtc>,
    pub room: Option<String>,
    pub notes: Option<Vec<u8>>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Consultation;

    const SEALED: &'static [Column] = &[Column::Notes];
    /// The id of the vendor's session stays out of the audit log, because it helps to join.
    const UNTOLD: &'static [Column] = &[Column::Room];

    fn open(self) -> Result<Consultation, Unreadable> {
        Ok(Consultation {
            id: self.id,
            patient: self.patient_id,
            provider: self.provider_id,
            category: self.category_id,
            state: self.state.parse()?,
            starts_at: self.starts_at,
            status: self.status,
            began_at: self.began_at,
            ended_at: self.ended_at,
            room: self.room,
            notes: text_of(self.notes)?,
            version: self.version,
        })
    }

    fn close(consultation: &Consultation) -> Self {
        Self {
            id: consultation.id,
            patient_id: consultation.patient,
            provider_id: consultation.provider,
            category_id: consultation.category,
            state: consultation.state.to_string(),
            starts_at: consultation.starts_at,
            status: consultation.status,
            began_at: consultation.began_at,
            ended_at: consultation.ended_at,
            room: consultation.room.clone(),
            notes: text(consultation.notes.as_ref()),
            version: consultation.version,
        }
    }

    /// Only the patient and the provider of a consultation see it, not other providers who
    /// treat the patient.
    fn reach(actor: &Actor) -> Condition {
        let all = Condition::all();
        match (actor.as_provider(), actor.as_patient()) {
            _ if actor.is_system() => all,
            (Some(provider), _) => all.add(Column::ProviderId.eq(provider)),
            (None, Some(patient)) => all.add(Column::PatientId.eq(patient)),
            (None, None) => all.add(Expr::value(false)),
        }
    }
}

pub async fn ahead(tx: &mut Tx, patient: PatientId, now: DateTime<Utc>) -> Result<u64> {
    tx.lock("waiting for a patient's bookings", format!("booking/{patient}")).await?;
    Entity::find()
        .filter(Column::PatientId.eq(patient))
        .filter(Column::Status.eq(ConsultationStatus::Scheduled))
        .filter(Column::StartsAt.gt(now))
        .count(tx.read())
        .await
        .map_err(|error| db("counting the bookings of a patient", error))
}
