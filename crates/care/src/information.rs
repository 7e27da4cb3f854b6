//! What happens to a review besides its decision: asking the patient, handing
//! it to a colleague, and what becomes of one that is overdue.

use chrono::{DateTime, Utc};
use kernel::{
    Actor, AssessmentId, PatientId, ProviderId, Seen, TextKind as _, Uuid, text::Inquiry,
};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobSpec,
    repository::{get, lock},
};
use serde::{Deserialize, Serialize};

use crate::{
    Assessment, CareError, CareStore, Sources, TaskKind, assigning, licenses,
    reviews::{self, Change, Reviewer},
    store::reached,
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
    let mut tx = store.begin(actor).await?;
    tx.hold_off_handover(assessment.patient).await?;
    let mut asked = lock::<Assessment>(tx.as_mut(), id, &Seen::Any).await?;
    asked.ask(reviewer.provider, env.now())?;
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
    tx.save(&mut asked).await?;
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
    Ok(asked.into_inner())
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
    let mut tx = store.begin(actor).await?;
    let found = lock::<Assessment>(tx.as_mut(), id, &Seen::Any).await;
    let place = (AuditAction::Update, "assessment", id.uuid());
    let (mut tx, mut answered) = reached(tx, found, place).await?;
    answered.answered(env.now())?;
    tx.save(&mut answered).await?;
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
    Ok(answered.into_inner())
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
    let assessment = if actor.as_provider().is_some() {
        Reviewer::of(env, sources, actor).await?.assessment(store, actor, id).await?
    } else {
        actor.as_patient().ok_or(CareError::PatientRequired)?;
        let mut tx = store.begin(actor).await?;
        let found = get::<Assessment>(tx.as_mut(), id).await;
        let place = (AuditAction::Read, "review_information", id.uuid());
        reached(tx, found, place).await?.1
    };
    let mut tx = store.begin(actor).await?;
    let exchanges = tx.exchanges(id).await?;
    let entry = AuditEntry::new(AuditAction::Read, "review_information", id);
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
    reviews::change(env, store, actor, &reviewer, &assessment, Change::HandOver { to }).await
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
    for (id, patient, state) in overdue {
        let licensed = sources.directory.licensed_providers(state, env.now()).await?;
        let mut tx = store.begin(&actor).await?;
        tx.hold_off_handover(patient).await?;
        let mut assessment = lock::<Assessment>(tx.as_mut(), id, &Seen::Any).await?;
        if !assessment.escalate(env.now()) {
            continue;
        }
        tx.save(&mut assessment).await?;
        let about = (patient, id.uuid());
        let who = (&*licensed, Some(state));
        tasks::raise(env, tx.as_mut(), TaskKind::OverdueReview, who, about).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "assessment", id)
                .patient(patient)
                .detail("review", "escalate")
                .detail("due_at", assessment.due_at.map(|due| due.to_rfc3339())),
        );
        tx.commit().await?;
        escalated += 1;
    }
    Ok(escalated)
}
