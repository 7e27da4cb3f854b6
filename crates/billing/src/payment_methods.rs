//! Adding, choosing and taking away payment methods.

use kernel::{Actor, PatientId, PaymentMethodId, Permission};
use ports::{AuditAction, AuditEntry, Env, IdempotencyKey, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    charge::ChargeInvoice,
    error::BillingError,
    gateway::{Attached, PaymentGateway},
    outside::Subscriptions,
    payment_method::{self, Changed, PaymentMethod, PaymentMethodState},
    reading::not_found,
    store::BillingStore,
};

const ENTITY: &str = "payment_method";

fn own(actor: &Actor) -> Result<PatientId, BillingError> {
    actor.require(Permission::BillingOwn)?;
    actor.as_patient().ok_or(BillingError::NotAPatient)
}

/// Adds the card behind `token`. The method is stored before the gateway hears
/// of it and its id is the idempotency key there, so that a request that is
/// sent again with its key goes on where the first one stopped.
pub async fn add_payment_method(
    env: &Env,
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    actor: &Actor,
    key: &IdempotencyKey,
    token: &str,
) -> Result<PaymentMethod, BillingError> {
    let patient = own(actor)?;
    let intended = PaymentMethod::intend(env.fresh(), patient, token, env.now())?;

    let mut tx = store.begin(actor).await?;
    let (method, customer) = match tx.claim(key, intended.id.uuid()).await? {
        Some(earlier) => {
            let id = PaymentMethodId(earlier);
            let Some(method) = tx.payment_method(id).await? else {
                return Err(BillingError::NotFound("payment method"));
            };
            let customer = tx.customer(patient).await?;
            // The connection is not held while the gateway is asked.
            tx.audit(AuditEntry::new(AuditAction::Read, ENTITY, id).patient(patient));
            tx.commit().await?;
            (method, customer)
        }
        None => {
            let customer = tx.lock_customer(patient).await?;
            tx.save_payment_method(&intended).await?;
            tx.audit(AuditEntry::new(AuditAction::Create, ENTITY, intended.id).patient(patient));
            tx.commit().await?;
            (intended, Some(customer))
        }
    };
    match method.state {
        PaymentMethodState::Pending => {}
        PaymentMethodState::Active { .. } => return Ok(method),
        PaymentMethodState::Refused { decline } => {
            return Err(BillingError::card_declined(decline));
        }
        PaymentMethodState::Removed { .. } => {
            return Err(BillingError::PaymentMethodState("removed"));
        }
    }

    let customer = match customer.and_then(|customer| customer.gateway_id) {
        Some(id) => id,
        None => make_customer(store, gateway, actor, patient).await?,
    };
    let attached = match gateway.attach_payment_method(method.id, &customer, &method.token).await {
        Err(PortError::Refused { code, message, .. }) => {
            Attached::Declined(crate::Decline::new(code, message))
        }
        other => other?,
    };
    store_attached(store, actor, patient, method.id, attached).await
}

/// The gateway's customer of a patient, made at most once: the gateway gets
/// the patient as the idempotency key, and the first id that is stored stays.
async fn make_customer(
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    actor: &Actor,
    patient: PatientId,
) -> Result<String, BillingError> {
    let id = gateway.ensure_customer(patient).await?;
    let mut tx = store.begin(actor).await?;
    let customer = tx.lock_customer(patient).await?;
    if let Some(stored) = customer.gateway_id {
        return Ok(stored);
    }
    tx.set_gateway_customer(patient, &id).await?;
    tx.audit(AuditEntry::new(AuditAction::Create, "billing_customer", patient).patient(patient));
    tx.commit().await?;
    Ok(id)
}

async fn store_attached(
    store: &dyn BillingStore,
    actor: &Actor,
    patient: PatientId,
    id: PaymentMethodId,
    attached: Attached,
) -> Result<PaymentMethod, BillingError> {
    let mut tx = store.begin(actor).await?;
    tx.lock_customer(patient).await?;
    let Some(method) = tx.payment_method(id).await? else {
        return Err(BillingError::NotFound("payment method"));
    };
    if method.is_active() {
        return Ok(method);
    }
    let others = tx.payment_methods(patient).await?;
    let card = match attached {
        Attached::Card(card) => card,
        Attached::Declined(decline) => {
            let refused = method.refuse(decline.clone())?;
            tx.save_payment_method(&refused).await?;
            tx.audit(
                AuditEntry::new(AuditAction::Update, ENTITY, id)
                    .patient(patient)
                    .failed()
                    .detail("code", decline.code.clone()),
            );
            tx.commit().await?;
            return Err(BillingError::card_declined(decline));
        }
    };
    let active = || others.iter().filter(|method| method.is_active());
    // The same card of the gateway sent under two keys is one method.
    let same = |method: &&PaymentMethod| {
        method.state.card().is_some_and(|other| other.gateway_id == card.gateway_id)
    };
    if let Some(existing) = active().find(same) {
        return Ok(existing.clone());
    }
    let first = active().next().is_none();
    let method = method.activate(card, first)?;
    tx.save_payment_method(&method).await?;
    // What is owed may have waited for this.
    for invoice in tx.open_invoices(patient).await? {
        tx.enqueue(ChargeInvoice { invoice: invoice.id }.request());
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, ENTITY, id)
            .patient(patient)
            .detail("state", method.state.word())
            .detail("default", method.is_default),
    );
    tx.commit().await?;
    Ok(method)
}

