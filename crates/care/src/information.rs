//! What happens to a review besides its decision: asking the patient, handing
//! it to a colleague, and what becomes of one that is overdue.

use chrono::{DateTime, Utc};
use kernel::{Actor, AssessmentId, PatientId, ProviderId, TextKind as _, Uuid, text::Inquiry};
use ports::{AuditAction, AuditEntry, Env, Event, JobSpec, PortError};
use serde::{Deserialize, Serialize};

use crate::{
    Assessment, CareError, CareStore, Reach, Sources, TaskKind, assigning, licenses,
    reviews::{self, Change, Reviewer},
    tasks,
};

/// A question to the patient and, once it is there, the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub id: Uuid,
    pub assessment: AssessmentId,
    pub patient: PatientId,
    pub asked_by: ProviderId,
    pub asked_at: DateTime<Utc>,
    pub question: String,
    pub answered_at: Option<DateTime<Utc>>,
    pub answer: Option<String>,
}

/// Asks the patient for what is missing. The review waits for the answer, and
/// its clock stands meanwhile.
pub async fn request_information(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
    question: &str,
) -> Result<Assessment, CareError> {
    let question = Inquiry::take("question", question)?;
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    reviewer.check_license(sources, assessment.patient).await?;
    let mut asked = assessment.ask(reviewer.provider, env.now())?;
    let exchange = Exchange {
        id: env.ids.uuid(),
        assessment: id,
        patient: asked.patient,
        asked_by: reviewer.provider,
        asked_at: env.now(),
        question,
        answered_at: None,
        answer: None,
    };
    let mut tx = store.begin(actor).await?;
    if let Err(error) = tx.save_review(&asked).await {
        drop(tx);
        return Err(reviews::lost(store, actor, id, &reviewer.reach(), error).await);
    }
    tx.add_exchange(&exchange).await?;
    tx.emit(Event::ReviewInformationRequested {
        assessment: id,
        patient: asked.patient,
        category: asked.category,
        provider: reviewer.provider,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", id)
            .patient(asked.patient)
            .detail("review", "request_information"),
    );
    tx.commit().await?;
    asked.version += 1;
    Ok(asked)
}

/// The patient's answer gives the review back to the queue.
pub async fn answer(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    id: AssessmentId,
    answer: &str,
) -> Result<Assessment, CareError> {
    let patient = actor.as_patient().ok_or(CareError::PatientRequired)?;
    let answer = Inquiry::take("answer", answer)?;
    let reach = Reach::Patient(patient);
    let mut tx = store.begin(actor).await?;
    let Some(assessment) = tx.assessment(id, &reach).await? else {
        tx.audit(AuditEntry::new(AuditAction::Update, "assessment", id).denied());
        tx.commit().await?;
        return Err(CareError::NotFound("assessment"));
    };
    let mut answered = assessment.answered(env.now())?;
    if let Err(error) = tx.save_review(&answered).await {
        drop(tx);
        return Err(reviews::lost(store, actor, id, &reach, error).await);
    }
    tx.answer_exchange(id, &answer, env.now()).await?;
    // With the answer it is another review to everybody.
    tx.forget_turns(id).await?;
    assigning::announce(tx.as_mut()).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", id)
            .patient(patient)
            .detail("review", "information_given"),
    );
    tx.commit().await?;
    answered.version += 1;
    Ok(answered)
}

/// What was asked and answered, oldest first: for the patient, and for the
/// providers who may see the review.
pub async fn exchanges(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
) -> Result<Vec<Exchange>, CareError> {
    let reach = match actor.as_provider() {
        Some(_) => Reviewer::of(env, sources, actor).await?.reach(),
        None => Reach::Patient(actor.as_patient().ok_or(CareError::PatientRequired)?),
    };
    let mut tx = store.begin(actor).await?;
    let found = tx.assessment(id, &reach).await?;
    let entry = AuditEntry::new(AuditAction::Read, "review_information", id);
    let Some(assessment) = found else {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(CareError::NotFound("assessment"));
    };
    let exchanges = tx.exchanges(id).await?;
    tx.audit(entry.patient(assessment.patient));
    tx.commit().await?;
    Ok(exchanges)
}

/// Hands a claimed review to a colleague who is licensed where the patient is.
pub async fn reassign(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    id: AssessmentId,
    to: ProviderId,
) -> Result<Assessment, CareError> {
    let reviewer = Reviewer::of(env, sources, actor).await?;
    let assessment = reviewer.assessment(store, actor, id).await?;
    licenses::check_named(env, sources, assessment.patient, to).await?;
    let handed = assessment.hand_over(reviewer.provider, to, env.now())?;
    let event = Event::ReviewAssigned { assessment: id, patient: handed.patient, provider: to };
    let place = (actor, reviewer.reach());
    let change = Change::HandOver { by: reviewer.provider, at: env.now() };
    reviews::save(store, place, handed, change, Some(event)).await
}

/// Looks for reviews that are overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalateReviews {}

impl JobSpec for EscalateReviews {
    const KIND: &'static str = "care.escalate_reviews";
}

/// How many reviews one run looks at; the next one takes the others.
const BATCH: u32 = 200;

/// Raises the priority of every review that is overdue, once, and gives it as a
/// task to a provider who may decide it. Returns how many there were.
pub async fn escalate_reviews(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    _: EscalateReviews,
) -> Result<usize, CareError> {
    let actor = Actor::system("care.escalate_reviews");
    let overdue = store.begin(&actor).await?.overdue_reviews(env.now(), BATCH).await?;
    let mut escalated = 0;
    for (id, state) in overdue {
        let licensed = sources.directory.licensed_providers(state, env.now()).await?;
        let mut tx = store.begin(&actor).await?;
        let found = tx.assessment(id, &Reach::All).await?;
        let Some(assessment) = found.and_then(|found| found.escalate(env.now())) else { continue };
        match tx.save_review(&assessment).await {
            // Somebody is at work on it; the next run looks again.
            Err(PortError::Conflict(_)) => continue,
            other => other?,
        }
        let about = (assessment.patient, id.uuid());
        let who = (&*licensed, Some(state));
        tasks::raise(env, tx.as_mut(), TaskKind::OverdueReview, who, about).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "assessment", id)
                .patient(assessment.patient)
                .detail("review", "escalate")
                .detail("due_at", assessment.due_at.map(|due| due.to_rfc3339())),
        );
        tx.commit().await?;
        escalated += 1;
    }
    Ok(escalated)
}
