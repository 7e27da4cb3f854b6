//! Charts opened in an emergency.

use care::break_glass::{AccessReview, BreakGlass};
use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, BreakGlassId, PatientId, Permission, ProviderId};
use ports::Result;
use sea_orm::{Condition, QueryOrder as _, QuerySelect as _, entity::prelude::*, sea_query::Expr};

use crate::{Tx, text, text_of};
use pg::{Row, Unreadable};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_break_glass")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BreakGlassId,
    pub provider_id: ProviderId,
    pub patient_id: PatientId,
    pub reason: Vec<u8>,
    pub opened_at: ChronoDateTimeUtc,
    pub expires_at: ChronoDateTimeUtc,
    pub reviewed_at: Option<ChronoDateTimeUtc>,
    pub reviewed_by: Option<AccountId>,
    pub justified: Option<bool>,
    pub review_note: Option<Vec<u8>>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = BreakGlass;

    const SEALED: &'static [Column] = &[Column::Reason, Column::ReviewNote];

    fn open(self) -> Result<BreakGlass, Unreadable> {
        let note = text_of(self.review_note)?;
        let review = match (self.reviewed_at, self.reviewed_by, self.justified, note) {
            (Some(at), Some(by), Some(justified), Some(note)) => {
                Some(AccessReview { by, at, justified, note })
            }
            _ => None,
        };
        Ok(BreakGlass {
            id: self.id,
            provider: self.provider_id,
            patient: self.patient_id,
            reason: String::from_utf8(self.reason)?,
            opened_at: self.opened_at,
            expires_at: self.expires_at,
            review,
            version: self.version,
        })
    }

    fn close(glass: &BreakGlass) -> Self {
        let review = glass.review.as_ref();
        Self {
            id: glass.id,
            provider_id: glass.provider,
            patient_id: glass.patient,
            reason: glass.reason.clone().into_bytes(),
            opened_at: glass.opened_at,
            expires_at: glass.expires_at,
            reviewed_at: review.map(|review| review.at),
            reviewed_by: review.map(|review| review.by),
            justified: review.map(|review| review.justified),
            review_note: text(review.map(|review| &review.note)),
            version: glass.version,
        }
    }

    /// Those who judge them reach all, and a provider their own.
    fn reach(actor: &Actor) -> Condition {
        match actor.as_provider() {
            _ if actor.may(Permission::BreakGlassReview) => Condition::all(),
            Some(provider) => Condition::all().add(Column::ProviderId.eq(provider)),
            None => Condition::all().add(Expr::value(false)),
        }
    }
}

pub async fn open(
    tx: &mut Tx,
    provider: ProviderId,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Option<BreakGlass>> {
    let found = Entity::find()
        .filter(Column::ProviderId.eq(provider))
        .filter(Column::PatientId.eq(patient))
        .filter(Column::OpenedAt.lte(now))
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::ExpiresAt);
    Ok(Model::load(tx, found.limit(1)).await?.pop())
}
