//! What patients report of their own allergies and medications.

mod views;

use std::sync::Arc;

use api::{Answer, Body, Caller, Tag};
use poem_openapi::{OpenApi, payload::Json};
use ports::Env;
use records::{FhirMapper, RecordsStore};

use views::{AllergiesRequest, AllergiesView, MedicationsRequest, MedicationsView};

pub struct RecordsApi {
    pub env: Env,
    pub store: Arc<dyn RecordsStore>,
    pub mapper: Arc<dyn FhirMapper>,
}

#[OpenApi(tag = "Tag::Records")]
impl RecordsApi {
    /// Read one's own allergies
    ///
    /// `not_asked` means that nothing was said yet, which is not the same as
    /// `none_known`.
    #[oai(path = "/api/profile/allergies", method = "get", operation_id = "readAllergies")]
    async fn read_allergies(&self, caller: Caller) -> Answer<AllergiesView> {
        Ok(Json(records::allergies(&*self.store, caller.actor()).await?.into()))
    }

    /// Replace one's own allergies
    ///
    /// The list replaces what was reported before. Substances are coded in
    /// RxNorm or SNOMED CT. To say that there is none, send `none_known` with
    /// an empty list. Interaction and allergy checks use the list from then on.
    #[oai(path = "/api/profile/allergies", method = "put", operation_id = "reportAllergies")]
    async fn report_allergies(
        &self,
        caller: Caller,
        body: Body<AllergiesRequest>,
    ) -> Answer<AllergiesView> {
        let (store, mapper, claim) = (&*self.store, &*self.mapper, body.0.into());
        let reported =
            records::report_allergies(&self.env, store, mapper, caller.actor(), claim).await?;
        Ok(Json(reported.into()))
    }

    /// Read one's own medications
    ///
    /// `not_asked` means that nothing was said yet, which is not the same as
    /// `none_known`.
    #[oai(path = "/api/profile/medications", method = "get", operation_id = "readMedications")]
    async fn read_medications(&self, caller: Caller) -> Answer<MedicationsView> {
        Ok(Json(records::medications(&*self.store, caller.actor()).await?.into()))
    }

    /// Replace one's own medications
    ///
    /// The list replaces what was reported before and holds what is taken now.
    /// Drugs are coded in RxNorm. To say that there is none, send `none_known`
    /// with an empty list. Interaction checks use the list from then on.
    #[oai(path = "/api/profile/medications", method = "put", operation_id = "reportMedications")]
    async fn report_medications(
        &self,
        caller: Caller,
        body: Body<MedicationsRequest>,
    ) -> Answer<MedicationsView> {
        let (store, mapper, claim) = (&*self.store, &*self.mapper, body.0.into());
        let reported =
            records::report_medications(&self.env, store, mapper, caller.actor(), claim).await?;
        Ok(Json(reported.into()))
    }
}
