//! The life cycle of subscriptions, and what they give access to.

pub mod access;
mod missed;
mod views;

use std::sync::Arc;

use api::{Answer, Body, Caller, Tag, idempotency_key};
use kernel::{PatientId, SubscriptionId};
use poem_openapi::{
    OpenApi,
    param::{Header, Path},
    payload::Json,
};
use ports::Env;
use subscriptions::{
    Approvals, PatientZones, PaymentMethods, Prices, Shop, SubscriptionsStore, manage, start,
};

pub use self::missed::MissedPeriodsApi;
use self::views::{
    CancelSubscriptionRequest, StartSubscriptionRequest, SubscriptionFeaturesView,
    SubscriptionHistoryView, SubscriptionView, SubscriptionsView,
};

pub struct SubscriptionsApi {
    pub env: Env,
    pub store: Arc<dyn SubscriptionsStore>,
    pub approvals: Arc<dyn Approvals>,
    pub prices: Arc<dyn Prices>,
    pub zones: Arc<dyn PatientZones>,
    pub methods: Arc<dyn PaymentMethods>,
}

#[OpenApi(tag = "Tag::Subscriptions")]
impl SubscriptionsApi {
    /// Start a subscription
    ///
    /// Starts a subscription for the calling patient on a price of the
    /// catalogue. It needs an approved assessment in the price's category, an
    /// active treatment plan there whose fills that are not paid for yet last
    /// for the price's months, a payment method, and the express consent to
    /// automatic renewal. While something speaks against sending the treatment
    /// it is refused (409 `subscriptions.treatment_stopped`), so that nobody
    /// pays for what is stopped. It is pending until its first invoice is paid. On an upfront price it is paid once and ends with
    /// its months. Repeated with the same `Idempotency-Key`, it
    /// answers with the subscription that was started first.
    #[oai(path = "/api/subscriptions", method = "post", operation_id = "startSubscription")]
    async fn start(
        &self,
        caller: Caller,
        /// A value that is unique to this purchase; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<StartSubscriptionRequest>,
    ) -> Answer<SubscriptionView> {
        let key = idempotency_key("subscriptions.start", &key.0, &body.0)?;
        let shop = Shop {
            approvals: &*self.approvals,
            prices: &*self.prices,
            zones: &*self.zones,
            methods: &*self.methods,
        };
        let (store, request) = (&*self.store, body.0.parse()?);
        Ok(Json(start::start(&self.env, store, shop, caller.actor(), &key, request).await?.into()))
    }

    /// Get a subscription
    ///
    /// A patient reads their own; staff with the permission any.
    #[oai(path = "/api/subscriptions/:id", method = "get", operation_id = "getSubscription")]
    async fn read(&self, caller: Caller, id: Path<SubscriptionId>) -> Answer<SubscriptionView> {
        Ok(Json(manage::read(&*self.store, caller.actor(), id.0).await?.into()))
    }

    /// Get all of a user's subscriptions
    ///
    /// Those that ended among them, the newest first.
    #[oai(
        path = "/api/subscriptions/multi/:user_id",
        method = "get",
        operation_id = "listSubscriptions"
    )]
    async fn list(&self, caller: Caller, user_id: Path<PatientId>) -> Answer<SubscriptionsView> {
        let found = manage::read_all(&*self.store, caller.actor(), user_id.0).await?;
        Ok(Json(SubscriptionsView { subscriptions: found.into_iter().map(Into::into).collect() }))
    }

    /// Cancel a subscription
    ///
    /// Cancels now or with the period that is paid. Canceling again for the
    /// same time changes nothing. What was billed and is not paid is owed no
    /// longer once the subscription has ended.
    #[oai(
        path = "/api/subscriptions/:id/cancel",
        method = "post",
        operation_id = "cancelSubscription"
    )]
    async fn cancel(
        &self,
        caller: Caller,
        id: Path<SubscriptionId>,
        body: Body<CancelSubscriptionRequest>,
    ) -> Answer<SubscriptionView> {
        let (store, when) = (&*self.store, body.0.when);
        Ok(Json(manage::cancel(&self.env, store, caller.actor(), id.0, when).await?.into()))
    }

    /// Get a subscription's history
    ///
    /// Every change of its state and every period that began, the oldest
    /// first.
    #[oai(
        path = "/api/subscriptions/:id/history",
        method = "get",
        operation_id = "getSubscriptionHistory"
    )]
    async fn history(
        &self,
        caller: Caller,
        id: Path<SubscriptionId>,
    ) -> Answer<SubscriptionHistoryView> {
        let changes = manage::history(&*self.store, caller.actor(), id.0).await?;
        Ok(Json(SubscriptionHistoryView { changes: changes.into_iter().map(Into::into).collect() }))
    }

    /// Get a subscription's features
    ///
    /// What the plan unlocks, as it was bought, and whether it is open now.
    #[oai(
        path = "/api/subscriptions/:id/features",
        method = "get",
        operation_id = "getSubscriptionFeatures"
    )]
    async fn features(
        &self,
        caller: Caller,
        id: Path<SubscriptionId>,
    ) -> Answer<SubscriptionFeaturesView> {
        let found = manage::read(&*self.store, caller.actor(), id.0).await?;
        Ok(Json(SubscriptionFeaturesView::at(self.env.now(), found)))
    }
}
