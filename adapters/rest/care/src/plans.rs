use std::sync::Arc;

use api::{Answer, Body, Caller, IfMatch, Result, Tag, Versioned, idempotency_key, seen_version};
use care::{CareStore, Sources, plans};
use kernel::{PatientId, Seen, TreatmentPlanId};
use poem_openapi::{
    OpenApi,
    param::{Header, Path},
    payload::Json,
};
use ports::Env;

use super::treatment::{
    CompletePlan, CreatePlan, ModifyPlan, PlanHistoryView, PlanView, PlansView, ReplacePlan,
    RevokePlan,
};

pub struct PlansApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// What `If-Match` names, or this where it is absent.
pub(super) fn seen_or(if_match: &Header<Option<String>>, absent: Seen) -> Result<Seen> {
    if_match.as_deref().map_or(Ok(absent), seen_version)
}

/// For what is signed: the version that was read has to be named, and `*` names
/// none.
fn read(seen: &Seen) -> Seen {
    seen.newest().unwrap_or(0).into()
}

#[OpenApi(tag = "Tag::Care")]
impl PlansApi {
    /// Create a treatment plan
    ///
    /// For a patient of the provider's panel, where the provider holds an
    /// active license in the patient's state. Doses are held against the
    /// drug's maximum. Where the patient has an active plan in the category,
    /// `supersedes` must name it: it ends in the same moment. Repeated with the
    /// same `Idempotency-Key`, it answers with the plan that was made first.
    #[oai(path = "/api/treatment-plans", method = "post", operation_id = "createTreatmentPlan")]
    async fn create(
        &self,
        caller: Caller,
        /// A value that is unique to this plan; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<CreatePlan>,
    ) -> Answer<PlanView> {
        let key = idempotency_key("care.create_treatment_plan", &key.0, &body.0)?;
        let (store, sources, request) = (&*self.store, &self.sources, body.0.parse()?);
        let plan = plans::create(&self.env, store, sources, caller.actor(), request, &key).await?;
        Ok(Json(plan.into()))
    }

    /// Replace a plan's treatment
    ///
    /// Adds a version; the ones before are kept.
    #[oai(path = "/api/treatment-plans/:id", method = "put", operation_id = "replaceTreatmentPlan")]
    async fn replace(
        &self,
        caller: Caller,
        id: Path<TreatmentPlanId>,
        /// The version that was read, which is what is signed on; when the plan
        /// has changed since, the answer is 412 and names what changed.
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: Body<ReplacePlan>,
    ) -> Result<Versioned<PlanView>> {
        let (treatment, reason) = (body.0.treatment.parse()?, body.0.reason);
        let (seen, actor) = (read(&seen.0), caller.actor());
        let place = (id.0, &seen);
        let (store, sources) = (&*self.store, &self.sources);
        let plan =
            plans::replace(&self.env, store, sources, actor, place, treatment, &reason).await?;
        Ok(Versioned::of(plan))
    }

    /// List a patient's treatment plans
    ///
    /// `id` is the patient's: one's own, or that of a patient of one's panel.
    #[oai(path = "/api/treatment-plans/:id", method = "get", operation_id = "listTreatmentPlans")]
    async fn list(&self, caller: Caller, id: Path<PatientId>) -> Answer<PlansView> {
        let plans = plans::of_patient(&*self.store, caller.actor(), id.0).await?;
        Ok(Json(PlansView { plans: plans.into_iter().map(Into::into).collect() }))
    }

    /// Modify a plan's treatment
    ///
    /// Changes the parts that are given and adds a version; the ones before
    /// are kept. Repeating it adds another version.
    #[oai(
        path = "/api/treatment-plans/:id/modify",
        method = "post",
        operation_id = "modifyTreatmentPlan"
    )]
    async fn modify(
        &self,
        caller: Caller,
        id: Path<TreatmentPlanId>,
        /// The version that was read, which is what is signed on; when the plan
        /// has changed since, the answer is 412 and names what changed.
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: Body<ModifyPlan>,
    ) -> Result<Versioned<PlanView>> {
        let ModifyPlan { changes, reason } = body.0;
        let (seen, actor) = (read(&seen.0), caller.actor());
        let place = (id.0, &seen);
        let (store, sources) = (&*self.store, &self.sources);
        let plan =
            plans::modify(&self.env, store, sources, actor, place, changes.into(), &reason).await?;
        Ok(Versioned::of(plan))
    }

    /// Revoke a treatment plan
    ///
    /// Ends it for a coded reason. Its open prescription is canceled, what has
    /// not gone to the carrier is not sent out, and nothing more is filled. A
    /// pharmacy outside that holds the prescription already is not told by
    /// message yet: call it.
    #[oai(
        path = "/api/treatment-plans/:id/revoke",
        method = "post",
        operation_id = "revokeTreatmentPlan"
    )]
    async fn revoke(
        &self,
        caller: Caller,
        id: Path<TreatmentPlanId>,
        /// The version that was read; when the plan has changed since, the
        /// answer is 412 and names what changed.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<RevokePlan>,
    ) -> Result<Versioned<PlanView>> {
        let (reason, note) = (body.0.reason.into(), body.0.note.map(Into::into));
        let (seen, actor) = (seen_or(&if_match, Seen::Any)?, caller.actor());
        let place = (id.0, &seen);
        let (store, sources) = (&*self.store, &self.sources);
        let plan = plans::revoke(&self.env, store, sources, actor, place, reason, note).await?;
        Ok(Versioned::of(plan))
    }

    /// Complete a treatment plan
    ///
    /// Ends it because it has done what it was for; otherwise like revoking it.
    #[oai(
        path = "/api/treatment-plans/:id/complete",
        method = "post",
        operation_id = "completeTreatmentPlan"
    )]
    async fn complete(
        &self,
        caller: Caller,
        id: Path<TreatmentPlanId>,
        /// The version that was read; when the plan has changed since, the
        /// answer is 412 and names what changed.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<CompletePlan>,
    ) -> Result<Versioned<PlanView>> {
        let (seen, actor) = (seen_or(&if_match, Seen::Any)?, caller.actor());
        let (place, note) = ((id.0, &seen), body.0.note.map(Into::into));
        let (store, sources) = (&*self.store, &self.sources);
        let plan = plans::complete(&self.env, store, sources, actor, place, note).await?;
        Ok(Versioned::of(plan))
    }

    /// Read a plan's history
    ///
    /// Every version with its author, its reason and the fields that it
    /// changed, and how the plan ended. For the patient and for those who treat
    /// them.
    #[oai(
        path = "/api/treatment-plans/:id/history",
        method = "get",
        operation_id = "getTreatmentPlanHistory"
    )]
    async fn history(&self, caller: Caller, id: Path<TreatmentPlanId>) -> Answer<PlanHistoryView> {
        Ok(Json(plans::history(&*self.store, caller.actor(), id.0).await?.into()))
    }
}