/// The patient's own methods, oldest first.
pub async fn payment_methods(
    store: &dyn BillingStore,
    actor: &Actor,
) -> Result<Vec<PaymentMethod>, BillingError> {
    let patient = own(actor)?;
    let mut tx = store.begin(actor).await?;
    let mut methods = tx.payment_methods(patient).await?;
    methods.retain(PaymentMethod::is_active);
    tx.audit(AuditEntry::new(AuditAction::Search, ENTITY, patient).patient(patient));
    tx.commit().await?;
    Ok(methods)
}

/// Makes a method the one that is charged. Open invoices are charged to it.
pub async fn set_default_payment_method(
    store: &dyn BillingStore,
    actor: &Actor,
    id: PaymentMethodId,
) -> Result<PaymentMethod, BillingError> {
    let patient = own(actor)?;
    let mut tx = store.begin(actor).await?;
    tx.lock_customer(patient).await?;
    let methods = tx.payment_methods(patient).await?;
    let Ok(Changed(changed)) = payment_method::set_default(&methods, id) else {
        return Err(not_found(tx, "payment method", ENTITY, id).await?);
    };
    for method in &changed {
        tx.save_payment_method(method).await?;
    }
    if !changed.is_empty() {
        for invoice in tx.open_invoices(patient).await? {
            tx.enqueue(ChargeInvoice { invoice: invoice.id }.request());
        }
    }
    let chosen = changed.into_iter().chain(methods).find(|method| method.id == id);
    let Some(chosen) = chosen else { return Err(BillingError::NotFound("payment method")) };
    tx.audit(
        AuditEntry::new(AuditAction::Update, ENTITY, id).patient(patient).detail("default", true),
    );
    tx.commit().await?;
    Ok(chosen)
}

/// Takes a method away. It is gone for us at once; the gateway hears of it
/// from a job.
pub async fn remove_payment_method(
    env: &Env,
    store: &dyn BillingStore,
    subscriptions: &dyn Subscriptions,
    actor: &Actor,
    id: PaymentMethodId,
) -> Result<(), BillingError> {
    let patient = own(actor)?;
    let live_subscription = subscriptions.has_live_subscription(patient).await?;
    let mut tx = store.begin(actor).await?;
    tx.lock_customer(patient).await?;
    let methods = tx.payment_methods(patient).await?;
    // An invoice that is still owed needs a method as much as a subscription.
    let needed = live_subscription || !tx.open_invoices(patient).await?.is_empty();
    let changed = match payment_method::remove(&methods, id, needed, env.now()) {
        Ok(Changed(changed)) => changed,
        Err(BillingError::NotFound(_)) => {
            return Err(not_found(tx, "payment method", ENTITY, id).await?);
        }
        Err(error) => return Err(error),
    };
    for method in &changed {
        tx.save_payment_method(method).await?;
    }
    tx.enqueue(JobRequest::new(&DetachPaymentMethod { method: id }));
    tx.audit(AuditEntry::new(AuditAction::Delete, ENTITY, id).patient(patient));
    tx.commit().await?;
    Ok(())
}

/// Tells the gateway that a method was taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachPaymentMethod {
    pub method: PaymentMethodId,
}

impl JobSpec for DetachPaymentMethod {
    const KIND: &'static str = "billing.detach_payment_method";
}

pub async fn detach_payment_method(
    store: &dyn BillingStore,
    gateway: &dyn PaymentGateway,
    job: DetachPaymentMethod,
) -> Result<(), BillingError> {
    let removed = {
        let mut tx = store.begin(&Actor::system(DetachPaymentMethod::KIND)).await?;
        tx.payment_method(job.method).await?
    };
    let Some(method) = removed else { return Err(BillingError::NotFound("payment method")) };
    if let PaymentMethodState::Removed { card, .. } = &method.state {
        gateway.detach_payment_method(&card.gateway_id).await?;
    }
    Ok(())
}
