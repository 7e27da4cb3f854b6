//! One request: who asks, the faults that were asked for, the idempotency key,
//! and then the operation itself.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{
    Body, IntoResponse as _, Request, Response,
    http::{Method, StatusCode},
    web::Json,
};
use serde_json::Value;

use super::{
    Shared, api,
    objects::Params,
    world::{Answer, Call, FaultKind, World},
};

/// Headers of ours are short, and so are the vendor's keys.
const LONGEST_KEY: usize = 255;

pub async fn answer(shared: &Arc<Shared>, mut request: Request) -> poem::Result<Response> {
    if !is_let_in(&request, &shared.config.secret_key) {
        let message = "Invalid API Key provided.";
        return Ok(refuse(401, "invalid_request_error", None, message));
    }
    let uri = request.original_uri().clone();
    let method = request.method().clone();
    let path = uri.path().to_owned();
    let name = format!("{method} {path}");
    let key = request.header("idempotency-key").map(str::to_owned);
    let body = request.take_body().into_string().await?;
    let encoded = if method == Method::POST { body } else { uri.query().unwrap_or("").to_owned() };

    let waiting = shared.world.read(|world| world.faults.iter().any(|fault| fault.times > 0));
    let fault = if waiting { shared.change(|world| world.take_fault(&name))? } else { None };
    match fault {
        Some(FaultKind::Status500) => {
            return Ok(refuse(500, "api_error", None, "Something went wrong."));
        }
        Some(FaultKind::Hang) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            return Ok(StatusCode::GATEWAY_TIMEOUT.into_response());
        }
        Some(FaultKind::DropAfter) | None => {}
    }
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        let message = "Idempotency keys have 1 to 255 characters.";
        return Ok(refuse(400, "idempotency_error", None, message));
    }
    let call = Incoming { method, path, encoded, key };
    let (status, body, replayed) = shared.change(|world| perform(world, &call))?;
    if fault == Some(FaultKind::DropAfter) {
        let lost = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::from(
            std::io::ErrorKind::ConnectionReset,
        ))]);
        return Ok(Response::builder().body(Body::from_bytes_stream(lost)));
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let response = Json(body).with_status(status);
    Ok(match replayed {
        true => response.with_header("idempotent-replayed", "true").into_response(),
        false => response.into_response(),
    })
}

/// A request as far as the vendor looks at it.
struct Incoming {
    method: Method,
    path: String,
    encoded: String,
    key: Option<String>,
}

fn perform(world: &mut World, call: &Incoming) -> (u16, Value, bool) {
    let params = Params::parse(&call.encoded);
    // The parameters count and not the order in which they were written.
    let fingerprint = format!("{} {} {:?}", call.method, call.path, params.0);
    // Keys are for what changes something.
    let key = call.key.as_ref().filter(|_| call.method == Method::POST);
    let (status, body, replayed) = match key.and_then(|key| world.answers.get(key)) {
        Some(earlier) if earlier.request == fingerprint => {
            (earlier.status, earlier.body.clone(), true)
        }
        Some(_) => {
            let message = "Keys for idempotent requests can only be used with the same \
                           parameters they were first used with.";
            (400, api::error("idempotency_error", None, message), false)
        }
        None => {
            let (status, body) =
                api::perform(world, call.method == Method::POST, &call.path, &params);
            // What failed validation was never begun, and may be sent again
            // under its key.
            if let Some(key) = key.filter(|_| matches!(status, 200 | 402 | 500..)) {
                let answer = Answer { request: fingerprint, status, body: body.clone() };
                world.answers.insert(key.clone(), answer);
            }
            (status, body, false)
        }
    };
    world.requests.push(Call {
        method: call.method.to_string(),
        path: call.path.clone(),
        idempotency_key: call.key.clone(),
        status,
        replayed,
    });
    (status, body, replayed)
}

/// The key comes as a bearer token or as the user of basic authentication.
fn is_let_in(request: &Request, secret_key: &str) -> bool {
    let Some(given) = request.header("authorization") else { return false };
    given == format!("Bearer {secret_key}")
        || given == format!("Basic {}", STANDARD.encode(format!("{secret_key}:")))
}

fn refuse(status: u16, kind: &str, code: Option<&str>, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Json(api::error(kind, code, message)).with_status(status).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn post(path: &str, encoded: &str, key: &str) -> Incoming {
        Incoming {
            method: Method::POST,
            path: path.to_owned(),
            encoded: encoded.to_owned(),
            key: Some(key.to_owned()),
        }
    }

    #[test]
    fn a_key_replays_its_answer_and_refuses_other_parameters() {
        let mut world = World::default();
        let (status, first, replayed) =
            perform(&mut world, &post("/v1/customers", "metadata%5Ba%5D=1&name=A", "k"));
        assert_eq!((status, replayed), (200, false));
        assert_eq!(first["metadata"], json!({ "a": "1" }));
        let (_, second, replayed) =
            perform(&mut world, &post("/v1/customers", "name=A&metadata[a]=1", "k"));
        assert_eq!((second, replayed), (first, true));
        let (status, error, _) =
            perform(&mut world, &post("/v1/customers", "metadata%5Ba%5D=2", "k"));
        assert_eq!((status, &error["error"]["type"]), (400, &json!("idempotency_error")));
        assert_eq!(world.customers.len(), 1);
    }

    #[test]
    fn what_failed_validation_is_not_kept_under_its_key() {
        let mut world = World::default();
        let bad = post("/v1/payment_intents", "amount=0&currency=usd", "k");
        assert_eq!(perform(&mut world, &bad).0, 400);
        let good = post("/v1/payment_intents", "amount=100&currency=usd", "k");
        assert_eq!(perform(&mut world, &good).0, 200);
    }
}
