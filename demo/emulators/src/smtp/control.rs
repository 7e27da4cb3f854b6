//! The side on which tests read mailboxes and script replies.

use std::{collections::BTreeMap, sync::Arc};

use mail_parser::MessageParser;
use poem::{
    Endpoint, EndpointExt as _, Route,
    error::InternalServerError,
    get, handler,
    http::StatusCode,
    post,
    web::{Data, Json, Query},
};
use serde::{Deserialize, Serialize};

use super::{
    Provider,
    mailbox::{Kept, ScriptedFault, ScriptedReply},
};

pub(super) fn routes(provider: Arc<Provider>) -> impl Endpoint {
    Route::new()
        .at("/_control/messages", get(messages))
        .at("/_control/replies", post(script_reply))
        .at("/_control/faults", post(script_fault))
        .data(provider)
}

#[derive(Debug, Deserialize)]
struct Filter {
    to: Option<String>,
}

/// A message as a mail program would show it.
#[derive(Debug, Serialize)]
struct Shown {
    to: String,
    envelope_from: String,
    message_id: Option<String>,
    /// How often it was handed over.
    deliveries: u32,
    subject: Option<String>,
    /// Every header's first value, by its name in lower case, unfolded.
    headers: BTreeMap<String, String>,
    text: Option<String>,
    html: Option<String>,
}

impl Shown {
    fn of(kept: &Kept) -> Self {
        let raw = kept.raw();
        let parsed = MessageParser::default().parse(&raw);
        let mut headers = BTreeMap::new();
        if let Some(message) = &parsed {
            for (name, value) in message.headers_raw() {
                let value: Vec<&str> = value.split_whitespace().collect();
                headers.entry(name.to_lowercase()).or_insert_with(|| value.join(" "));
            }
        }
        // A body of the other kind would be converted, so only a part that is
        // there is shown.
        let text = parsed.as_ref().filter(|message| !message.text_body.is_empty());
        let html = parsed.as_ref().filter(|message| !message.html_body.is_empty());
        Self {
            to: kept.recipient.clone(),
            envelope_from: kept.sender.clone(),
            message_id: kept.message_id.clone(),
            deliveries: kept.deliveries,
            subject: parsed.as_ref().and_then(|message| message.subject().map(str::to_owned)),
            headers,
            text: text.and_then(|message| message.body_text(0).map(Into::into)),
            html: html.and_then(|message| message.body_html(0).map(Into::into)),
        }
    }
}

#[handler]
fn messages(
    Data(provider): Data<&Arc<Provider>>,
    Query(filter): Query<Filter>,
) -> Json<Vec<Shown>> {
    let wanted = filter.to.map(|address| address.to_lowercase());
    let kept = provider.mailboxes.read(|state| {
        let fits = |kept: &&Kept| wanted.as_ref().is_none_or(|wanted| kept.recipient == *wanted);
        state.messages.iter().filter(fits).cloned().collect::<Vec<_>>()
    });
    Json(kept.iter().map(Shown::of).collect())
}

#[handler]
fn script_reply(
    Data(provider): Data<&Arc<Provider>>,
    Json(reply): Json<ScriptedReply>,
) -> poem::Result<StatusCode> {
    if !(400..600).contains(&reply.code) {
        return Err(StatusCode::UNPROCESSABLE_ENTITY.into());
    }
    change(provider, |state| state.replies.push(reply))
}

#[handler]
fn script_fault(
    Data(provider): Data<&Arc<Provider>>,
    Json(fault): Json<ScriptedFault>,
) -> poem::Result<StatusCode> {
    change(provider, |state| state.faults.push(fault))
}

fn change(
    provider: &Provider,
    change: impl FnOnce(&mut super::mailbox::Mailboxes),
) -> poem::Result<StatusCode> {
    provider
        .mailboxes
        .mutate(change)
        .map_err(|error| InternalServerError(std::io::Error::other(error)))?;
    Ok(StatusCode::NO_CONTENT)
}
