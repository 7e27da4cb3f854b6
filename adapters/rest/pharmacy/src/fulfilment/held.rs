use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Tag, Text};
use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, FillHoldId, InvoiceId, Page, PatientId, PrescriptionId, ProviderId,
    text::GraveReason,
};
use pharmacy::{
    dispatch::{
        checks::FillChecks,
        hold::{FillHold, Ground, GroundKind, ReleaseRequest},
        release::{held, release},
    },
    fulfilment::FulfilmentStore,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::{Env, Panel};

pub struct HeldFillsApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
    pub panel: Arc<dyn Panel>,
    pub checks: FillChecks,
}

/// One thing that speaks against sending a fill.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Ground)]
pub struct HoldGroundView {
    /// What a decision names it by.
    pub key: String,
    pub kind: GroundKind,
    pub summary: String,
    /// Whether a provider may decide to send the fill in spite of it. What may
    /// not be accepted is put right where it comes from.
    pub acceptable: bool,
}

/// A paid fill that is held until a provider decides.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = FillHold)]
pub struct HeldFillView {
    pub id: FillHoldId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    /// Absent where the treatment has ended and nothing is prescribed.
    pub prescription_id: Option<PrescriptionId>,
    /// The invoice that paid for it, and which of its fills it is.
    pub invoice_id: InvoiceId,
    pub number: u32,
    /// Whose decision it is.
    pub provider_id: Option<ProviderId>,
    pub grounds: Vec<HoldGroundView>,
    pub held_at: DateTime<Utc>,
    /// Absent while it is held.
    #[mirror(|hold| hold.released.as_ref().map(|release| release.at))]
    pub released_at: Option<DateTime<Utc>>,
    #[mirror(|hold| hold.released.as_ref().map(|release| release.by))]
    pub released_by: Option<ProviderId>,
    /// Why it was released, in the provider's own words.
    #[mirror(|hold| hold.released.as_ref().map(|release| release.reason.clone()))]
    pub reason: Option<String>,
    /// The keys of the grounds that were accepted.
    #[oai(default, skip_serializing_if_is_empty)]
    #[mirror(|hold| hold.released.as_ref().map(|release| release.accepted.clone()).unwrap_or_default())]
    pub accepted: Vec<String>,
}

/// A page of held fills, the longest held first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<FillHold>)]
pub struct HeldFillPage {
    pub items: Vec<HeldFillView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Decides that a held fill goes out.
#[derive(Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = ReleaseRequest)]
pub struct ReleaseHeldFill {
    /// Between 10 and 1,000 characters.
    pub reason: Text<GraveReason>,
    /// The `key` of each ground that stands and is accepted.
    #[oai(validator(max_items = 50))]
    pub grounds: Vec<String>,
}

api::example!(ReleaseHeldFill {
    reason: "Called the patient: the new entry is a vitamin, and nothing interacts.".into(),
    grounds: vec!["open_health_task:019a9e1c-0000-7000-8000-000000000000".into()],
});

#[OpenApi(tag = "Tag::Pharmacy")]
impl HeldFillsApi {
    /// List held fills
    ///
    /// The paid fills that something speaks against, the longest held first:
    /// those of their pharmacies for a pharmacist, for a provider those of the
    /// patients whom they treat. Each names what it is held for.
    #[oai(path = "/api/held-fills", method = "get", operation_id = "listHeldFills")]
    async fn list(
        &self,
        caller: Caller,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<HeldFillPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(held(&*self.store, caller.actor(), &page).await?.into()))
    }

    /// Release a held fill
    ///
    /// A provider who treats the patient decides that the fill goes out, and
    /// says why. What speaks against it is read again first. The decision
    /// names every ground that stands now (409 `pharmacy.hold_changed` where
    /// one is missing, and the hold then shows it), and a ground that may not
    /// be accepted keeps the fill (409 `pharmacy.hold_stands`). It holds for
    /// this fill alone.
    #[oai(path = "/api/held-fills/:id/release", method = "post", operation_id = "releaseHeldFill")]
    async fn release(
        &self,
        caller: Caller,
        id: Path<FillHoldId>,
        body: Body<ReleaseHeldFill>,
    ) -> Answer<HeldFillView> {
        let (store, panel, asked) = (&*self.store, &*self.panel, body.0.into());
        let (env, checks, actor) = (&self.env, &self.checks, caller.actor());
        Ok(Json(release(env, store, panel, checks, actor, id.0, asked).await?.into()))
    }
}
