//! The bridges: what one context asks of another, in the asking context's own
//! words, answered from the other's store. A module for each context that asks.
//! They translate and hold no rule.

mod analytics;
mod billing;
mod care;
mod catalog;
mod communication;
mod fills;
pub mod identity;
mod intake;
mod pharmacy;
mod records;
mod subscriptions;

pub use self::{care::schema_of, records::Files};

use std::sync::Arc;

use ::billing::BillingStore;
use ::care::CareStore;
use ::catalog::CatalogStore;
use ::communication::CommunicationStore;
use ::identity::{PatientProfile, ProviderProfile, Services};
use ::intake::IntakeStore;
use ::pharmacy::{fulfilment::FulfilmentStore, prescription::PrescriptionStore};
use ::records::RecordsStore;
use ::subscriptions::SubscriptionsStore;
use kernel::{Actor, DomainError, ErrorKind, PatientId, ProviderId};
use ports::{Env, Panel, PortError, Result};

use crate::config::Practice;

/// Every store that a bridge answers from.
#[derive(Clone)]
pub struct Bridges {
    pub env: Env,
    pub practice: Practice,
    pub identity: Services,
    pub panel: Arc<dyn Panel>,
    pub billing: Arc<dyn BillingStore>,
    pub catalog: Arc<dyn CatalogStore>,
    pub intake: Arc<dyn IntakeStore>,
    pub care: Arc<dyn CareStore>,
    pub communication: Arc<dyn CommunicationStore>,
    pub prescriptions: Arc<dyn PrescriptionStore>,
    pub fulfilment: Arc<dyn FulfilmentStore>,
    pub subscriptions: Arc<dyn SubscriptionsStore>,
    pub records: Arc<dyn RecordsStore>,
}

impl Bridges {
    /// A patient's profile, read by Salus itself for the named purpose.
    async fn profile(
        &self,
        purpose: &'static str,
        patient: PatientId,
    ) -> Result<Option<PatientProfile>> {
        let actor = Actor::system(purpose);
        ::identity::directory::demographics(&self.identity, self.panel.as_ref(), &actor, patient)
            .await
            .map_err(|error| crossing("a patient's profile", error))
    }

    /// A provider's profile. Whoever has no open account or not the role holds no
    /// license here, whatever the boards say.
    async fn provider(&self, provider: ProviderId) -> Result<Option<ProviderProfile>> {
        let failed = |error| crossing("a provider's profile", error);
        let actor = Actor::system("bridges.provider");
        let found = ::identity::directory::provider(&self.identity, &actor, provider);
        let Some(mut profile) = found.await.map_err(failed)? else { return Ok(None) };
        let practises = ::identity::directory::practises(&self.identity, provider).await;
        if !practises.map_err(failed)? {
            profile.licenses.clear();
        }
        Ok(Some(profile))
    }
}

/// What went wrong on the other side of a bridge is not the asking context's
/// to explain; it fails as a whole and is tried again. An outage stays one.
fn crossing(what: &str, error: impl DomainError) -> PortError {
    if error.kind() == ErrorKind::Unavailable {
        return PortError::outage(format!("{what} was not read from its context"), error);
    }
    PortError::internal(format!("reading {what} from its context failed"), error)
}

/// Like [`crossing`], but an absence on the other side is an answer.
fn absent_or<T, E: DomainError>(
    what: &str,
    result: std::result::Result<T, E>,
) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(crossing(what, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_on_the_other_side_of_a_bridge_stays_an_outage() {
        let outage = PortError::Outage { context: "away".to_owned(), cause: None };
        assert_eq!(crossing("a license", outage).kind(), ErrorKind::Unavailable);
        assert_eq!(crossing("a license", PortError::bug("no")).kind(), ErrorKind::Internal);
    }
}
