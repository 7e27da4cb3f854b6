use async_trait::async_trait;
use kernel::{PatientId, ProviderId};

use crate::Result;

/// Which patients a provider treats: the provider's panel. A chart outside it
/// does not exist for that provider.
#[async_trait]
pub trait Panel: Send + Sync {
    async fn treats(&self, provider: ProviderId, patient: PatientId) -> Result<bool>;

    /// Whether the provider may read the patient's chart now: one of the panel,
    /// or one that is open in an emergency. It is for reading alone.
    async fn opens_chart(&self, provider: ProviderId, patient: PatientId) -> Result<bool> {
        self.treats(provider, patient).await
    }
}
