//! The calls.

use std::time::Duration;

use async_trait::async_trait;
use pharmacy::fulfilment::{CarrierShipment, Carriers, ShipmentOrder, TrackerState};
use ports::{PortError, Result};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use crate::wire::{
    BuyShipment, CreateShipment, ErrorBody, RateReference, Shipment, Shipments, tracker,
};

const VENDOR: &str = "easypost";

#[derive(Clone)]
pub struct EasyPostConfig {
    /// As in `https://api.easypost.com`.
    pub base_url: Url,
    pub api_key: String,
    pub timeout: Duration,
}

/// The client. Cloning shares its connections.
#[derive(Clone)]
pub struct EasyPost {
    client: Client,
    config: EasyPostConfig,
}

/// Whether a call changes anything at the vendor; then a lost answer means that
/// its outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

impl EasyPost {
    pub fn new(config: EasyPostConfig) -> Result<Self> {
        let client = Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .build()
            .map_err(|error| PortError::internal("the carriers' client was not built", error))?;
        Ok(Self { client, config })
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder> {
        let mut url = self.config.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| PortError::bug("the carriers' base URL cannot have a path"))?
            .pop_if_empty()
            .push("v2")
            .extend(path);
        Ok(self.client.request(method, url).basic_auth(&self.config.api_key, Some("")))
    }

    async fn shipment(&self, id: &str) -> Result<Shipment> {
        let request = self.request(Method::GET, &["shipments", id])?;
        call(request, Effect::Reads).await
    }
}

#[async_trait]
impl Carriers for EasyPost {
    async fn find(&self, reference: &str) -> Result<Option<CarrierShipment>> {
        let request = self.request(Method::GET, &["shipments"])?.query(&[("reference", reference)]);
        let found: Shipments = call(request, Effect::Reads).await?;
        let mut ours: Vec<Shipment> = found
            .shipments
            .into_iter()
            .filter(|shipment| shipment.reference.as_deref() == Some(reference))
            .collect();
        // Two can stand there when an answer was lost and a list was late; the
        // one with a label counts.
        ours.sort_by_key(|shipment| shipment.postage_label.is_none());
        Ok(ours.into_iter().next().map(Shipment::into_domain))
    }

    async fn create(&self, order: &ShipmentOrder) -> Result<CarrierShipment> {
        let request = self.request(Method::POST, &["shipments"])?.json(&CreateShipment::of(order));
        let made: Shipment = call(request, Effect::Changes).await?;
        Ok(made.into_domain())
    }

    async fn buy(&self, shipment: &CarrierShipment) -> Result<CarrierShipment> {
        let known = self.shipment(&shipment.id).await?;
        if known.postage_label.is_some() {
            return Ok(known.into_domain());
        }
        let rate = known.cheapest().ok_or_else(|| PortError::Refused {
            vendor: VENDOR,
            code: "SHIPMENT.NO_RATES".to_owned(),
            message: "no carrier offers a rate for the shipment".to_owned(),
        })?;
        let request = self
            .request(Method::POST, &["shipments", &shipment.id, "buy"])?
            .json(&BuyShipment { rate: RateReference { id: &rate.id } });
        match call::<Shipment>(request, Effect::Changes).await {
            Ok(bought) => Ok(bought.into_domain()),
            // Somebody bought it between the look and the purchase.
            Err(PortError::Refused { code, .. }) if code == "SHIPMENT.POSTAGE.EXISTS" => {
                Ok(self.shipment(&shipment.id).await?.into_domain())
            }
            Err(other) => Err(other),
        }
    }

    async fn tracker(&self, id: &str) -> Result<Option<TrackerState>> {
        let request = self.request(Method::GET, &["trackers", id])?;
        match call::<serde_json::Value>(request, Effect::Reads).await {
            Ok(found) => tracker(&found).map(|(found, _)| Some(found)).ok_or_else(|| {
                let message = "the answer is no tracker".to_owned();
                PortError::Unavailable { vendor: VENDOR, message }
            }),
            Err(PortError::Refused { code, .. }) if code == "NOT_FOUND" => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// Sends a request and reads its answer. The vendor's own words are left out of
/// errors, because they can quote an address.
async fn call<T: DeserializeOwned>(request: RequestBuilder, effect: Effect) -> Result<T> {
    let answer = request.send().await.map_err(|error| lost(&error, effect))?;
    let status = answer.status();
    if status.is_success() {
        return answer.json().await.map_err(|error| lost(&error, effect));
    }
    let message = format!("answered {status}");
    match status {
        // A wrong key or too many calls end with time or configuration, so the
        // shipment is not to blame.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_MANY_REQUESTS => Err(PortError::Unavailable { vendor: VENDOR, message }),
        status if status.is_client_error() => {
            let code = match answer.json::<ErrorBody>().await {
                Ok(body) => body.error.code,
                Err(_) => status.as_u16().to_string(),
            };
            Err(PortError::Refused { vendor: VENDOR, code, message })
        }
        _ if effect == Effect::Changes => Err(PortError::Unknown { vendor: VENDOR, message }),
        _ => Err(PortError::Unavailable { vendor: VENDOR, message }),
    }
}

fn lost(error: &reqwest::Error, effect: Effect) -> PortError {
    let message = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer was lost or could not be read"
    }
    .to_owned();
    if effect == Effect::Reads || error.is_connect() {
        PortError::Unavailable { vendor: VENDOR, message }
    } else {
        PortError::Unknown { vendor: VENDOR, message }
    }
}
