use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text};
use chrono::{DateTime, Utc};
use kernel::{FillHoldId, Uuid, text::GraveReason};
use pharmacy::{
    dispatch::{
        checks::FillChecks,
        hold::{FillHold, Ground, ReleaseRequest},
        release::{held, release},
    },
    fulfilment::FulfilmentStore,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use ports::{Env, Panel};

pub struct HeldFillsApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
    pub panel: Arc<dyn Panel>,
    pub checks: FillChecks,
}

/// One thing that speaks against sending a fill.
#[derive(Clone, Debug, Object)]
pub struct HoldGroundView {
    /// What a decision names it by.
    pub key: String,
    pub kind: pharmacy::dispatch::hold::GroundKind,
    pub summary: String,
    /// Whether a provider may decide to send the fill in spite of it. What may
    /// not be accepted is put right where it comes from.
    pub acceptable: bool,
}

impl From<Ground> for HoldGroundView {
    fn from(ground: Ground) -> Self {
        Self {
            key: ground.key,
            kind: ground.kind,
            summary: ground.summary,
            acceptable: ground.acceptable,
        }
    }
}

/// A paid fill that is held until a provider decides.
#[derive(Clone, Debug, Object)]
pub struct HeldFillView {
    pub id: Uuid,
    pub patient_id: Uuid,
    pub category_id: Uuid,
    /// Absent where the treatment has ended and nothing is prescribed.
    pub prescription_id: Option<Uuid>,
    /// The invoice that paid for it, and which of its fills it is.
    pub invoice_id: Uuid,
    pub number: u32,
    /// Whose decision it is.
    pub provider_id: Option<Uuid>,
    pub grounds: Vec<HoldGroundView>,
    pub held_at: DateTime<Utc>,
    /// Absent while it is held.
    pub released_at: Option<DateTime<Utc>>,
    pub released_by: Option<Uuid>,
    /// Why it was released, in the provider's own words.
    pub reason: Option<String>,
    /// The keys of the grounds that were accepted.
    #[oai(default, skip_serializing_if_is_empty)]
    pub accepted: Vec<String>,
}

impl From<FillHold> for HeldFillView {
    fn from(hold: FillHold) -> Self {
        let (released_at, released_by, reason, accepted) = match hold.released {
            Some(release) => {
                (Some(release.at), Some(release.by.uuid()), Some(release.reason), release.accepted)
            }
            None => (None, None, None, Vec::new()),
        };
        Self {
            id: hold.id.uuid(),
            patient_id: hold.patient.uuid(),
            category_id: hold.category.uuid(),
            prescription_id: hold.prescription.map(Into::into),
            invoice_id: hold.invoice.uuid(),
            number: hold.number,
            provider_id: hold.provider.map(Into::into),
            grounds: hold.grounds.into_iter().map(Into::into).collect(),
            held_at: hold.held_at,
            released_at,
            released_by,
            reason,
            accepted,
        }
    }
}

/// A page of held fills, the longest held first.
#[derive(Debug, Object)]
pub struct HeldFillPage {
    pub items: Vec<HeldFillView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Decides that a held fill goes out.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ReleaseHeldFill {
    /// Between 10 and 1,000 characters.
    pub reason: Text<GraveReason>,
    /// The `key` of each ground that stands and is accepted.
    #[oai(validator(max_items = 50))]
    pub grounds: Vec<String>,
}

impl Example for ReleaseHeldFill {
    fn example() -> Self {
        Self {
            reason: "Called the patient: the new entry is a vitamin, and nothing interacts.".into(),
            grounds: vec!["open_health_task:019a9e1c-0000-7000-8000-000000000000".into()],
        }
    }
}

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
    ) -> Result<Json<HeldFillPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let found = held(self.store.as_ref(), caller.actor(), &page).await?;
        let next = found.next;
        Ok(Json(HeldFillPage { items: found.items.into_iter().map(Into::into).collect(), next }))
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
        id: Path<Uuid>,
        body: Body<ReleaseHeldFill>,
    ) -> Result<Json<HeldFillView>, Problem> {
        let ReleaseHeldFill { reason, grounds } = body.0;
        let released = release(
            &self.env,
            self.store.as_ref(),
            self.panel.as_ref(),
            &self.checks,
            caller.actor(),
            FillHoldId(id.0),
            ReleaseRequest { reason: reason.into(), grounds },
        )
        .await?;
        Ok(Json(released.into()))
    }
}
