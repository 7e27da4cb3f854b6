//! The vendor's operations, on what it remembers.

use serde_json::{Value, json};

use super::{
    cards::{self, Behaviour},
    now,
    objects::{self, Params},
    world::World,
};

/// A status and a body.
pub type Reply = (u16, Value);

pub fn error(kind: &str, code: Option<&str>, message: &str) -> Value {
    let mut error = json!({ "type": kind, "message": message });
    if let Some(code) = code {
        error["code"] = json!(code);
        error["doc_url"] = json!(format!("https://stripe.com/docs/error-codes/{code}"));
    }
    json!({ "error": error })
}

fn invalid(param: &str, message: &str) -> Reply {
    let mut body = error("invalid_request_error", Some("parameter_invalid"), message);
    body["error"]["param"] = json!(param);
    (400, body)
}

fn unexpected_state(message: &str) -> Reply {
    let code = Some("payment_intent_unexpected_state");
    (400, error("invalid_request_error", code, message))
}

fn missing(what: &str, id: &str) -> Reply {
    let message = format!("No such {what}: '{id}'");
    (404, error("invalid_request_error", Some("resource_missing"), &message))
}

/// Performs one operation: `path` as in `/v1/customers/cus_1`.
pub fn perform(world: &mut World, post: bool, path: &str, params: &Params) -> Reply {
    let segments: Vec<&str> =
        path.trim_start_matches("/v1").split('/').filter(|segment| !segment.is_empty()).collect();
    match (post, segments.as_slice()) {
        (true, ["customers"]) => {
            let customer = objects::customer(params);
            world.happened("customer.created", &customer);
            keep(&mut world.customers, customer)
        }
        (false, ["customers"]) => listed("/v1/customers", &world.customers, params, |_| true),
        (false, ["customers", "search"]) => {
            search("/v1/customers/search", &world.customers, params)
        }
        (false, ["customers", id]) => read(&world.customers, "customer", id),
        (false, ["customers", id, "payment_methods"]) => {
            listed("/v1/payment_methods", &world.payment_methods, params, |method| {
                method["customer"] == *id
            })
        }
        (false, ["payment_methods"]) => {
            listed("/v1/payment_methods", &world.payment_methods, params, |method| {
                params.get("customer").is_none_or(|customer| method["customer"] == customer)
            })
        }
        (false, ["payment_methods", id]) => read(&world.payment_methods, "PaymentMethod", id),
        (true, ["payment_methods", id, "attach"]) => attach(world, id, params),
        (true, ["payment_methods", id, "detach"]) => detach(world, id),
        (true, ["setup_intents"]) => create_setup_intent(world, params),
        (false, ["setup_intents", id]) => read(&world.setup_intents, "setupintent", id),
        (true, ["setup_intents", id, "confirm"]) => confirm_setup_intent(world, id, params),
        (true, ["payment_intents"]) => create_payment_intent(world, params),
        (false, ["payment_intents"]) => {
            let since = params.get("created[gte]").and_then(|at| at.parse::<i64>().ok());
            listed("/v1/payment_intents", &world.payment_intents, params, |intent| {
                params.get("customer").is_none_or(|customer| intent["customer"] == customer)
                    && since.is_none_or(|since| intent["created"].as_i64() >= Some(since))
            })
        }
        (false, ["payment_intents", "search"]) => {
            search("/v1/payment_intents/search", &world.payment_intents, params)
        }
        (false, ["payment_intents", id]) => read(&world.payment_intents, "payment_intent", id),
        (true, ["payment_intents", id, "confirm"]) => {
            let Some(mut intent) = world.payment_intents.get(*id).cloned() else {
                return missing("payment_intent", id);
            };
            if let Some(method) = params.get("payment_method") {
                intent["payment_method"] = json!(method);
            }
            confirm(world, intent, params.flag("off_session"))
        }
        (true, ["payment_intents", id, "cancel"]) => cancel(world, id, params),
        (true, ["refunds"]) => refund(world, params),
        (false, ["refunds"]) => of_intent("/v1/refunds", &world.refunds, params),
        (false, ["disputes"]) => of_intent("/v1/disputes", &world.disputes, params),
        (false, ["radar", "early_fraud_warnings"]) => {
            of_intent("/v1/radar/early_fraud_warnings", &world.warnings, params)
        }
        (false, ["disputes", id]) => read(&world.disputes, "dispute", id),
        (false, ["refunds", id]) => read(&world.refunds, "refund", id),
        (false, ["charges", id]) => read(&world.charges, "charge", id),
        (false, ["events", id]) => match world.event(id) {
            Some(event) => (200, serde_json::from_str(&event.body).unwrap_or(Value::Null)),
            None => missing("event", id),
        },
        _ => {
            let message = format!("Unrecognized request URL ({path}).");
            (404, error("invalid_request_error", None, &message))
        }
    }
}

