//! Assessing a submitted response, once.

use chrono::{DateTime, Utc};
use kernel::{Actor, AssessmentId, FormResponseId, ProviderId, TreatmentPlanId};
use ports::{AuditAction, AuditEntry, Env, Event, events::AssessmentOutcome};

use crate::{
    Assessment, CareError, CareStore, CareTx, ClinicalFacts, Inputs, Modality, PlanStatus,
    Priority, Protocol, Reach, Review, Sources, TaskKind, Treatment, TreatmentPlan, assigning,
    dosing::Body,
    eligibility::{Gates, Outcome, RuleBook},
    plans, tasks,
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
        sources.intake.submitted(response).await?.ok_or(CareError::NotFound("form response"))?;
    let facts =
        sources.facts.facts(submitted.patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let licensed = sources.directory.licensed_providers(facts.state, now).await?;
    let terms = sources.covers.terms(submitted.category).await?;
    let terms = terms.ok_or(CareError::NotFound("category"))?;

    let mut tx = store.begin(&actor).await?;
    if tx.assessment_of(response).await?.is_some() {
        return Ok(());
    }
    tx.lock_reviews(submitted.patient, submitted.category).await?;
    let sets = tx.rule_sets_in_force(submitted.category).await?;
    let protocol = tx.protocol(submitted.category).await?;
    let inputs = Inputs::new(&submitted, &facts);
    let earlier = tx.assessments(submitted.patient, &Reach::All).await?;
    let plans = tx.plans(submitted.patient, &Reach::All).await?;
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
        asynchronous: !terms.visit && tx.modality(facts.state).await? == Modality::Asynchronous,
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
    let assessment = Assessment::decided(
        env.fresh::<AssessmentId>(),
        (submitted.patient, submitted.category, response),
        decided,
        now,
    );
    tx.add_assessment(&assessment).await?;
    let assessment = leave_one_open(tx.as_mut(), assessment, earlier, now).await?;

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

/// Leaves no more than one review of the category open, that of the response
/// which was submitted last: responses may be assessed in another order.
async fn leave_one_open(
    tx: &mut dyn CareTx,
    assessment: Assessment,
    others: Vec<Assessment>,
    now: DateTime<Utc>,
) -> Result<Assessment, CareError> {
    let others: Vec<Assessment> =
        others.into_iter().filter(|other| other.category == assessment.category).collect();
    // The ids of responses are in the order in which they were made.
    let later = others.iter().max_by_key(|other| other.response);
    if let Some(later) = later.filter(|later| later.response > assessment.response) {
        return Ok(match assessment.clone().supersede(later.id, now) {
            Some(mut superseded) => {
                give_way(tx, &superseded, now).await?;
                superseded.version += 1;
                superseded
            }
            None => assessment,
        });
    }
    for other in others {
        if let Some(superseded) = other.supersede(assessment.id, now) {
            give_way(tx, &superseded, now).await?;
        }
    }
    Ok(assessment)
}

async fn give_way(
    tx: &mut dyn CareTx,
    superseded: &Assessment,
    now: DateTime<Utc>,
) -> Result<(), CareError> {
    tx.save_review(superseded).await?;
    // What was to be done about it is to be done about the later one; but a
    // danger that was told is not taken back by another form.
    let settled = match superseded.priority {
        Priority::Urgent => 0,
        Priority::Routine => tasks::settle(tx, superseded.id.uuid(), None, now).await?,
    };
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", superseded.id)
            .patient(superseded.patient)
            .detail("review", superseded.review.word())
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
    tx.add_plan(&plan).await?;
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
