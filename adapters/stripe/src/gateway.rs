use std::collections::HashMap;

use async_trait::async_trait;
use billing::{
    CardDetails, ChargeRequest, Decline, GatewayIntent, IntentStatus, PaymentGateway,
    contest::{ContestKind, GatewayContest},
    gateway::Attached,
};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Currency, Money, PatientId, PaymentId, PaymentMethodId};
use ports::{PortError, Result};
use stripe::{
    ApiErrors, ApiErrorsCode, ApiErrorsType, Client, ClientBuilder, IdempotencyKey,
    RequestStrategy, StripeError, StripeRequest as _,
};
use stripe_core::{
    customer::{CreateCustomer, SearchCustomer},
    dispute::ListDispute,
    payment_intent::{
        CancelPaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
        CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentOffSession,
        ListPaymentIntent, RetrievePaymentIntent,
    },
    refund::ListRefund,
};
use stripe_fraud::radar_early_fraud_warning::ListRadarEarlyFraudWarning;
use stripe_payment::payment_method::{AttachPaymentMethod, DetachPaymentMethod};
use stripe_shared::{PaymentIntent, PaymentIntentStatus, PaymentMethod};
use stripe_types::{Currency as StripeCurrency, RangeQueryTs};

use crate::{StripeConfig, VENDOR};

/// What an intent carries so that it can be found without its id.
const PAYMENT: &str = "payment_id";
const INVOICE: &str = "invoice_id";
const PATIENT: &str = "patient_id";

/// How much Stripe's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The most that Stripe gives in one page.
const PAGE: i64 = 100;

/// Stripe's API.
#[derive(Clone, Debug)]
pub struct StripeGateway {
    client: Client,
}

impl StripeGateway {
    /// The process must have chosen its TLS cryptography (rustls' default
    /// provider) before this.
    pub fn new(config: &StripeConfig) -> Result<Self> {
        // The client puts its paths straight behind the base.
        let base = format!("{}/", config.base_url.trim_end_matches('/'));
        let client = ClientBuilder::new(config.secret_key.clone())
            .url(base)
            .timeout(config.timeout)
            .app_info("salus", Some(env!("CARGO_PKG_VERSION").to_owned()), None)
            .build()
            .map_err(|error| PortError::internal("the Stripe client was not built", error))?;
        Ok(Self { client })
    }
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    async fn ensure_customer(&self, patient: PatientId) -> Result<String> {
        // The idempotency key answers for a day; after that the search finds
        // the customer, which it does not yet within its first minute.
        let query = format!("metadata['{PATIENT}']:'{patient}'");
        let found = SearchCustomer::new(query)
            .limit(1)
            .send(&self.client)
            .await
            .map_err(|error| reading("searching for a customer", error))?;
        if let Some(customer) = found.data.into_iter().next() {
            return Ok(customer.id.to_string());
        }
        let metadata = HashMap::from([(PATIENT.to_owned(), patient.to_string())]);
        let customer = CreateCustomer::new()
            .metadata(metadata)
            .customize()
            .request_strategy(once(format!("customer:{patient}"))?)
            .send(&self.client)
            .await
            .map_err(|error| writing("creating a customer", error))?;
        Ok(customer.id.to_string())
    }

    async fn attach_payment_method(
        &self,
        method: PaymentMethodId,
        customer: &str,
        token: &str,
    ) -> Result<Attached> {
        let attached = AttachPaymentMethod::new(token.to_owned())
            .customer(customer)
            .customize()
            .request_strategy(once(format!("attach:{method}"))?)
            .send(&self.client)
            .await;
        match attached {
            Ok(method) => card(method).map(Attached::Card),
            Err(StripeError::Stripe(error, _)) if error.type_ == ApiErrorsType::CardError => {
                Ok(Attached::Declined(decline(&error)))
            }
            Err(error) => Err(writing("attaching a payment method", error)),
        }
    }

    async fn detach_payment_method(&self, gateway_id: &str) -> Result<()> {
        let detached = DetachPaymentMethod::new(gateway_id.to_owned()).send(&self.client).await;
        match detached {
            Ok(_) => Ok(()),
            // A method that is not attached, or is gone, is what was wanted.
            Err(StripeError::Stripe(error, 400 | 404))
                if error.type_ == ApiErrorsType::InvalidRequestError =>
            {
                tracing::info!(gateway_id, message = ?error.message, "nothing to detach");
                Ok(())
            }
            Err(error) => Err(writing("detaching a payment method", error)),
        }
    }