type Table = std::collections::BTreeMap<String, Value>;

fn keep(table: &mut Table, object: Value) -> Reply {
    let id = object["id"].as_str().unwrap_or_default().to_owned();
    table.insert(id, object.clone());
    (200, object)
}

fn read(table: &Table, what: &str, id: &str) -> Reply {
    table.get(id).map_or_else(|| missing(what, id), |object| (200, object.clone()))
}

fn listed(url: &str, table: &Table, params: &Params, wanted: impl Fn(&Value) -> bool) -> Reply {
    let items = table.values().filter(|object| wanted(object)).cloned().collect();
    (200, objects::list(url, items, params))
}

/// The objects of one payment, or of all.
fn of_intent(url: &str, table: &Table, params: &Params) -> Reply {
    listed(url, table, params, |object| {
        params.get("payment_intent").is_none_or(|intent| object["payment_intent"] == intent)
    })
}

/// The cardholder disputes the payment, or the dispute comes to a new status.
pub fn dispute(world: &mut World, intent: &str, status: &str) -> Option<Value> {
    let known = world.disputes.values().find(|dispute| dispute["payment_intent"] == intent);
    let (mut dispute, kind) = match known {
        Some(known) => {
            let closed = matches!(status, "won" | "lost" | "warning_closed");
            (known.clone(), if closed { "charge.dispute.closed" } else { "charge.dispute.updated" })
        }
        None => {
            let charge = world.payment_intents.get(intent)?["latest_charge"].as_str()?;
            let charge = world.charges.get(charge)?;
            (objects::dispute(charge), "charge.dispute.created")
        }
    };
    dispute["status"] = json!(status);
    world.happened(kind, &dispute);
    keep(&mut world.disputes, dispute.clone());
    Some(dispute)
}

/// The card's issuer takes the payment for a fraud.
pub fn warn(world: &mut World, intent: &str) -> Option<Value> {
    let charge = world.payment_intents.get(intent)?["latest_charge"].as_str()?;
    let warning = objects::early_fraud_warning(world.charges.get(charge)?);
    world.happened("radar.early_fraud_warning.created", &warning);
    keep(&mut world.warnings, warning.clone());
    Some(warning)
}

/// Understands the one query that a metadata look-up needs:
/// `metadata['name']:'value'`.
fn search(url: &str, table: &Table, params: &Params) -> Reply {
    let parsed = params.get("query").and_then(|query| {
        let (name, value) = query.strip_prefix("metadata['")?.split_once("']:'")?;
        Some((name, value.strip_suffix('\'')?))
    });
    let Some((name, value)) = parsed else {
        return invalid("query", "We were unable to parse your search query.");
    };
    let items = table.values().filter(|object| object["metadata"][name] == value).cloned();
    let mut page = objects::list(url, items.collect(), params);
    page["object"] = json!("search_result");
    page["next_page"] = Value::Null;
    (200, page)
}

/// The saved method with that id, or a fresh one for a test token.
fn method_of(world: &mut World, id: &str) -> Option<Value> {
    if let Some(method) = world.payment_methods.get(id) {
        return Some(method.clone());
    }
    let method = objects::payment_method(&cards::by_token(id)?);
    let fresh = method["id"].as_str().unwrap_or_default().to_owned();
    world.tokens.insert(fresh.clone(), id.to_owned());
    world.payment_methods.insert(fresh, method.clone());
    Some(method)
}

fn behaviour(world: &World, method: &Value) -> Behaviour {
    let token = method["id"].as_str().and_then(|id| world.tokens.get(id));
    token.and_then(|token| cards::by_token(token)).map_or(Behaviour::Good, |card| card.behaviour)
}

fn card_error(decline: &str) -> Value {
    let (code, told) = cards::error_code(decline);
    let mut body = error("card_error", Some(code), cards::message(decline));
    if told {
        body["error"]["decline_code"] = json!(decline);
    }
    body
}

fn attach(world: &mut World, id: &str, params: &Params) -> Reply {
    let Some(customer) = params.get("customer").map(str::to_owned) else {
        return invalid("customer", "Missing required param: customer.");
    };
    if !world.customers.contains_key(&customer) {
        return missing("customer", &customer);
    }
    let Some(mut method) = method_of(world, id) else { return missing("PaymentMethod", id) };
    match method["customer"].as_str() {
        Some(owner) if owner == customer => return (200, method),
        Some(_) => {
            let message =
                "The payment method you provided has already been attached to a customer.";
            return (
                400,
                error("invalid_request_error", Some("payment_method_already_attached"), message),
            );
        }
        None => {}
    }
    if let Behaviour::DeclinedAtOnce(decline) = behaviour(world, &method) {
        return (402, card_error(decline));
    }
    method["customer"] = json!(customer);
    world.happened("payment_method.attached", &method);
    keep(&mut world.payment_methods, method)
}

