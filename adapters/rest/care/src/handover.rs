//! Handing the patients of a provider to colleagues, and whom nobody has taken.

use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, Tag};
use care::{
    CareError, CareStore, Sources,
    handover::{self, Handed, Handover, HandoverRequest, Obstacle, OpenWork, Orphan},
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, FieldError, PatientId, ProviderId, UsState};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::Env;

pub struct HandoverApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// Which patients go to whom: either `everybody` or `patient_ids`.
#[derive(Debug, Object)]
#[oai(example)]
pub struct HandOverPanel {
    /// All whom the provider has anything open for, 500 at a time.
    #[oai(default)]
    pub everybody: bool,
    /// These of the provider's patients; at most 500.
    pub patient_ids: Option<Vec<PatientId>>,
    /// To this colleague alone; else each patient goes to whoever fits and was
    /// given the fewest.
    pub to: Option<ProviderId>,
    /// Only says who would go to whom.
    #[oai(default)]
    pub dry_run: bool,
}

api::example!(HandOverPanel { everybody: true, patient_ids: None, to: None, dry_run: true });

/// What a provider has open for a patient.
#[derive(Debug, Object)]
pub struct OpenWorkView {
    pub patient_id: PatientId,
    /// The postal code of the patient's state; absent without a profile.
    pub state: Option<String>,
    /// The categories of the active plans.
    pub plans: Vec<CategoryId>,
    pub tasks: u32,
    /// Reviews that are held, or that wait for the patient's answer.
    pub reviews: u32,
    /// When the booked visits begin.
    pub visits: Vec<DateTime<Utc>>,
}

impl OpenWorkView {
    fn of(work: &OpenWork, state: Option<UsState>) -> Self {
        Self {
            patient_id: work.patient,
            state: state.map(Into::into),
            plans: work.plans.clone(),
            tasks: work.tasks,
            reviews: work.reviews,
            visits: work.visits.clone(),
        }
    }
}

/// What becomes of one patient.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Handover)]
pub struct HandoverView {
    #[mirror(|done| OpenWorkView::of(&done.work, done.state))]
    pub work: OpenWorkView,
    /// Who takes the patient over; absent where nobody does.
    #[mirror(|done| done.outcome.ok())]
    pub to: Option<ProviderId>,
    /// Why nobody does.
    #[mirror(|done| done.outcome.err())]
    pub obstacle: Option<Obstacle>,
}

/// What was handed over, or would be.
#[derive(Debug, Object)]
pub struct HandoversView {
    pub dry_run: bool,
    pub handed_over: u32,
    /// How many stay where they are.
    pub left: u32,
    pub patients: Vec<HandoverView>,
}

/// A patient whose provider may not treat them now.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Orphan)]
pub struct OrphanView {
    pub provider_id: ProviderId,
    #[mirror(|orphan| OpenWorkView::of(&orphan.work, orphan.state))]
    pub work: OpenWorkView,
    /// How many colleagues are licensed where the patient is.
    pub licensed_colleagues: u32,
}

#[derive(Debug, Object)]
pub struct OrphansView {
    /// By provider and patient.
    pub patients: Vec<OrphanView>,
}

#[OpenApi(tag = "Tag::Care")]
impl HandoverApi {
    /// Hand a provider's patients to colleagues
    ///
    /// Takes `account.administer`. Active plans, open tasks, reviews that wait for
    /// an answer, threads and booked visits go to a colleague with an active
    /// license where the patient is; a claim goes back to the queue. The colleague
    /// gets a task for each plan and prescribes it in their own name, the patient
    /// is told, and the chart is closed to whoever had it. Whom nobody can take
    /// stays, with the reason. Repeating it hands over what is left. An id that is
    /// no provider's is 404; a `to` that is no provider with a license in force,
    /// and patients who never were the provider's, are 422 and named.
    #[oai(
        path = "/api/admin/providers/:id/handover",
        method = "post",
        operation_id = "handOverPanel"
    )]
    async fn hand_over(
        &self,
        caller: Caller,
        /// The provider who hands over.
        id: Path<ProviderId>,
        body: Body<HandOverPanel>,
    ) -> Answer<HandoversView> {
        let HandOverPanel { everybody, patient_ids, to, dry_run } = body.0;
        let patients = match (everybody, patient_ids) {
            (true, None) => Handed::Everybody,
            (false, Some(ids)) => Handed::These(ids),
            _ => {
                let message = "Either everybody or patient_ids.";
                let error = FieldError::new("everybody", "exactly_one", message);
                return Err(CareError::Invalid(vec![error]).into());
            }
        };
        let request = HandoverRequest { patients, to, dry_run };
        let (store, sources, actor) = (&*self.store, &self.sources, caller.actor());
        let done = handover::hand_over(&self.env, store, sources, actor, id.0, request).await?;
        let count = |is_ok| {
            let fits = done.iter().filter(|one| one.outcome.is_ok() == is_ok).count();
            u32::try_from(fits).unwrap_or(u32::MAX)
        };
        let (handed_over, left) = (count(true), count(false));
        let patients = done.into_iter().map(Into::into).collect();
        Ok(Json(HandoversView { dry_run, handed_over, left, patients }))
    }

    /// List patients whose provider may not treat them
    ///
    /// Takes `account.administer`. What stands open with providers whose license
    /// where the patient is has ended, or whose account or role has: counted at
    /// the moment of asking.
    #[oai(path = "/api/admin/handovers", method = "get", operation_id = "listHandovers")]
    async fn list(&self, caller: Caller) -> Answer<OrphansView> {
        let (store, sources) = (&*self.store, &self.sources);
        let found = handover::orphans(&self.env, store, sources, caller.actor()).await?;
        Ok(Json(OrphansView { patients: found.into_iter().map(Into::into).collect() }))
    }
}
