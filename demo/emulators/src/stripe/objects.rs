//! The objects in the vendor's shape, with the fields that the real API always
//! sends.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{cards::Card, fresh, now};

/// What a form said: names with their brackets, as in `metadata[order]`.
#[derive(Clone, Debug, Default)]
pub struct Params(pub BTreeMap<String, String>);

impl Params {
    pub fn parse(encoded: &str) -> Self {
        let pairs = url::form_urlencoded::parse(encoded.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    pub fn metadata(&self) -> Map<String, Value> {
        let inner =
            |name: &str| Some(name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned());
        self.0
            .iter()
            .filter_map(|(name, value)| Some((inner(name)?, Value::from(value.clone()))))
            .collect()
    }
}

pub fn customer(params: &Params) -> Value {
    json!({
        "id": fresh("cus"),
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": now().timestamp(),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": params.get("description"),
        "discount": null,
        "email": params.get("email"),
        "invoice_prefix": fresh("i")[2..10].to_uppercase(),
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": params.metadata(),
        "name": params.get("name"),
        "next_invoice_sequence": 1,
        "phone": params.get("phone"),
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

pub fn payment_method(card: &Card) -> Value {
    json!({
        "id": fresh("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {
                "city": null, "country": null, "line1": null, "line2": null,
                "postal_code": null, "state": null,
            },
            "email": null, "name": null, "phone": null, "tax_id": null,
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": null, "address_postal_code_check": null,
                "cvc_check": "pass",
            },
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 8,
            "exp_year": chrono::Datelike::year(&now()) + 3,
            "fingerprint": format!("emulated{}", card.last4),
            "funding": card.funding,
            "generated_from": null,
            "last4": card.last4,
            "networks": { "available": [card.brand], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": now().timestamp(),
        "customer": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}

pub fn payment_intent(params: &Params, amount: i64, currency: &str) -> Value {
    let id = fresh("pi");
    json!({
        "client_secret": format!("{id}_secret_{}", &fresh("s")[2..]),
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": { "allow_redirects": "never", "enabled": true },
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "created": now().timestamp(),
        "currency": currency,
        "customer": params.get("customer"),
        "description": params.get("description"),
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "metadata": params.metadata(),
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": params.get("payment_method"),
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {
                "installments": null, "mandate_options": null, "network": null,
                "request_three_d_secure": "automatic",
            },
        },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "requires_confirmation",
        "transfer_data": null,
        "transfer_group": null,
    })
}

pub fn setup_intent(params: &Params) -> Value {
    let id = fresh("seti");
    json!({
        "client_secret": format!("{id}_secret_{}", &fresh("s")[2..]),
        "id": id,
        "object": "setup_intent",
        "application": null,
        "automatic_payment_methods": { "allow_redirects": "never", "enabled": true },
        "cancellation_reason": null,
        "created": now().timestamp(),
        "customer": params.get("customer"),
        "description": params.get("description"),
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": params.metadata(),
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": params.get("payment_method"),
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {
                "mandate_options": null, "network": null,
                "request_three_d_secure": "automatic",
            },
        },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": "requires_confirmation",
        "usage": params.get("usage").unwrap_or("off_session"),
    })
}

pub fn charge(intent: &Value, decline: Option<&str>) -> Value {
    let succeeded = decline.is_none();
    json!({
        "id": fresh("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": if succeeded { intent["amount"].clone() } else { json!(0) },
        "amount_refunded": 0,
        "captured": succeeded,
        "created": now().timestamp(),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "failure_code": decline.map(|code| super::cards::error_code(code).0),
        "failure_message": decline.map(super::cards::message),
        "livemode": false,
        "metadata": intent["metadata"],
        "paid": succeeded,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "refunded": false,
        "status": if succeeded { "succeeded" } else { "failed" },
    })
}

pub fn refund(charge: &Value, amount: i64, params: &Params) -> Value {
    json!({
        "id": fresh("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": null,
        "charge": charge["id"],
        "created": now().timestamp(),
        "currency": charge["currency"],
        "metadata": params.metadata(),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}

/// What the merchant can say against a dispute.
const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

pub fn dispute(charge: &Value) -> Value {
    let mut evidence: Map<String, Value> =
        EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    evidence.insert("enhanced_evidence".to_owned(), json!({}));
    json!({
        "id": fresh("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now().timestamp(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": now().timestamp() + 9 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"],
        "payment_method_details": null,
        "reason": "fraudulent",
        "status": "needs_response",
    })
}

pub fn early_fraud_warning(charge: &Value) -> Value {
    json!({
        "id": fresh("issfr"),
        "object": "radar.early_fraud_warning",
        "actionable": true,
        "charge": charge["id"],
        "created": now().timestamp(),
        "fraud_type": "unauthorized_use_of_card",
        "livemode": false,
        "payment_intent": charge["payment_intent"],
    })
}

/// A page of a list, newest first, cut as the parameters say.
pub fn list(url: &str, mut items: Vec<Value>, params: &Params) -> Value {
    items.sort_by_key(|item| std::cmp::Reverse(item["created"].as_i64()));
    if let Some(after) = params.get("starting_after") {
        let position = items.iter().position(|item| item["id"] == after);
        items.drain(..position.map_or(0, |position| position + 1));
    }
    let limit = params.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
    let has_more = items.len() > limit;
    items.truncate(limit);
    json!({ "object": "list", "url": url, "has_more": has_more, "data": items })
}