fn detach(world: &mut World, id: &str) -> Reply {
    let Some(mut method) = world.payment_methods.get(id).cloned() else {
        return missing("PaymentMethod", id);
    };
    if method["customer"].is_null() {
        let message = "The payment method you provided is not attached to a customer so \
                       detachment is impossible.";
        return (400, error("invalid_request_error", None, message));
    }
    method["customer"] = Value::Null;
    world.happened("payment_method.detached", &method);
    keep(&mut world.payment_methods, method)
}

fn create_setup_intent(world: &mut World, params: &Params) -> Reply {
    let mut intent = objects::setup_intent(params);
    intent["status"] = json!(if params.get("payment_method").is_some() {
        "requires_confirmation"
    } else {
        "requires_payment_method"
    });
    world.happened("setup_intent.created", &intent);
    let (_, intent) = keep(&mut world.setup_intents, intent);
    if params.flag("confirm") {
        let id = intent["id"].as_str().unwrap_or_default().to_owned();
        return confirm_setup_intent(world, &id, params);
    }
    (200, intent)
}

fn confirm_setup_intent(world: &mut World, id: &str, params: &Params) -> Reply {
    let Some(mut intent) = world.setup_intents.get(id).cloned() else {
        return missing("setupintent", id);
    };
    let token = params.get("payment_method").or(intent["payment_method"].as_str());
    let Some(token) = token.map(str::to_owned) else {
        return invalid("payment_method", "You cannot confirm without a payment method.");
    };
    let Some(mut method) = method_of(world, &token) else {
        return missing("PaymentMethod", &token);
    };
    if let Behaviour::DeclinedAtOnce(decline) = behaviour(world, &method) {
        let mut body = card_error(decline);
        intent["status"] = json!("requires_payment_method");
        intent["last_setup_error"] = body["error"].clone();
        world.happened("setup_intent.setup_failed", &intent);
        keep(&mut world.setup_intents, intent.clone());
        body["error"]["setup_intent"] = intent;
        return (402, body);
    }
    if !intent["customer"].is_null() {
        method["customer"] = intent["customer"].clone();
        world.happened("payment_method.attached", &method);
    }
    intent["payment_method"] = method["id"].clone();
    intent["status"] = json!("succeeded");
    keep(&mut world.payment_methods, method);
    world.happened("setup_intent.succeeded", &intent);
    keep(&mut world.setup_intents, intent)
}

fn create_payment_intent(world: &mut World, params: &Params) -> Reply {
    let amount = params.get("amount").and_then(|amount| amount.parse::<i64>().ok());
    let Some(amount) = amount.filter(|amount| *amount > 0) else {
        return invalid("amount", "This value must be greater than or equal to 1.");
    };
    let Some(currency) = params.get("currency").filter(|currency| {
        currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase())
    }) else {
        return invalid("currency", "Invalid currency.");
    };
    if let Some(customer) = params.get("customer")
        && !world.customers.contains_key(customer)
    {
        return missing("customer", customer);
    }
    if params.flag("off_session") && !params.flag("confirm") {
        return invalid("off_session", "You can only use off_session when confirming.");
    }
    let mut intent = objects::payment_intent(params, amount, currency);
    match params.get("payment_method") {
        None => intent["status"] = json!("requires_payment_method"),
        Some(id) => {
            let Some(method) = method_of(world, id) else { return missing("PaymentMethod", id) };
            if !method["customer"].is_null() && method["customer"] != intent["customer"] {
                let message = "The payment method belongs to another customer.";
                return invalid("payment_method", message);
            }
            intent["payment_method"] = method["id"].clone();
        }
    }
    world.happened("payment_intent.created", &intent);
    keep(&mut world.payment_intents, intent.clone());
    if params.flag("confirm") {
        return confirm(world, intent, params.flag("off_session"));
    }
    (200, intent)
}

