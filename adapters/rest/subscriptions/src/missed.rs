//! Periods that were missed, and what becomes of them.

use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Tag, Text};
use chrono::{DateTime, Utc};
use kernel::{AccountId, CategoryId, Page, PatientId, SubscriptionId, text::GraveReason};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;
use subscriptions::{
    Approvals, SubscriptionsStore,
    missed::{MissedDecision, MissedPeriod, decide, list},
};

pub struct MissedPeriodsApi {
    pub env: Env,
    pub store: Arc<dyn SubscriptionsStore>,
    pub approvals: Arc<dyn Approvals>,
}

/// A period that passed before it could begin.
#[derive(Debug, Object, Mirror)]
#[mirror(from = MissedPeriod)]
pub struct MissedPeriodView {
    pub subscription_id: SubscriptionId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    /// Counted from 0.
    #[mirror(period.index)]
    pub period_index: u32,
    #[mirror(period.start)]
    pub starts_at: DateTime<Utc>,
    #[mirror(period.end)]
    pub ends_at: DateTime<Utc>,
    pub noted_at: DateTime<Utc>,
    /// Absent until somebody has decided.
    #[mirror(|missed| missed.decided.as_ref().map(|decided| decided.decision))]
    pub decision: Option<MissedDecision>,
    #[mirror(|missed| missed.decided.as_ref().map(|decided| decided.at))]
    pub decided_at: Option<DateTime<Utc>>,
    #[mirror(|missed| missed.decided.as_ref().map(|decided| decided.by))]
    pub decided_by: Option<AccountId>,
    #[mirror(|missed| missed.decided.as_ref().map(|decided| decided.reason.clone()))]
    pub reason: Option<String>,
}

/// A page of missed periods.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<MissedPeriod>)]
pub struct MissedPeriodPage {
    pub items: Vec<MissedPeriodView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Decides about a missed period.
#[derive(Debug, Object)]
#[oai(example)]
pub struct DecideMissedPeriod {
    pub decision: MissedDecision,
    /// Between 10 and 1,000 characters.
    pub reason: Text<GraveReason>,
}

api::example!(DecideMissedPeriod {
    decision: MissedDecision::Waived,
    reason: "Nothing was sent while the service was down.".into(),
});

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
    ) -> Answer<MissedPeriodPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(list(&*self.store, caller.actor(), &page).await?.into()))
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
        subscription_id: Path<SubscriptionId>,
        period_index: Path<u32>,
        body: Body<DecideMissedPeriod>,
    ) -> Answer<MissedPeriodView> {
        let (store, approvals) = (&*self.store, &*self.approvals);
        let about = (subscription_id.0, period_index.0);
        let decision = (body.0.decision, &*body.0.reason);
        Ok(Json(decide(&self.env, store, approvals, caller.actor(), about, decision).await?.into()))
    }
}