    async fn create_and_confirm_payment_intent(
        &self,
        request: &ChargeRequest,
    ) -> Result<GatewayIntent> {
        let metadata = HashMap::from([
            (PAYMENT.to_owned(), request.payment.to_string()),
            (INVOICE.to_owned(), request.invoice.to_string()),
        ]);
        let created = CreatePaymentIntent::new(
            request.amount.minor,
            stripe_currency(request.amount.currency),
        )
        .customer(request.customer.clone())
        .payment_method(request.payment_method.clone())
        .automatic_payment_methods(no_redirects())
        .off_session(CreatePaymentIntentOffSession::Bool(true))
        .confirm(true)
        .metadata(metadata)
        .customize()
        .request_strategy(once(request.payment.to_string())?)
        .send(&self.client)
        .await;
        match created {
            Ok(intent) => read_intent(intent),
            // A declined card is an answer: the error carries the intent.
            Err(StripeError::Stripe(mut error, _))
                if error.type_ == ApiErrorsType::CardError && error.payment_intent.is_some() =>
            {
                let refusal = decline(&error);
                let intent = error.payment_intent.take().map(|intent| GatewayIntent {
                    payment: payment_of(&intent),
                    id: intent.id.to_string(),
                    status: declined(refusal),
                });
                intent.ok_or_else(|| PortError::bug("a declined intent vanished"))
            }
            Err(error) => Err(writing("creating a payment intent", error)),
        }
    }

    async fn retrieve_payment_intent(&self, id: &str) -> Result<GatewayIntent> {
        let intent = RetrievePaymentIntent::new(id.to_owned())
            .send(&self.client)
            .await
            .map_err(|error| reading("retrieving a payment intent", error))?;
        read_intent(intent)
    }

    async fn find_payment_intent(
        &self,
        payment: PaymentId,
        customer: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<GatewayIntent>> {
        // The list is complete at once, which Stripe's search is not.
        let mut after: Option<String> = None;
        loop {
            let mut list = ListPaymentIntent::new()
                .customer(customer)
                .created(RangeQueryTs::gte((since - SKEW).timestamp()))
                .limit(PAGE);
            if let Some(after) = after.take() {
                list = list.starting_after(after);
            }
            let page = list
                .send(&self.client)
                .await
                .map_err(|error| reading("listing payment intents", error))?;
            after = page.data.last().map(|intent| intent.id.to_string());
            let found = page.data.into_iter().find(|intent| payment_of(intent) == Some(payment));
            match found {
                Some(intent) => return read_intent(intent).map(Some),
                None if page.has_more && after.is_some() => {}
                None => return Ok(None),
            }
        }
    }

    async fn contests(&self, intent: &str) -> Result<Vec<GatewayContest>> {
        // One payment has a handful of each at most.
        let disputes = ListDispute::new()
            .payment_intent(intent)
            .limit(PAGE)
            .send(&self.client)
            .await
            .map_err(|error| reading("listing the disputes of a payment", error))?;
        let refunds = ListRefund::new()
            .payment_intent(intent)
            .limit(PAGE)
            .send(&self.client)
            .await
            .map_err(|error| reading("listing the refunds of a payment", error))?;
        let warnings = ListRadarEarlyFraudWarning::new()
            .payment_intent(intent)
            .limit(PAGE)
            .send(&self.client)
            .await
            .map_err(|error| reading("listing the warnings of fraud of a payment", error))?;
        let warnings = warnings.data.into_iter().map(|warning| GatewayContest {
            id: warning.id.to_string(),
            kind: ContestKind::FraudWarning,
            status: if warning.actionable { "actionable" } else { "not_actionable" }.to_owned(),
        });
        let disputes = disputes.data.into_iter().map(|dispute| GatewayContest {
            id: dispute.id.to_string(),
            kind: ContestKind::Dispute,
            status: dispute.status.as_str().to_owned(),
        });
        let refunds = refunds.data.into_iter().map(|refund| GatewayContest {
            id: refund.id.to_string(),
            kind: ContestKind::Refund,
            status: refund.status.unwrap_or_default(),
        });
        Ok(disputes.chain(refunds).chain(warnings).collect())
    }

    async fn cancel_payment_intent(&self, id: &str) -> Result<GatewayIntent> {
        match CancelPaymentIntent::new(id.to_owned()).send(&self.client).await {
            Ok(intent) => read_intent(intent),
            // It can no longer be canceled; where it stands is what is asked.
            Err(StripeError::Stripe(error, 400))
                if error.type_ == ApiErrorsType::InvalidRequestError =>
            {
                self.retrieve_payment_intent(id).await
            }
            Err(error) => Err(writing("canceling a payment intent", error)),
        }
    }
}

/// One attempt under a key of ours: when to try again is billing's decision.
fn once(key: String) -> Result<RequestStrategy> {
    let key = IdempotencyKey::new(key)
        .map_err(|error| PortError::internal("an idempotency key is not valid", error))?;
    Ok(RequestStrategy::Idempotent(key))
}

/// Nobody is there to be sent to another page.
fn no_redirects() -> CreatePaymentIntentAutomaticPaymentMethods {
    CreatePaymentIntentAutomaticPaymentMethods {
        allow_redirects: Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never),
        ..CreatePaymentIntentAutomaticPaymentMethods::new(true)
    }
}

