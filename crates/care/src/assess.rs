//! Assessing a submitted response, once.

use chrono::{DateTime, Utc};
use kernel::{Actor, AssessmentId, FormResponseId, ProviderId, Seen, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, Event, events::AssessmentOutcome, repository::lock};

use crate::{
    Assessment, CareError, CareStore, CareTx, ClinicalFacts, Inputs, Modality, PlanStatus,
    Priority, Protocol, Review, Sources, TaskKind, Treatment, TreatmentPlan, assigning,
    dosing::Body,
    eligibility::{Gates, Outcome, RuleBook},
    plans, setting, tasks,
    treatment::NewPlan,
};

/// Handles `ResponseSubmitted`: decides, and where the decision is an
/// automatic approval writes the treatment plan under protocol. It fails, so
/// that the delivery is repeated, while the response or the patient's profile
/// cannot be read, and when another response of the patient was approved at
/// the same moment: the repetition finds that plan and asks a provider.
pub async fn on_response_submitted(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    response: FormResponseId,
) -> Result<(), CareError> {
    let actor = Actor::system("care.assess");
    let now = env.now();

    // The other contexts are asked before the transaction begins, so that it
    // never holds one connection while it waits for another.
    let submitted =
        sources.intake.submitted(response).await?.ok_or_else(|| CareError::no("form_response"))?;
    let facts =
        sources.facts.facts(submitted.patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let licensed = sources.directory.licensed_providers(facts.state, now).await?;
    let terms = sources.covers.terms(submitted.category).await?;
    let terms = terms.ok_or_else(|| CareError::no("category"))?;

    let mut tx = store.begin(&actor).await?;
    if tx.assessment_of(response).await?.is_some() {
        return Ok(());
    }
    tx.hold_off_handover(submitted.patient).await?;
    tx.lock_reviews(submitted.patient, submitted.category).await?;
    let sets = tx.rule_sets_in_force(submitted.category).await?;
    let protocol: Option<Protocol> = setting::held(tx.as_mut(), &submitted.category).await?;
    let inputs = Inputs::new(&submitted, &facts);
    let earlier = tx.assessments(submitted.patient).await?;
    let plans = tx.plans(submitted.patient).await?;
    let mut plans = plans.into_iter().filter(|plan| plan.category == submitted.category);
    let never_revoked = !plans.clone().any(|plan| plan.was_taken_back());
    let treated = plans.find(|plan| plan.status == PlanStatus::Active);
    let never_refused = never_revoked
        && !earlier.iter().any(|other| other.category == submitted.category && other.said_no());
    let gates = Gates {
        never_refused,
        of_age: terms.admits(inputs.patient.age),
        profile_unchanged: earlier.iter().all(|earlier| {
            let decided = &earlier.trace.inputs.patient;
            decided.is_of(facts.sex, facts.birth_date, earlier.decided_at)
        }),
        only_request: !earlier.iter().any(|other| {
            other.category == submitted.category
                && (other.review.is_open() || other.response > response)
        }),
        allowlisted: is_allowlisted(tx.as_mut(), protocol.as_ref(), &facts, now).await?,
        asynchronous: !terms.visit
            && setting::modality(tx.as_mut(), facts.state).await? == Modality::Asynchronous,
        // Automatic approvals in a state are signed under the protocols of the
        // first who may practise there.
        supervising_provider: licensed.first().copied(),
        record_answered: facts.record_answered,
        under_treatment: treated.is_some(),
    };
    let drug = protocol.as_ref().map(|protocol| &protocol.treatment.medication.rxnorm);
    let book = RuleBook::compose(sets, facts.state, drug);
    let decided = book.decide(inputs, gates);
    let approved_under = match decided.0.outcome {
        Outcome::AutoApproved { supervising_provider } => Some(supervising_provider),
        Outcome::Refused | Outcome::InReview => None,
    };
    let mut assessment = Assessment::decided(
        env.fresh::<AssessmentId>(),
        (submitted.patient, submitted.category, response),
        decided,
        now,
    );
    // No more than one review of the category stays open, that of the response which was
    // submitted last: responses may be assessed in another order, and their ids are in the
    // order in which they were made.
    let others: Vec<Assessment> =
        earlier.into_iter().filter(|other| other.category == assessment.category).collect();
    let last = others.iter().max_by_key(|other| other.response);
    let later = last.filter(|last| last.response > response);
    if let Some(later) = later {
        assessment.supersede(later.id, now);
    }
    tx.insert(&assessment).await?;
    if later.is_none() {
        for other in others.iter().filter(|other| other.review.is_open()) {
            give_way(tx.as_mut(), other.id, assessment.id, now).await?;
        }
    }

    if let (Some(provider), Some(protocol)) = (approved_under, protocol) {
        sign_under_protocol(env, tx.as_mut(), &assessment, provider, protocol).await?;
    }
    let superseded = matches!(assessment.review, Review::Superseded { .. });
    if assessment.priority == Priority::Urgent && !superseded {
        tasks::raise(
            env,
            tx.as_mut(),
            TaskKind::UrgentReview,
            (&licensed, Some(facts.state)),
            (assessment.patient, assessment.id.uuid()),
        )
        .await?;
    }
    if let Some(plan) = treated.filter(|_| assessment.outcome == AssessmentOutcome::Refused) {
        // Nobody reviews a refusal, and the treatment it speaks against goes on.
        let (kind, about) = (TaskKind::ChangedHealth, (plan.patient, assessment.id.uuid()));
        tasks::raise(env, tx.as_mut(), kind, (&[plan.provider], None), about).await?;
    }
    if assessment.review == Review::Waiting {
        assigning::announce(tx.as_mut()).await?;
    }
    tx.emit(Event::AssessmentDecided {
        assessment: assessment.id,
        patient: assessment.patient,
        category: assessment.category,
        outcome: assessment.outcome,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "assessment", assessment.id)
            .patient(assessment.patient)
            .detail("outcome", <&str>::from(assessment.outcome))
            .detail("review", assessment.review.word().word())
            .detail("rule_set_version", assessment.trace.rule_set_version)
            .detail("response", response.to_string()),
    );
    tx.commit().await?;
    tracing::info!(
        assessment = %assessment.id,
        outcome = <&str>::from(assessment.outcome),
        "a response was assessed"
    );
    Ok(())
}

/// A review that is still open gives way to that of the later response.
async fn give_way(
    tx: &mut dyn CareTx,
    id: AssessmentId,
    to: AssessmentId,
    now: DateTime<Utc>,
) -> Result<(), CareError> {
    let mut review = lock::<Assessment>(tx, id, &Seen::Any).await?;
    if !review.supersede(to, now) {
        return Ok(());
    }
    tx.save(&mut review).await?;
    // What was to be done about it is to be done about the later one; but a
    // danger that was told is not taken back by another form.
    let settled = match review.priority {
        Priority::Urgent => 0,
        Priority::Routine => tasks::settle(tx, id.uuid(), None, now).await?,
    };
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", id)
            .patient(review.patient)
            .detail("review", review.review.word().word())
            .detail("tasks_settled", settled),
    );
    Ok(())
}

