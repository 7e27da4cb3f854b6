//! The vendor's own operations.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{
    Body, Endpoint, IntoResponse as _, Request, Response, handler,
    http::StatusCode,
    web::{Data, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    world::{FaultKind, Shipment},
};

/// Lets the key's holder in, and plays the faults that were asked for.
pub async fn guard(
    endpoint: &(impl Endpoint<Output = Response> + ?Sized),
    request: Request,
) -> poem::Result<Response> {
    let shared = request
        .data::<Arc<Shared>>()
        .cloned()
        .ok_or_else(|| poem::Error::from_status(StatusCode::INTERNAL_SERVER_ERROR))?;
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:", shared.config.api_key)));
    if request.header("authorization") != Some(expected.as_str()) {
        let message = "The API key is missing or not valid.";
        return Ok(refuse(StatusCode::UNAUTHORIZED, "APIKEY.INACTIVE", message));
    }
    let path = request.original_uri().path().to_owned();
    let waiting = shared.world.read(|world| world.faults.iter().any(|fault| fault.times > 0));
    let fault = if waiting { shared.change(|world| world.take_fault(&path))? } else { None };
    match fault {
        None => endpoint.call(request).await,
        Some(FaultKind::Status500) => {
            let message = "Something went wrong.";
            Ok(refuse(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", message))
        }
        Some(FaultKind::Hang) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(StatusCode::GATEWAY_TIMEOUT.into_response())
        }
        Some(FaultKind::DropAfter) => {
            endpoint.call(request).await?;
            let lost = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::from(
                std::io::ErrorKind::ConnectionReset,
            ))]);
            Ok(Response::builder().body(Body::from_bytes_stream(lost)))
        }
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message, "errors": [] } });
    Json(body).with_status(status).into_response()
}

#[derive(Deserialize)]
struct CreateShipment {
    shipment: ShipmentParams,
}

#[derive(Deserialize)]
struct ShipmentParams {
    reference: Option<String>,
    to_address: Value,
    from_address: Value,
    parcel: Value,
}

/// The fields without which no carrier takes a parcel.
fn check_address(which: &str, address: &Value) -> Option<String> {
    ["name", "street1", "city", "state", "zip", "country"].iter().find_map(|field| {
        let text = address.get(*field).and_then(Value::as_str).unwrap_or_default();
        text.trim().is_empty().then(|| format!("{which}.{field} is required"))
    })
}

#[handler]
pub fn create_shipment(
    Data(shared): Data<&Arc<Shared>>,
    Json(body): Json<CreateShipment>,
) -> poem::Result<Response> {
    let ShipmentParams { reference, to_address, from_address, parcel } = body.shipment;
    let problem = check_address("to_address", &to_address)
        .or_else(|| check_address("from_address", &from_address));
    if let Some(problem) = problem {
        return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, "ADDRESS.VERIFY.FAILURE", &problem));
    }
    let weighs = parcel.get("weight").and_then(Value::as_f64).is_some_and(|weight| weight > 0.0);
    if !weighs {
        let message = "The parcel has no weight.";
        return Ok(refuse(StatusCode::UNPROCESSABLE_ENTITY, "SHIPMENT.INVALID_PARAMS", message));
    }
    let shipment = Shipment::new(reference, to_address, from_address, parcel);
    let wire = shared.change(|world| {
        let wire = shipment.wire(&world.trackers);
        world.shipments.insert(shipment.id.clone(), shipment);
        wire
    })?;
    Ok(Json(wire).with_status(StatusCode::CREATED).into_response())
}

#[derive(Deserialize)]
struct ListShipments {
    reference: Option<String>,
}

#[handler]
pub fn list_shipments(
    Data(shared): Data<&Arc<Shared>>,
    Query(query): Query<ListShipments>,
) -> Json<Value> {
    let shipments: Vec<Value> = shared.world.read(|world| {
        world
            .shipments
            .values()
            .filter(|shipment| query.reference.is_none() || shipment.reference == query.reference)
            .map(|shipment| shipment.wire(&world.trackers))
            .collect()
    });
    Json(json!({ "shipments": shipments, "has_more": false }))
}

#[handler]
pub fn read_shipment(Data(shared): Data<&Arc<Shared>>, Path(id): Path<String>) -> Response {
    let wire = shared
        .world
        .read(|world| world.shipments.get(&id).map(|shipment| shipment.wire(&world.trackers)));
    match wire {
        Some(wire) => Json(wire).into_response(),
        None => not_found(),
    }
}

#[derive(Deserialize)]
struct BuyShipment {
    rate: RateReference,
}

#[derive(Deserialize)]
struct RateReference {
    id: String,
}

#[handler]
pub fn buy_shipment(
    Data(shared): Data<&Arc<Shared>>,
    Path(id): Path<String>,
    Json(body): Json<BuyShipment>,
) -> poem::Result<Response> {
    let bought = shared.change(|world| {
        world.buy(&id, &body.rate.id).map(|shipment| shipment.wire(&world.trackers))
    })?;
    Ok(match bought {
        Ok(wire) => Json(wire).into_response(),
        Err("NOT_FOUND") => not_found(),
        Err(code) => refuse(StatusCode::UNPROCESSABLE_ENTITY, code, "The label was not bought."),
    })
}

#[handler]
pub fn read_tracker(Data(shared): Data<&Arc<Shared>>, Path(id): Path<String>) -> Response {
    match shared.world.read(|world| world.trackers.get(&id).map(super::world::Tracker::wire)) {
        Some(wire) => Json(wire).into_response(),
        None => not_found(),
    }
}

fn not_found() -> Response {
    let message = "The requested resource could not be found.";
    refuse(StatusCode::NOT_FOUND, "NOT_FOUND", message)
}