fn read_intent(intent: PaymentIntent) -> Result<GatewayIntent> {
    let status = match &intent.status {
        PaymentIntentStatus::Succeeded => {
            let currency = intent.currency.to_string().parse().map_err(|error| {
                PortError::internal("Stripe answered with a currency that is not ours", error)
            })?;
            IntentStatus::Succeeded { amount: Money::new(intent.amount_received, currency) }
        }
        PaymentIntentStatus::Processing => IntentStatus::Processing,
        PaymentIntentStatus::RequiresAction => IntentStatus::RequiresAction,
        PaymentIntentStatus::Canceled => IntentStatus::Canceled,
        PaymentIntentStatus::RequiresPaymentMethod => {
            declined(intent.last_payment_error.as_deref().map_or_else(
                || Decline::new("payment_method_missing", "There is no payment method."),
                decline,
            ))
        }
        other => {
            return Err(PortError::bug(format!(
                "Stripe says {} of an intent that we confirm at once",
                other.as_str()
            )));
        }
    };
    Ok(GatewayIntent { payment: payment_of(&intent), id: intent.id.to_string(), status })
}

/// The cardholder who is away cannot authenticate, so Stripe declines; for us
/// the payment waits for the cardholder all the same.
fn declined(refusal: Decline) -> IntentStatus {
    match refusal.kind() {
        billing::DeclineKind::Authentication => IntentStatus::RequiresAction,
        _ => IntentStatus::Declined(refusal),
    }
}

fn payment_of(intent: &PaymentIntent) -> Option<PaymentId> {
    intent.metadata.get(PAYMENT).and_then(|id| id.parse().ok())
}

fn decline(error: &ApiErrors) -> Decline {
    let code = error
        .decline_code
        .clone()
        .or_else(|| error.code.as_ref().map(|code| code.as_str().to_owned()))
        .unwrap_or_else(|| "generic_decline".to_owned());
    let message = error.message.clone().unwrap_or_else(|| "The card was declined.".to_owned());
    Decline::new(code, message)
}

fn card(method: PaymentMethod) -> Result<CardDetails> {
    let not_a_card = |message: &str| PortError::Refused {
        vendor: VENDOR,
        code: "payment_method_not_a_card".to_owned(),
        message: message.to_owned(),
    };
    let card = method.card.ok_or_else(|| not_a_card("Only cards are taken."))?;
    Ok(CardDetails {
        gateway_id: method.id.to_string(),
        brand: card.brand,
        last4: card.last4,
        exp_month: u8::try_from(card.exp_month).map_err(|_| not_a_card("No such month."))?,
        exp_year: u16::try_from(card.exp_year).map_err(|_| not_a_card("No such year."))?,
    })
}

fn stripe_currency(currency: Currency) -> StripeCurrency {
    match currency {
        Currency::Usd => StripeCurrency::USD,
        Currency::Cad => StripeCurrency::CAD,
        Currency::Eur => StripeCurrency::EUR,
        Currency::Gbp => StripeCurrency::GBP,
    }
}

/// Maps the failure of a call that changes nothing.
fn reading(doing: &str, error: StripeError) -> PortError {
    match error {
        StripeError::Stripe(error, status) => answered(doing, &error, status, false),
        error => PortError::Unavailable { vendor: VENDOR, message: format!("{doing}: {error}") },
    }
}

/// Maps the failure of a call that may have had its effect. The client does
/// not tell a refused connection from a lost one, so neither is taken for
/// certain.
fn writing(doing: &str, error: StripeError) -> PortError {
    match error {
        StripeError::Stripe(error, status) => answered(doing, &error, status, true),
        error => PortError::Unknown { vendor: VENDOR, message: format!("{doing}: {error}") },
    }
}

fn answered(doing: &str, error: &ApiErrors, status: u16, writes: bool) -> PortError {
    let code = error.code.as_ref().map_or("", ApiErrorsCode::as_str);
    let text = error.message.as_deref().unwrap_or("no message");
    let message = format!("{doing}: {status} {code} {text}");
    match status {
        // An earlier call under this key was another one, and what became of
        // that one is not known here.
        400 if writes && error.type_ == ApiErrorsType::IdempotencyError => {
            PortError::Unknown { vendor: VENDOR, message }
        }
        // The keys are ours to get right; trying again later may follow once
        // they are.
        401 | 403 | 409 | 424 | 429 => PortError::Unavailable { vendor: VENDOR, message },
        500.. if writes => PortError::Unknown { vendor: VENDOR, message },
        500.. => PortError::Unavailable { vendor: VENDOR, message },
        _ => PortError::Refused {
            vendor: VENDOR,
            code: error.decline_code.clone().unwrap_or_else(|| {
                if code.is_empty() { "invalid_request" } else { code }.to_owned()
            }),
            message: text.to_owned(),
        },
    }
}
