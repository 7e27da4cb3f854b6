//! Shipments. The recipient lies sealed, and so does what a label tells whoever has it; a
//! box is found by a keyed digest of its tracking number.

use async_trait::async_trait;
use kernel::{Actor, DispatchId, Money, PatientId, PrescriptionId, ShipmentId};
use pharmacy::{
    fulfilment::Label,
    shipment::{Shipment, TrackingStatus},
};
use ports::Result;
use sea_orm::{Condition, entity::prelude::*, sea_query::Expr};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::WORK;
use pg::{PgTx, Row, Unreadable, reach};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "shipments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ShipmentId,
    pub dispatch_id: DispatchId,
    pub prescription_id: PrescriptionId,
    pub patient_id: PatientId,
    pub recipient: Vec<u8>,
    pub carrier_shipment_id: Option<String>,
    pub carrier: Option<String>,
    pub service: Option<String>,
    pub tracking_number: Option<String>,
    pub tracker_id: Option<String>,
    pub label_id: Option<String>,
    pub label_url: Option<String>,
    pub sealed_label: Option<Vec<u8>>,
    pub cost_minor: Option<i64>,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub cost_currency: Option<String>,
    pub status: TrackingStatus,
    pub status_at: Option<ChronoDateTimeUtc>,
    pub confirmed_at: Option<ChronoDateTimeUtc>,
    pub created_at: ChronoDateTimeUtc,
    pub shipped_at: Option<ChronoDateTimeUtc>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Serialize, Deserialize)]
struct SealedLabel {
    tracking_number: String,
    url: String,
}

impl Model {
    fn label(&self) -> Result<Option<Label>, Unreadable> {
        let Some(id) = self.label_id.clone() else { return Ok(None) };
        let whole = |value: &Option<String>| value.clone().ok_or("its label is not whole");
        let (tracking_number, url) = match &self.sealed_label {
            Some(sealed) => {
                let SealedLabel { tracking_number, url } = serde_json::from_slice(sealed)?;
                (tracking_number, url)
            }
            // A row from before labels were sealed has both in the clear.
            None => (whole(&self.tracking_number)?, whole(&self.label_url)?),
        };
        let minor = self.cost_minor.ok_or("its label has no cost")?;
        Ok(Some(Label {
            id,
            url,
            carrier: whole(&self.carrier)?,
            service: whole(&self.service)?,
            tracking_number,
            tracker_id: whole(&self.tracker_id)?,
            cost: Money::new(minor, whole(&self.cost_currency)?.parse()?),
        }))
    }
}

#[async_trait]
impl Row for Model {
    type Aggregate = Shipment;

    const SEALED: &'static [Column] = &[Column::Recipient, Column::SealedLabel];

    const UNTOLD: &'static [Column] = &[
        Column::CarrierShipmentId,
        Column::TrackingNumber,
        Column::TrackerId,
        Column::LabelId,
        Column::LabelUrl,
    ];

    fn open(self) -> Result<Shipment, Unreadable> {
        Ok(Shipment {
            id: self.id,
            dispatch: self.dispatch_id,
            prescription: self.prescription_id,
            patient: self.patient_id,
            recipient: serde_json::from_slice(&self.recipient)?,
            label: self.label()?,
            carrier_shipment: self.carrier_shipment_id,
            status: self.status,
            status_at: self.status_at,
            confirmed_at: self.confirmed_at,
            created_at: self.created_at,
            shipped_at: self.shipped_at,
            version: self.version,
        })
    }

    /// The digest of the tracking number is a part: only the sealer makes it.
    fn close(shipment: &Shipment) -> Self {
        let label = shipment.label.clone();
        let text = |pick: fn(Label) -> String| label.clone().map(pick);
        let sealed = label.as_ref().map(|Label { tracking_number, url, .. }| {
            json!(SealedLabel { tracking_number: tracking_number.clone(), url: url.clone() })
        });
        Self {
            id: shipment.id,
            dispatch_id: shipment.dispatch,
            prescription_id: shipment.prescription,
            patient_id: shipment.patient,
            recipient: json!(shipment.recipient).to_string().into_bytes(),
            carrier_shipment_id: shipment.carrier_shipment.clone(),
            carrier: text(|label| label.carrier),
            service: text(|label| label.service),
            tracking_number: text(|_| String::new()),
            tracker_id: text(|label| label.tracker_id),
            label_id: text(|label| label.id),
            label_url: text(|_| String::new()),
            sealed_label: sealed.map(|sealed| sealed.to_string().into_bytes()),
            cost_minor: label.as_ref().map(|label| label.cost.minor),
            cost_currency: text(|label| label.cost.currency.code().to_owned()),
            status: shipment.status,
            status_at: shipment.status_at,
            confirmed_at: shipment.confirmed_at,
            created_at: shipment.created_at,
            shipped_at: shipment.shipped_at,
            version: shipment.version,
        }
    }

    /// A shipment belongs to the pharmacy of its dispatch.
    fn reach(actor: &Actor) -> Condition {
        let own = actor.as_pharmacist().map(|account| {
            Expr::cust_with_values(
                "dispatch_id IN (SELECT d.id FROM dispatches d JOIN pharmacy_staff s \
                 ON s.pharmacy_id = d.pharmacy_id WHERE s.account_id = $1)",
                [account.uuid()],
            )
        });
        reach(actor, Column::PatientId, WORK).add_option(own)
    }

    /// Seals a label from before they were sealed as well.
    async fn save_parts(tx: &mut PgTx, shipment: &Shipment) -> Result<()> {
        let row = Self::close(shipment);
        let (Some(label), Some(plain)) = (&shipment.label, row.sealed_label) else {
            return Ok(());
        };
        let index = index(tx, &label.tracking_number)?;
        let sealed = tx.seal("shipments.sealed_label", shipment.id, &plain)?;
        tx.execute(
            "keeping by what a shipment is found",
            "UPDATE shipments SET tracking_number = $2, label_url = '', sealed_label = $3 \
             WHERE id = $1 AND tracking_number <> $2",
            [shipment.id.into(), index.into(), sealed.into()],
        )
        .await?;
        Ok(())
    }
}

/// By what a tracking number is found.
pub fn index(tx: &PgTx, number: &str) -> Result<String> {
    let index = tx.sealer().blind_index("shipments.tracking_number", number)?;
    Ok(hex::encode(index.0))
}
