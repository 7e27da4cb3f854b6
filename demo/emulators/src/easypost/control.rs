//! The control surface, which the vendor does not have.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use poem::{
    IntoResponse as _, Response, handler,
    http::StatusCode,
    web::{Data, Json, Path},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared, now,
    world::{Fault, Pending, STATUSES, World},
};

#[handler]
pub fn state(Data(shared): Data<&Arc<Shared>>) -> Json<World> {
    Json(shared.world.read(Clone::clone))
}

#[derive(Deserialize)]
struct MoveTracker {
    tracking_code: String,
    status: String,
    datetime: Option<DateTime<Utc>>,
    #[serde(default = "yes")]
    send: bool,
}

fn yes() -> bool {
    true
}

#[handler]
pub fn move_tracker(
    Data(shared): Data<&Arc<Shared>>,
    Json(order): Json<MoveTracker>,
) -> poem::Result<Response> {
    if !STATUSES.contains(&order.status.as_str()) {
        return Ok(StatusCode::UNPROCESSABLE_ENTITY.into_response());
    }
    let moved = shared.change(|world| {
        // A number that was given out again means its latest tracker.
        let id = world
            .trackers
            .values()
            .filter(|tracker| tracker.tracking_code == order.tracking_code)
            .max_by_key(|tracker| tracker.updated_at)
            .map(|tracker| tracker.id.clone())?;
        let tracker =
            world.add_detail(&id, &order.status, order.datetime.unwrap_or_else(now), order.send)?;
        let event = world.events.last().filter(|_| order.send).map(|event| event.id.clone());
        Some(json!({ "tracker": tracker.wire(), "event_id": event }))
    })?;
    Ok(match moved {
        Some(moved) => Json(moved).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

#[derive(Deserialize)]
struct Replay {
    signature: Option<String>,
}

#[handler]
pub fn replay(
    Data(shared): Data<&Arc<Shared>>,
    Path(event_id): Path<String>,
    Json(order): Json<Replay>,
) -> poem::Result<StatusCode> {
    let known = shared.change(|world| {
        let known = world.events.iter().any(|event| event.id == event_id);
        if known {
            let bad_signature = order.signature.as_deref() == Some("bad");
            world.pending.push(Pending { event_id, attempts: 0, due: now(), bad_signature });
        }
        known
    })?;
    Ok(if known { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND })
}

#[derive(Deserialize)]
struct NextTrackingCode {
    tracking_code: String,
}

#[handler]
pub fn next_tracking_code(
    Data(shared): Data<&Arc<Shared>>,
    Json(order): Json<NextTrackingCode>,
) -> poem::Result<StatusCode> {
    shared.change(|world| world.next_tracking_code = Some(order.tracking_code))?;
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
