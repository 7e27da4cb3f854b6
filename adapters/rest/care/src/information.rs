use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, Tag, Text};
use care::{
    CareStore, Sources,
    information::{self, Exchange},
};
use chrono::{DateTime, Utc};
use kernel::{AssessmentId, ProviderId, Uuid, text::Inquiry};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};
use ports::Env;

use super::{assessments::AssessmentView, reviews::ReviewView};

pub struct InformationApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// What a provider needs to know before deciding.
#[derive(Debug, Object)]
#[oai(example)]
pub struct RequestInformation {
    /// In words for the patient; at most 4,000 characters.
    pub question: Text<Inquiry>,
}

api::example!(RequestInformation {
    question: "Since when have you taken it, and how much?".into()
});

/// The patient's answer.
#[derive(Debug, Object)]
#[oai(example)]
pub struct GiveInformation {
    /// At most 4,000 characters.
    pub answer: Text<Inquiry>,
}

api::example!(GiveInformation { answer: "Since last spring, one tablet in the evening.".into() });

/// The colleague who takes a review over.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ReassignReview {
    /// A provider with an active license where the patient is.
    pub provider_id: ProviderId,
}

api::example!(ReassignReview {
    provider_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002).into()
});

/// A question and its answer.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Exchange)]
pub struct ExchangeView {
    pub id: Uuid,
    /// The provider who asked.
    pub asked_by: ProviderId,
    pub asked_at: DateTime<Utc>,
    pub question: String,
    pub answered_at: Option<DateTime<Utc>>,
    pub answer: Option<String>,
}

#[derive(Debug, Object)]
pub struct ExchangesView {
    /// Oldest first.
    pub exchanges: Vec<ExchangeView>,
}

#[OpenApi(tag = "Tag::Care")]
impl InformationApi {
    /// Ask the patient before deciding
    ///
    /// The provider who holds the review asks; the patient is notified, the
    /// review waits for the answer, and the time in which it is due stands still
    /// until then. Claiming it again goes on without the answer.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/request-information",
        method = "post",
        operation_id = "requestReviewInformation"
    )]
    async fn request(
        &self,
        caller: Caller,
        assessment_id: Path<AssessmentId>,
        body: Body<RequestInformation>,
    ) -> Answer<ReviewView> {
        let (store, sources) = (&*self.store, &self.sources);
        let (env, actor, id) = (&self.env, caller.actor(), assessment_id.0);
        let question = &body.0.question;
        let review =
            information::request_information(env, store, sources, actor, id, question).await?;
        Ok(Json(review.into()))
    }

    /// Hand a claimed review to a colleague
    ///
    /// The colleague holds it from now on for 30 minutes, and is notified.
    #[oai(
        path = "/api/providers/reviews/:assessment_id/reassign",
        method = "post",
        operation_id = "reassignReview"
    )]
    async fn reassign(
        &self,
        caller: Caller,
        assessment_id: Path<AssessmentId>,
        body: Body<ReassignReview>,
    ) -> Answer<ReviewView> {
        let (store, sources) = (&*self.store, &self.sources);
        let (actor, id, to) = (caller.actor(), assessment_id.0, body.0.provider_id);
        let review = information::reassign(&self.env, store, sources, actor, id, to).await?;
        Ok(Json(review.into()))
    }

    /// Answer a provider's question
    ///
    /// Gives the review back to the queue.
    #[oai(
        path = "/api/assessments/:id/information",
        method = "post",
        operation_id = "giveReviewInformation"
    )]
    async fn give(
        &self,
        caller: Caller,
        id: Path<AssessmentId>,
        body: Body<GiveInformation>,
    ) -> Answer<AssessmentView> {
        let (store, actor, id) = (&*self.store, caller.actor(), id.0);
        let assessment = information::answer(&self.env, store, actor, id, &body.0.answer).await?;
        Ok(Json(assessment.into()))
    }

    /// Read what was asked and answered in a review
    ///
    /// For the patient, and for the providers who may see the review.
    #[oai(
        path = "/api/assessments/:id/information",
        method = "get",
        operation_id = "listReviewInformation"
    )]
    async fn list(&self, caller: Caller, id: Path<AssessmentId>) -> Answer<ExchangesView> {
        let (store, sources) = (&*self.store, &self.sources);
        let found = information::exchanges(&self.env, store, sources, caller.actor(), id.0).await?;
        Ok(Json(ExchangesView { exchanges: found.into_iter().map(Into::into).collect() }))
    }
}