/// Tries to take the money.
fn confirm(world: &mut World, mut intent: Value, off_session: bool) -> Reply {
    let status = intent["status"].as_str().unwrap_or_default();
    if !matches!(status, "requires_confirmation" | "requires_payment_method" | "requires_action") {
        let message = format!("You cannot confirm this PaymentIntent because it is {status}.");
        return unexpected_state(&message);
    }
    let Some(id) = intent["payment_method"].as_str().map(str::to_owned) else {
        return invalid("payment_method", "You cannot confirm without a payment method.");
    };
    let Some(method) = method_of(world, &id) else { return missing("PaymentMethod", &id) };
    intent["payment_method"] = method["id"].clone();
    let behaviour = match world.declines.get(&id) {
        Some(decline) => return declined(world, intent, &method, &decline.clone()),
        None => behaviour(world, &method),
    };
    match behaviour {
        Behaviour::Good => succeed(world, intent),
        Behaviour::DeclinedAtOnce(decline) | Behaviour::DeclinedLater(decline) => {
            declined(world, intent, &method, decline)
        }
        Behaviour::Authenticated if off_session => {
            declined(world, intent, &method, "authentication_required")
        }
        Behaviour::Authenticated => {
            intent["status"] = json!("requires_action");
            intent["next_action"] = json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} });
            world.happened("payment_intent.requires_action", &intent);
            keep(&mut world.payment_intents, intent)
        }
    }
}

/// The money moves.
pub fn succeed(world: &mut World, mut intent: Value) -> Reply {
    let charge = objects::charge(&intent, None);
    intent["status"] = json!("succeeded");
    intent["amount_received"] = intent["amount"].clone();
    intent["latest_charge"] = charge["id"].clone();
    intent["next_action"] = Value::Null;
    intent["last_payment_error"] = Value::Null;
    world.happened("charge.succeeded", &charge);
    world.happened("payment_intent.succeeded", &intent);
    keep(&mut world.charges, charge);
    keep(&mut world.payment_intents, intent)
}

fn declined(world: &mut World, mut intent: Value, method: &Value, decline: &str) -> Reply {
    let charge = objects::charge(&intent, Some(decline));
    let mut body = card_error(decline);
    body["error"]["charge"] = charge["id"].clone();
    body["error"]["payment_method"] = method.clone();
    intent["status"] = json!("requires_payment_method");
    intent["latest_charge"] = charge["id"].clone();
    intent["last_payment_error"] = body["error"].clone();
    intent["payment_method"] = Value::Null;
    world.happened("charge.failed", &charge);
    world.happened("payment_intent.payment_failed", &intent);
    keep(&mut world.charges, charge);
    keep(&mut world.payment_intents, intent.clone());
    body["error"]["payment_intent"] = intent;
    (402, body)
}

fn cancel(world: &mut World, id: &str, params: &Params) -> Reply {
    let Some(mut intent) = world.payment_intents.get(id).cloned() else {
        return missing("payment_intent", id);
    };
    let status = intent["status"].as_str().unwrap_or_default();
    if matches!(status, "succeeded" | "canceled" | "processing") {
        let message = format!("You cannot cancel this PaymentIntent because it is {status}.");
        return unexpected_state(&message);
    }
    intent["status"] = json!("canceled");
    intent["canceled_at"] = json!(now().timestamp());
    intent["cancellation_reason"] = json!(params.get("cancellation_reason"));
    world.happened("payment_intent.canceled", &intent);
    keep(&mut world.payment_intents, intent)
}

fn refund(world: &mut World, params: &Params) -> Reply {
    let charge = match (params.get("charge"), params.get("payment_intent")) {
        (Some(id), _) => world.charges.get(id),
        (None, Some(intent)) => {
            let latest =
                world.payment_intents.get(intent).and_then(|i| i["latest_charge"].as_str());
            latest.and_then(|id| world.charges.get(id))
        }
        (None, None) => return invalid("charge", "One of charge or payment_intent is needed."),
    };
    let Some(mut charge) = charge.filter(|charge| charge["status"] == "succeeded").cloned() else {
        return missing("charge", "of this refund");
    };
    let amount = |field: &str| charge[field].as_i64().unwrap_or_default();
    let left = amount("amount") - amount("amount_refunded");
    let wanted = match params.get("amount") {
        None => left,
        Some(given) => given.parse().unwrap_or_default(),
    };
    if wanted <= 0 || wanted > left {
        let message = "Refund amount is greater than unrefunded amount on charge.";
        return (400, error("invalid_request_error", Some("charge_already_refunded"), message));
    }
    charge["amount_refunded"] = json!(amount("amount_refunded") + wanted);
    charge["refunded"] = json!(wanted == left);
    let refund = objects::refund(&charge, wanted, params);
    world.happened("refund.created", &refund);
    world.happened("charge.refunded", &charge);
    keep(&mut world.charges, charge);
    keep(&mut world.refunds, refund)
}
