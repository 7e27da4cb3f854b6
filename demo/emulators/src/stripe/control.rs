//! The control surface, which the vendor does not have.

use std::{collections::BTreeMap, sync::Arc};

use poem::{
    IntoResponse as _, Response, handler,
    http::StatusCode,
    web::{Data, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared, api, now,
    world::{Call, Fault, Pending, Signature, World},
};

#[handler]
pub fn state(Data(shared): Data<&Arc<Shared>>) -> Json<World> {
    Json(shared.world.read(Clone::clone))
}

/// The charges that moved money whose metadata has all that is asked for.
#[handler]
pub fn charges(
    Data(shared): Data<&Arc<Shared>>,
    Query(wanted): Query<BTreeMap<String, String>>,
) -> Json<Value> {
    let charges: Vec<Value> = shared.world.read(|world| {
        let moved = world.charges.values().filter(|charge| charge["status"] == "succeeded");
        moved
            .filter(|charge| {
                wanted.iter().all(|(name, value)| charge["metadata"][name] == value.as_str())
            })
            .cloned()
            .collect()
    });
    Json(json!({ "charges": charges }))
}

#[handler]
pub fn requests(Data(shared): Data<&Arc<Shared>>) -> Json<Vec<Call>> {
    Json(shared.world.read(|world| world.requests.clone()))
}

#[derive(Deserialize)]
struct Decline {
    decline_code: Option<String>,
}

#[handler]
pub fn decline_card(
    Data(shared): Data<&Arc<Shared>>,
    Path(id): Path<String>,
    Json(decline): Json<Decline>,
) -> poem::Result<StatusCode> {
    shared.change(|world| match decline.decline_code {
        Some(code) => world.declines.insert(id, code),
        None => world.declines.remove(&id),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The cardholder authenticates, and the payment goes through.
#[handler]
pub fn authenticate(
    Data(shared): Data<&Arc<Shared>>,
    Path(id): Path<String>,
) -> poem::Result<Response> {
    let reply = shared.change(|world| {
        let intent = world.payment_intents.get(&id).cloned()?;
        let waits = matches!(
            intent["status"].as_str(),
            Some("requires_action" | "requires_payment_method")
        );
        waits.then(|| api::succeed(world, intent))
    })?;
    Ok(match reply {
        Some((_, intent)) => Json(intent).into_response(),
        None => StatusCode::CONFLICT.into_response(),
    })
}

#[derive(Deserialize)]
struct Dispute {
    /// As in `needs_response`, `won` or `lost`.
    status: String,
}

/// The cardholder disputes the payment or, once it is disputed, the dispute
/// comes to another status.
#[handler]
pub fn dispute(
    Data(shared): Data<&Arc<Shared>>,
    Path(id): Path<String>,
    Json(order): Json<Dispute>,
) -> poem::Result<Response> {
    let dispute = shared.change(|world| api::dispute(world, &id, &order.status))?;
    Ok(match dispute {
        Some(dispute) => Json(dispute).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// The card's issuer warns that the payment is a fraud.
#[handler]
pub fn warn(Data(shared): Data<&Arc<Shared>>, Path(id): Path<String>) -> poem::Result<Response> {
    let warning = shared.change(|world| api::warn(world, &id))?;
    Ok(match warning {
        Some(warning) => Json(warning).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

#[derive(Deserialize)]
struct Replay {
    #[serde(default)]
    signature: Signature,
    url: Option<String>,
}

#[handler]
pub fn replay(
    Data(shared): Data<&Arc<Shared>>,
    Path(event_id): Path<String>,
    Json(order): Json<Replay>,
) -> poem::Result<StatusCode> {
    let known = shared.change(|world| {
        let known = world.event(&event_id).is_some();
        if known {
            let Replay { signature, url } = order;
            world.pending.push(Pending { event_id, attempts: 0, due: now(), signature, url });
        }
        known
    })?;
    Ok(if known { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND })
}

#[derive(Deserialize)]
struct Hold {
    held: bool,
    #[serde(default)]
    reverse: bool,
}

/// Holds the webhooks back or releases them.
#[handler]
pub fn hold(Data(shared): Data<&Arc<Shared>>, Json(order): Json<Hold>) -> poem::Result<StatusCode> {
    shared.change(|world| {
        world.held = order.held;
        if order.reverse {
            let base = now();
            let count = world.pending.len();
            for (index, pending) in world.pending.iter_mut().enumerate() {
                let place = i64::try_from(count - index).unwrap_or_default();
                pending.due = base + chrono::TimeDelta::milliseconds(place);
            }
        }
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[handler]
pub fn faults(
    Data(shared): Data<&Arc<Shared>>,
    Json(fault): Json<Fault>,
) -> poem::Result<Json<Value>> {
    let waiting = shared.change(|world| {
        world.faults.retain(|fault| fault.times > 0);
        world.faults.push(fault);
        world.faults.len()
    })?;
    Ok(Json(json!({ "waiting": waiting })))
}
