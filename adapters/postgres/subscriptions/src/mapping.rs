//! Between rows and the domain.

use kernel::{AccountId, InvoiceId, Money};
use ports::{PortError, Result};
use sea_orm::ActiveValue::Set;
use subscriptions::{BillingInterval, Change, Consent, Period, State, StateWord, Subscription};

use super::entities::{change, period, subscription};
use crate::Tx;

fn corrupt(column: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::internal(format!("a stored subscription has an invalid {column}"), cause)
}

fn index(value: i32) -> Result<u32> {
    u32::try_from(value).map_err(|error| corrupt("period_index", error))
}

fn signed(value: u32) -> Result<i32> {
    i32::try_from(value).map_err(|error| corrupt("period_index", error))
}

/// The column that holds the sealed treatments.
const COVERS: &str = "subscriptions.covers";

pub fn subscription(tx: &Tx, row: subscription::Model) -> Result<Subscription> {
    let money = |minor, currency: &str| -> Result<Money> {
        let currency = currency.parse().map_err(|error| corrupt("currency", error))?;
        Ok(Money::new(minor, currency))
    };
    let interval = |months: i32| -> Result<BillingInterval> {
        BillingInterval::of_months(months.unsigned_abs())
            .map_err(|error| corrupt("interval_months", error))
    };
    let word: StateWord = row.state.parse().map_err(|error| corrupt("state", error))?;
    let since = row.state_since;
    let state = match (word, row.failed_invoice_id) {
        (StateWord::Pending, _) => State::Pending,
        (StateWord::Active, _) => State::Active { since },
        (StateWord::Paused, _) => State::Paused { since },
        (StateWord::PastDue, Some(invoice)) => {
            State::PastDue { since, invoice: InvoiceId(invoice) }
        }
        (StateWord::PastDue, None) => {
            return Err(PortError::bug("a past due subscription names no failed invoice"));
        }
        (StateWord::Canceled, _) => State::Canceled { at: since },
    };
    Ok(Subscription {
        id: row.id.into(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        assessment: row.assessment_id.into(),
        plan: row.plan_id.into(),
        price: row.price_id.into(),
        price_version: row.price_version,
        plan_name: row.plan_name,
        amount: money(row.amount_minor, &row.currency)?,
        interval: interval(row.interval_months)?,
        tier: row.tier.parse().map_err(|error| corrupt("tier", error))?,
        features: serde_json::from_value(row.features)
            .map_err(|error| corrupt("features", error))?,
        covers: match row.covers {
            None => Vec::new(),
            Some(sealed) => serde_json::from_slice(&tx.unseal(COVERS, row.id, sealed)?)
                .map_err(|error| corrupt("covers", error))?,
        },
        zone: row.zone.parse().map_err(|error| corrupt("zone", error))?,
        anchor: row.anchor_day,
        consent: Consent {
            terms_version: row.consent_terms_version,
            amount: money(row.consent_amount_minor, &row.consent_currency)?,
            interval: interval(row.consent_interval_months)?,
            accepted_at: row.consent_accepted_at,
            ip: row.consent_ip,
            user_agent: row.consent_user_agent,
        },
        state,
        period: Period {
            index: index(row.period_index)?,
            start: row.period_start,
            end: row.period_end,
        },
        cancel_at_period_end: row.cancel_at_period_end,
        created_at: row.created_at,
        version: row.version,
    })
}

pub fn subscription_row(
    tx: &Tx,
    value: &Subscription,
    version: i64,
) -> Result<subscription::ActiveModel> {
    let covers = match value.covers.as_slice() {
        [] => None,
        covers => {
            let plain = serde_json::to_vec(covers).map_err(|error| corrupt("covers", error))?;
            Some(tx.seal(COVERS, value.id.uuid(), &plain)?)
        }
    };
    let (since, failed_invoice) = match &value.state {
        State::Pending => (value.created_at, None),
        State::Active { since } | State::Paused { since } => (*since, None),
        State::PastDue { since, invoice } => (*since, Some(invoice.uuid())),
        State::Canceled { at } => (*at, None),
    };
    let months = |interval: BillingInterval| {
        i32::try_from(interval.months()).map_err(|error| corrupt("interval_months", error))
    };
    Ok(subscription::ActiveModel {
        id: Set(value.id.uuid()),
        patient_id: Set(value.patient.uuid()),
        category_id: Set(value.category.uuid()),
        assessment_id: Set(value.assessment.uuid()),
        plan_id: Set(value.plan.uuid()),
        price_id: Set(value.price.uuid()),
        price_version: Set(value.price_version),
        plan_name: Set(value.plan_name.clone()),
        amount_minor: Set(value.amount.minor),
        currency: Set(value.amount.currency.code().to_owned()),
        interval_months: Set(months(value.interval)?),
        tier: Set(value.tier.to_string()),
        features: Set(serde_json::json!(value.features)),
        covers: Set(covers),
        zone: Set(value.zone.name().to_owned()),
        anchor_day: Set(value.anchor),
        consent_terms_version: Set(value.consent.terms_version.clone()),
        consent_amount_minor: Set(value.consent.amount.minor),
        consent_currency: Set(value.consent.amount.currency.code().to_owned()),
        consent_interval_months: Set(months(value.consent.interval)?),
        consent_accepted_at: Set(value.consent.accepted_at),
        consent_ip: Set(value.consent.ip.clone()),
        consent_user_agent: Set(value.consent.user_agent.clone()),
        state: Set(value.state.word().to_string()),
        state_since: Set(since),
        failed_invoice_id: Set(failed_invoice),
        period_index: Set(signed(value.period.index)?),
        period_start: Set(value.period.start),
        period_end: Set(value.period.end),
        cancel_at_period_end: Set(value.cancel_at_period_end),
        created_at: Set(value.created_at),
        version: Set(version),
    })
}

pub fn period_row(value: &Subscription) -> Result<period::ActiveModel> {
    Ok(period::ActiveModel {
        subscription_id: Set(value.id.uuid()),
        period_index: Set(signed(value.period.index)?),
        patient_id: Set(value.patient.uuid()),
        starts_at: Set(value.period.start),
        ends_at: Set(value.period.end),
    })
}

pub fn change(row: change::Model) -> Result<Change> {
    let word = |text: &str| text.parse().map_err(|error| corrupt("state", error));
    Ok(Change {
        at: row.changed_at,
        from: row.from_state.as_deref().map(word).transpose()?,
        to: word(&row.to_state)?,
        reason: row.reason.parse().map_err(|error| corrupt("reason", error))?,
        period_index: index(row.period_index)?,
        actor_kind: row.actor_kind,
        actor: row.actor_id.map(AccountId),
    })
}

pub fn change_row(subscription: &Subscription, value: &Change) -> Result<change::ActiveModel> {
    Ok(change::ActiveModel {
        subscription_id: Set(subscription.id.uuid()),
        patient_id: Set(subscription.patient.uuid()),
        changed_at: Set(value.at),
        from_state: Set(value.from.map(|word| word.to_string())),
        to_state: Set(value.to.to_string()),
        reason: Set(value.reason.to_string()),
        period_index: Set(signed(value.period_index)?),
        actor_kind: Set(value.actor_kind.clone()),
        actor_id: Set(value.actor.map(AccountId::uuid)),
        ..Default::default()
    })
}
