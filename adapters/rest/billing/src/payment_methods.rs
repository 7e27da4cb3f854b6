use std::sync::Arc;

use api::{Body, Caller, Done, Problem, Tag, idempotency_key};
use billing::{
    BillingError, BillingStore, PaymentGateway, PaymentMethod, Subscriptions, payment_methods,
};
use chrono::{DateTime, Utc};
use kernel::{FieldError, PaymentMethodId, Uuid};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Example,
};
use ports::Env;

pub struct PaymentMethodsApi {
    pub env: Env,
    pub store: Arc<dyn BillingStore>,
    pub gateway: Arc<dyn PaymentGateway>,
    pub subscriptions: Arc<dyn Subscriptions>,
}

/// A card to add. Card numbers never come here: the browser gives them to the
/// payment gateway, which answers with the id that is sent.
#[derive(Debug, Object)]
#[oai(example)]
pub struct AddPaymentMethod {
    /// The id of the payment method that the gateway's browser library gave.
    #[oai(validator(min_length = 5, max_length = 255))]
    pub payment_method: String,
}

impl Example for AddPaymentMethod {
    fn example() -> Self {
        Self { payment_method: "pm_card_visa".to_owned() }
    }
}

/// A change to a payment method.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UpdatePaymentMethod {
    /// `true` makes it the method that is charged. It cannot be `false`:
    /// make another one the default instead.
    pub is_default: bool,
}

impl Example for UpdatePaymentMethod {
    fn example() -> Self {
        Self { is_default: true }
    }
}

/// A card, as far as it may be shown.
#[derive(Debug, Object)]
pub struct PaymentMethodView {
    pub id: Uuid,
    /// As in `visa` or `mastercard`.
    pub brand: String,
    pub last4: String,
    /// From 1 to 12.
    pub exp_month: u8,
    pub exp_year: u16,
    /// Whether it is the one that is charged.
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
}

impl PaymentMethodView {
    fn of(method: &PaymentMethod) -> Option<Self> {
        let card = method.state.card()?;
        Some(Self {
            id: method.id.uuid(),
            brand: card.brand.clone(),
            last4: card.last4.clone(),
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            is_default: method.is_default,
            created_at: method.created_at,
        })
    }

    fn one(method: &PaymentMethod) -> Result<Json<Self>, Problem> {
        let view = Self::of(method).ok_or(BillingError::NotFound("payment method"))?;
        Ok(Json(view))
    }
}

/// The caller's payment methods, oldest first.
#[derive(Debug, Object)]
pub struct PaymentMethodsView {
    pub payment_methods: Vec<PaymentMethodView>,
}

#[OpenApi(tag = "Tag::Billing")]
impl PaymentMethodsApi {
    /// List payment methods
    ///
    /// The caller's own cards, oldest first.
    #[oai(path = "/api/payment-methods", method = "get", operation_id = "listPaymentMethods")]
    async fn list(&self, caller: Caller) -> Result<Json<PaymentMethodsView>, Problem> {
        let methods = payment_methods::payment_methods(self.store.as_ref(), caller.actor()).await?;
        let payment_methods = methods.iter().filter_map(PaymentMethodView::of).collect();
        Ok(Json(PaymentMethodsView { payment_methods }))
    }

    /// Add a payment method
    ///
    /// Attaches a card that the browser gave to the payment gateway. The first
    /// one becomes the default, and open invoices are charged to it. Repeated
    /// with the same `Idempotency-Key`, it answers with the same card.
    #[oai(path = "/api/payment-methods", method = "post", operation_id = "addPaymentMethod")]
    async fn add(
        &self,
        caller: Caller,
        /// A value that is unique to this card; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<AddPaymentMethod>,
    ) -> Result<Json<PaymentMethodView>, Problem> {
        let key = idempotency_key("billing.add_payment_method", &key.0, &body.0)?;
        let method = payment_methods::add_payment_method(
            &self.env,
            self.store.as_ref(),
            self.gateway.as_ref(),
            caller.actor(),
            &key,
            &body.0.payment_method,
        )
        .await?;
        PaymentMethodView::one(&method)
    }

    /// Make a payment method the default
    ///
    /// From now on it is the one that is charged, for open invoices too.
    #[oai(path = "/api/payment-methods/:id", method = "put", operation_id = "updatePaymentMethod")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<UpdatePaymentMethod>,
    ) -> Result<Json<PaymentMethodView>, Problem> {
        if !body.0.is_default {
            return Err(BillingError::Invalid(vec![FieldError::new(
                "is_default",
                "invalid",
                "Make another payment method the default instead.",
            )])
            .into());
        }
        let (store, id) = (self.store.as_ref(), PaymentMethodId(id.0));
        let method = payment_methods::set_default_payment_method(store, caller.actor(), id).await?;
        PaymentMethodView::one(&method)
    }

    /// Remove a payment method
    ///
    /// The only one stays while a subscription runs or an invoice is open;
    /// when the default goes, the newest of the others takes its place.
    #[oai(
        path = "/api/payment-methods/:id",
        method = "delete",
        operation_id = "removePaymentMethod"
    )]
    async fn remove(&self, caller: Caller, id: Path<Uuid>) -> Result<Done, Problem> {
        payment_methods::remove_payment_method(
            &self.env,
            self.store.as_ref(),
            self.subscriptions.as_ref(),
            caller.actor(),
            PaymentMethodId(id.0),
        )
        .await?;
        Ok(Done::Done)
    }
}
