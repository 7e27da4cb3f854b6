//! The control surface: connecting clients in place of browsers, looking at
//! what the vendor remembers, and injecting faults.

use std::sync::Mutex;

use poem::{
    Response, Route, handler,
    http::StatusCode,
    web::{Data, Json},
};
use serde::Deserialize;
use serde_json::json;

use super::{Connection, Shared, answer, auth, callbacks, failure, fresh_id, kept, now};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The call fails and does nothing.
    #[serde(rename = "status_500")]
    Status500,
    /// The call does nothing and is never answered.
    Hang,
    /// The call has its effect and is never answered.
    DropAfter,
}

/// Faults that wait for the next calls.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn take(&self) -> Option<Fault> {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if waiting.is_empty() { None } else { Some(waiting.remove(0)) }
    }

    fn add(&self, fault: Fault, times: usize) {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.extend(std::iter::repeat_n(fault, times));
    }
}

pub fn routes() -> Route {
    Route::new()
        .at("/fault", poem::post(inject))
        .at("/state", poem::get(look))
        .at("/connect", poem::post(connect))
        .at("/disconnect", poem::post(disconnect))
}

#[derive(Deserialize)]
struct Injection {
    fault: Fault,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

#[handler]
fn inject(vendor: Data<&Shared>, Json(injection): Json<Injection>) -> Response {
    vendor.faults.add(injection.fault, injection.times);
    answer(StatusCode::OK, &json!({ "injected": injection.times }))
}

#[handler]
fn look(vendor: Data<&Shared>) -> Response {
    answer(StatusCode::OK, &vendor.state.read(|state| json!(state)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connect {
    session_id: String,
    token: String,
}

/// What a browser does with its token: the vendor verifies it and tells of the
/// connection.
#[handler]
fn connect(vendor: Data<&Shared>, Json(request): Json<Connect>) -> poem::Result<Response> {
    let admission = match auth::admit(&vendor.config, &request.token) {
        Ok(admission) if admission.session == request.session_id => admission,
        Ok(_) => return Ok(failure(StatusCode::FORBIDDEN, "The token is of another session.")),
        Err(why) => return Ok(failure(StatusCode::FORBIDDEN, why)),
    };
    let connection = Connection {
        id: fresh_id(),
        created_at: now(),
        data: admission.data,
        role: admission.role,
    };
    let body = json!({
        "connectionId": connection.id, "role": connection.role, "data": connection.data,
    });
    let project = vendor.config.api_key.clone();
    let known = kept(vendor.state.mutate(|state| {
        let id = &request.session_id;
        let Some(session) = state.sessions.iter_mut().find(|session| session.id == *id) else {
            return false;
        };
        let callback = callbacks::connection(&project, id, "connectionCreated", &connection);
        session.connections.push(connection);
        state.pending.push(callback);
        true
    }))?;
    vendor.news.notify_one();
    Ok(if known {
        answer(StatusCode::OK, &body)
    } else {
        failure(StatusCode::NOT_FOUND, "There is no such session.")
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Disconnect {
    connection_id: String,
}

#[handler]
fn disconnect(vendor: Data<&Shared>, Json(request): Json<Disconnect>) -> poem::Result<Response> {
    let project = vendor.config.api_key.clone();
    let known = kept(vendor.state.mutate(|state| {
        for session in &mut state.sessions {
            let at = session.connections.iter().position(|c| c.id == request.connection_id);
            if let Some(at) = at {
                let gone = session.connections.remove(at);
                state.pending.push(callbacks::connection(
                    &project,
                    &session.id,
                    "connectionDestroyed",
                    &gone,
                ));
                return true;
            }
        }
        false
    }))?;
    vendor.news.notify_one();
    Ok(if known {
        answer(StatusCode::OK, &json!({ "disconnected": true }))
    } else {
        failure(StatusCode::NOT_FOUND, "There is no such connection.")
    })
}
