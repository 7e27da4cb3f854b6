//! Held fills.

use kernel::{Actor, CategoryId, FillHoldId, InvoiceId, PatientId, PrescriptionId, ProviderId};
use pharmacy::dispatch::hold::{FillHold, Release};
use ports::Result;
use sea_orm::{Condition, entity::prelude::*, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::WORK;
use crate::int;
use pg::{Row, Unreadable};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "fill_holds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FillHoldId,
    pub invoice_id: InvoiceId,
    pub number: i32,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub prescription_id: Option<PrescriptionId>,
    pub provider_id: Option<ProviderId>,
    pub grounds: Vec<u8>,
    pub held_at: ChronoDateTimeUtc,
    pub released_at: Option<ChronoDateTimeUtc>,
    pub released_by: Option<ProviderId>,
    pub decision: Option<Vec<u8>>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A provider's own words, and what was accepted with them.
#[derive(Serialize, Deserialize)]
struct Decision {
    reason: String,
    accepted: Vec<String>,
}

impl Row for Model {
    type Aggregate = FillHold;

    const SEALED: &'static [Column] = &[Column::Grounds, Column::Decision];

    fn open(self) -> Result<FillHold, Unreadable> {
        let released = match (self.released_at, self.released_by, self.decision) {
            (Some(at), Some(by), Some(decision)) => {
                let Decision { reason, accepted } = serde_json::from_slice(&decision)?;
                Some(Release { at, by, reason, accepted })
            }
            _ => None,
        };
        Ok(FillHold {
            id: self.id,
            invoice: self.invoice_id,
            number: self.number.try_into()?,
            patient: self.patient_id,
            category: self.category_id,
            prescription: self.prescription_id,
            provider: self.provider_id,
            grounds: serde_json::from_slice(&self.grounds)?,
            held_at: self.held_at,
            released,
            version: self.version,
        })
    }

    fn close(hold: &FillHold) -> Self {
        let released = hold.released.as_ref();
        let decision = hold.released.clone().map(|Release { reason, accepted, .. }| {
            json!(Decision { reason, accepted }).to_string().into_bytes()
        });
        Self {
            id: hold.id,
            invoice_id: hold.invoice,
            number: int(hold.number),
            patient_id: hold.patient,
            category_id: hold.category,
            prescription_id: hold.prescription,
            provider_id: hold.provider,
            grounds: json!(hold.grounds).to_string().into_bytes(),
            held_at: hold.held_at,
            released_at: released.map(|release| release.at),
            released_by: released.map(|release| release.by),
            decision,
            version: hold.version,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        workable(actor)
    }
}

/// The staff that works held fills; nobody else sees any. A pharmacist sees
/// those of the own pharmacies, a provider those of the patients whom they treat.
pub fn workable(actor: &Actor) -> Condition {
    let all = Condition::all();
    match (actor.as_pharmacist(), actor.as_provider()) {
        (Some(account), _) => all.add(Expr::cust_with_values(
            "prescription_id IN (SELECT p.id FROM prescriptions p JOIN pharmacy_staff s \
             ON s.pharmacy_id = p.pharmacy_id WHERE s.account_id = $1)",
            [account.uuid()],
        )),
        (None, Some(provider)) => {
            all.add(Expr::cust_with_values("salus_care_treats($1, patient_id)", [provider.uuid()]))
        }
        (None, None) if actor.may(WORK) => all,
        (None, None) => all.add(Expr::value(false)),
    }
}