/// A protocol whose dose no longer passes the guard is not approved
/// automatically, whatever the allowlist says.
async fn is_allowlisted(
    tx: &mut dyn CareTx,
    protocol: Option<&Protocol>,
    facts: &ClinicalFacts,
    now: DateTime<Utc>,
) -> Result<bool, CareError> {
    let Some(protocol) = protocol else { return Ok(false) };
    let drug = &protocol.treatment.medication.rxnorm;
    // An override is a provider's to give; none is given automatically.
    let plain = Treatment { overrides: Vec::new(), kidneys: None, ..protocol.treatment.clone() };
    let is_fine = plain == protocol.treatment
        && match plans::check_treatment(tx, &plain, Body::of(facts, now)).await {
            Ok(()) => true,
            Err(CareError::Invalid(_)) => false,
            Err(error) => return Err(error),
        };
    Ok(is_fine && tx.auto_approval(facts.state, drug).await?)
}

async fn sign_under_protocol(
    env: &Env,
    tx: &mut dyn CareTx,
    assessment: &Assessment,
    provider: ProviderId,
    protocol: Protocol,
) -> Result<(), CareError> {
    debug_assert_eq!(assessment.outcome, AssessmentOutcome::AutoApproved);
    let plan = TreatmentPlan::create(
        NewPlan {
            id: env.fresh::<TreatmentPlanId>(),
            patient: assessment.patient,
            provider,
            category: assessment.category,
            assessment: Some(assessment.id),
            automatic: true,
            treatment: protocol.treatment,
            reason: "Approved automatically under protocol.".to_owned(),
        },
        env.now(),
    );
    plans::insert(tx, &plan).await?;
    tx.emit(Event::TreatmentPlanCreated {
        treatment_plan: plan.id,
        patient: plan.patient,
        provider,
        category: plan.category,
        automatic: true,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Create, "treatment_plan", plan.id)
            .patient(plan.patient)
            .detail("automatic", true)
            .detail("provider", provider.to_string()),
    );
    Ok(())
}
