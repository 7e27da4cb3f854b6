use std::{ops::Deref, sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Actor, PatientId, ProviderId};
use ports::{Env, Panel, Result, Sealer};

/// The database as every context's store.
#[derive(Clone)]
pub struct Pg(pg::Pg);

impl Pg {
    pub fn new(pool: pg::DatabaseConnection, env: Env, sealer: Arc<dyn Sealer>) -> Self {
        Self(pg::Pg::new(pool, env, sealer))
    }
}

impl Deref for Pg {
    type Target = pg::Pg;

    fn deref(&self) -> &pg::Pg {
        &self.0
    }
}

macro_rules! stores {
    ($($store:path => $port:path, $tx:path;)+) => {$(
        #[async_trait]
        impl $store for Pg {
            async fn begin(&self, actor: &Actor) -> Result<Box<dyn $port>> {
                Ok(<$tx>::begin(&self.0, actor).await?)
            }
        }
    )+};
}

stores! {
    analytics::AnalyticsStore => analytics::AnalyticsTx, postgres_analytics::Tx;
    billing::BillingStore => billing::BillingTx, postgres_billing::Tx;
    care::CareStore => care::CareTx, postgres_care::Tx;
    catalog::CatalogStore => catalog::CatalogTx, postgres_catalog::Tx;
    communication::CommunicationStore => communication::CommunicationTx, postgres_communication::Tx;
    compliance::AuditStore => compliance::AuditTx, postgres_compliance::Tx;
    compliance::retention::HistoryStore => compliance::retention::HistoryTx, postgres_compliance::Tx;
    compliance::unread::UnreadStore => compliance::unread::UnreadTx, postgres_compliance::Tx;
    identity::IdentityStore => identity::IdentityTx, postgres_identity::Tx;
    intake::IntakeStore => intake::IntakeTx, postgres_intake::Tx;
    pharmacy::fulfilment::FulfilmentStore => pharmacy::fulfilment::FulfilmentTx, postgres_pharmacy::Tx;
    pharmacy::prescription::PrescriptionStore => pharmacy::prescription::PrescriptionTx, postgres_pharmacy::Tx;
    records::RecordsStore => records::RecordsTx, postgres_records::Tx;
    subscriptions::SubscriptionsStore => subscriptions::SubscriptionsTx, postgres_subscriptions::Tx;
}

#[async_trait]
impl Panel for Pg {
    async fn treats(&self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        // Which patients a provider treats is itself within the wall, and the question
        // comes from contexts that act for that provider.
        let mut tx = care::CareStore::begin(self, &Actor::system("care.panel")).await?;
        tx.treats(provider, patient).await
    }

    async fn opens_chart(&self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        let mut tx = care::CareStore::begin(self, &Actor::system("care.panel")).await?;
        tx.opens_chart(provider, patient).await
    }
}

#[async_trait]
impl compliance::ChainStore for Pg {
    async fn begin_sealing(&self) -> Result<Box<dyn compliance::ChainTx>> {
        postgres_compliance::Chain(&self.0).begin_sealing().await
    }

    async fn lag(&self) -> Result<Duration> {
        postgres_compliance::Chain(&self.0).lag().await
    }

    async fn snapshot(&self) -> Result<Box<dyn compliance::sealer::ChainSnapshot>> {
        postgres_compliance::Chain(&self.0).snapshot().await
    }
}
