//! Customers of the gateway and payment methods.

use billing::{BillingCustomer, CardDetails, Decline, Lookup, PaymentMethod, PaymentMethodState};
use kernel::{PatientId, PaymentMethodId, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{REACHED, get, lock, promised, reached};
use crate::Tx;
use pg::expect_changed;

pub async fn lock_customer(tx: &mut Tx, patient: PatientId) -> Result<BillingCustomer> {
    let now = tx.now();
    tx.execute(
        "making a customer",
        "INSERT INTO billing_customers (patient_id, created_at) VALUES ($1, $2) \
         ON CONFLICT DO NOTHING",
        [patient.uuid().into(), now.into()],
    )
    .await?;
    customer(tx, patient, Lookup::Lock)
        .await?
        .ok_or_else(|| PortError::bug("a customer is beyond the reach of its actor"))
}

pub async fn customer(
    tx: &Tx,
    patient: PatientId,
    lookup: Lookup,
) -> Result<Option<BillingCustomer>> {
    let sql = format!(
        "SELECT gateway_id FROM billing_customers WHERE patient_id = $3 AND {REACHED} {}",
        lock(lookup)
    );
    let rows = reached(tx, "loading a customer", &sql, [patient.uuid().into()]).await?;
    rows.first()
        .map(|row| Ok(BillingCustomer { patient, gateway_id: get(row, "gateway_id")? }))
        .transpose()
}

pub async fn set_gateway_customer(tx: &mut Tx, patient: PatientId, gateway_id: &str) -> Result<()> {
    let changed = tx
        .execute(
            "keeping the gateway's id of a customer",
            "UPDATE billing_customers SET gateway_id = coalesce(gateway_id, $2) \
             WHERE patient_id = $1",
            [patient.uuid().into(), gateway_id.into()],
        )
        .await?;
    expect_changed(changed.rows_affected(), "billing_customers")
}

pub async fn one(tx: &Tx, id: PaymentMethodId) -> Result<Option<PaymentMethod>> {
    let sql = format!("SELECT * FROM payment_methods WHERE id = $3 AND {REACHED}");
    let rows = reached(tx, "loading a payment method", &sql, [id.uuid().into()]).await?;
    rows.first().map(method).transpose()
}

pub async fn of_patient(tx: &Tx, patient: PatientId) -> Result<Vec<PaymentMethod>> {
    let sql = format!(
        "SELECT * FROM payment_methods WHERE patient_id = $3 \
         AND status IN ('active', 'removed') AND {REACHED} ORDER BY created_at, id"
    );
    let rows = reached(tx, "listing payment methods", &sql, [patient.uuid().into()]).await?;
    rows.iter().map(method).collect()
}

pub async fn save(tx: &mut Tx, method: &PaymentMethod) -> Result<()> {
    let card = method.state.card();
    let decline = match &method.state {
        PaymentMethodState::Refused { decline } => Some(decline),
        _ => None,
    };
    let removed_at = match &method.state {
        PaymentMethodState::Removed { at, .. } => Some(*at),
        _ => None,
    };
    let state: [Value; 10] = [
        method.state.word().into(),
        method.is_default.into(),
        card.map(|card| card.gateway_id.clone()).into(),
        card.map(|card| card.brand.clone()).into(),
        card.map(|card| card.last4.clone()).into(),
        card.map(|card| i16::from(card.exp_month)).into(),
        card.map(|card| i16::try_from(card.exp_year).unwrap_or(i16::MAX)).into(),
        decline.map(|decline| decline.code.clone()).into(),
        decline.map(|decline| decline.message.clone()).into(),
        removed_at.into(),
    ];
    if method.version == 0 {
        let values = state.into_iter().chain([
            method.id.uuid().into(),
            method.patient.uuid().into(),
            method.token.clone().into(),
            method.created_at.into(),
        ]);
        tx.execute(
            "adding a payment method",
            "INSERT INTO payment_methods (status, is_default, gateway_id, brand, last4, \
             exp_month, exp_year, decline_code, decline_message, removed_at, id, patient_id, \
             token, created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1)",
            values.collect::<Vec<_>>(),
        )
        .await?;
        return Ok(());
    }
    let values = state.into_iter().chain([method.id.uuid().into(), method.version.into()]);
    let changed = tx
        .execute(
            "saving a payment method",
            "UPDATE payment_methods SET status = $1, is_default = $2, gateway_id = $3, \
             brand = $4, last4 = $5, exp_month = $6, exp_year = $7, decline_code = $8, \
             decline_message = $9, removed_at = $10, version = version + 1 \
             WHERE id = $11 AND version = $12",
            values.collect::<Vec<_>>(),
        )
        .await?;
    expect_changed(changed.rows_affected(), "payment_methods")
}

fn method(row: &QueryResult) -> Result<PaymentMethod> {
    let status: String = get(row, "status")?;
    let state = match status.as_str() {
        "pending" => PaymentMethodState::Pending,
        "active" => PaymentMethodState::Active { card: card(row)? },
        "refused" => PaymentMethodState::Refused {
            decline: Decline::new(
                promised::<String>(row, "decline_code")?,
                promised::<String>(row, "decline_message")?,
            ),
        },
        "removed" => {
            PaymentMethodState::Removed { card: card(row)?, at: promised(row, "removed_at")? }
        }
        other => return Err(PortError::bug(format!("a payment method is {other}"))),
    };
    Ok(PaymentMethod {
        id: PaymentMethodId(get::<Uuid>(row, "id")?),
        patient: PatientId(get::<Uuid>(row, "patient_id")?),
        token: get(row, "token")?,
        state,
        is_default: get(row, "is_default")?,
        created_at: get(row, "created_at")?,
        version: get(row, "version")?,
    })
}

fn card(row: &QueryResult) -> Result<CardDetails> {
    let out_of_range = |_| PortError::bug("a card's expiry is out of range");
    Ok(CardDetails {
        gateway_id: promised(row, "gateway_id")?,
        brand: promised(row, "brand")?,
        last4: promised(row, "last4")?,
        exp_month: promised::<i16>(row, "exp_month")?.try_into().map_err(out_of_range)?,
        exp_year: promised::<i16>(row, "exp_year")?.try_into().map_err(out_of_range)?,
    })
}
