//! Periods that were missed, and what becomes of them.

use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text};
use chrono::{DateTime, Utc};
use kernel::{SubscriptionId, Uuid, text::GraveReason};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;
use subscriptions::{
    Approvals, SubscriptionsStore,
    missed::{MissedPeriod, decide, list},
};

pub struct MissedPeriodsApi {
    pub env: Env,
    pub store: Arc<dyn SubscriptionsStore>,
    pub approvals: Arc<dyn Approvals>,
}

/// A period that passed before it could begin.
#[derive(Debug, Object)]
pub struct MissedPeriodView {
    pub subscription_id: Uuid,
    pub patient_id: Uuid,
    pub category_id: Uuid,
    /// Counted from 0.
    pub period_index: u32,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    pub noted_at: DateTime<Utc>,
    /// Absent until somebody has decided.
    pub decision: Option<subscriptions::missed::MissedDecision>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decided_by: Option<Uuid>,
    pub reason: Option<String>,
}

impl From<MissedPeriod> for MissedPeriodView {
    fn from(missed: MissedPeriod) -> Self {
        let decided = missed.decided;
        Self {
            subscription_id: missed.subscription.uuid(),
            patient_id: missed.patient.uuid(),
            category_id: missed.category.uuid(),
            period_index: missed.period.index,
            starts_at: missed.period.start,
            ends_at: missed.period.end,
            noted_at: missed.noted_at,
            decision: decided.as_ref().map(|decided| decided.decision),
            decided_at: decided.as_ref().map(|decided| decided.at),
            decided_by: decided.as_ref().map(|decided| decided.by.uuid()),
            reason: decided.map(|decided| decided.reason),
        }
    }
}

/// A page of missed periods.
#[derive(Debug, Object)]
pub struct MissedPeriodPage {
    pub items: Vec<MissedPeriodView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Decides about a missed period.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DecideMissedPeriod {
    pub decision: subscriptions::missed::MissedDecision,
    /// Between 10 and 1,000 characters.
    pub reason: Text<GraveReason>,
}

impl Example for DecideMissedPeriod {
    fn example() -> Self {
        Self {
            decision: subscriptions::missed::MissedDecision::Waived,
            reason: "Nothing was sent while the service was down.".into(),
        }
    }
}

#[OpenApi(tag = "Tag::Subscriptions")]
impl MissedPeriodsApi {
    /// List missed periods
    ///
    /// The periods that passed before they could begin, as in an outage, and
    /// about which nobody has decided. They are not charged until somebody
    /// does.
    #[oai(path = "/api/missed-periods", method = "get", operation_id = "listMissedPeriods")]
    async fn list(
        &self,
        caller: Caller,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<MissedPeriodPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let found = list(self.store.as_ref(), caller.actor(), &page).await?;
        let next = found.next;
        Ok(Json(MissedPeriodPage {
            items: found.items.into_iter().map(Into::into).collect(),
            next,
        }))
    }

    /// Decide about a missed period
    ///
    /// Waives it, or has it billed and charged now with the fills that it pays
    /// for. Billing it needs a subscription that has not ended and fills that
    /// are left. A decision stands.
    #[oai(
        path = "/api/missed-periods/:subscription_id/:period_index",
        method = "post",
        operation_id = "decideMissedPeriod"
    )]
    async fn decide(
        &self,
        caller: Caller,
        subscription_id: Path<Uuid>,
        period_index: Path<u32>,
        body: Body<DecideMissedPeriod>,
    ) -> Result<Json<MissedPeriodView>, Problem> {
        let decided = decide(
            &self.env,
            self.store.as_ref(),
            self.approvals.as_ref(),
            caller.actor(),
            (SubscriptionId(subscription_id.0), period_index.0),
            (body.0.decision, &body.0.reason),
        )
        .await?;
        Ok(Json(decided.into()))
    }
}
