//! Giving out reviews: as they enter the queue where the clinic wants it so,
//! and what waits on an administrator's request.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, AssessmentId, CategoryId, PatientId, Permission, ProviderId, Seen, UsState};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, PortError, UnitOfWork,
    repository::lock,
};
use serde::{Deserialize, Serialize};

use crate::{
    Assessment, CareError, CareStore, CareTx, Priority, Sources,
    assignment::{AssignmentPolicy, Colleague, Load, Wanted, choose},
    setting::{self, CLINIC, Setting as _},
};

/// An open review that nobody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    pub id: AssessmentId,
    pub patient: PatientId,
    pub category: CategoryId,
    /// Where the patient was when it was decided.
    pub state: UsState,
    pub priority: Priority,
    pub due_at: DateTime<Utc>,
}

/// What giving out reviews needs of the store. It is a part of
/// [`CareTx`](crate::CareTx), because the choice is made in the transaction in
/// which the review is saved.
#[async_trait]
pub trait AssignmentTx: UnitOfWork {
    /// Open reviews that nobody holds at `now`, in the order of the queue.
    async fn unheld_reviews(
        &mut self,
        now: DateTime<Utc>,
        after: Option<&Unheld>,
        limit: u32,
    ) -> Result<Vec<Unheld>, PortError>;

    /// What each of the providers has, one entry each.
    async fn loads(
        &mut self,
        providers: &[ProviderId],
        review: AssessmentId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Load>, PortError>;

    /// Remembers that the review was given to the provider.
    async fn add_turn(
        &mut self,
        review: &Assessment,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// Remembers that the provider gave the review back.
    async fn let_go(
        &mut self,
        review: &Assessment,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// Everybody may be given the review once more.
    async fn forget_turns(&mut self, review: AssessmentId) -> Result<(), PortError>;
}

/// Gives out what nobody holds, where the clinic's policy says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignReviews {}

impl JobSpec for AssignReviews {
    const KIND: &'static str = "care.assign_reviews";
}

/// What came of giving out reviews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOut {
    pub assigned: u32,
    /// For these nobody was free; they stay in the queue.
    pub left: u32,
}

/// How many reviews are read at a time.
const BATCH: u32 = 200;

/// A review has entered the queue: it is given out soon after the commit, where
/// the clinic does that.
pub(crate) async fn announce(tx: &mut dyn CareTx) -> Result<(), CareError> {
    if held(tx).await?.automatic {
        tx.enqueue(JobRequest::new(&AssignReviews {}).key("entered"));
    }
    Ok(())
}

/// The clinic's policy.
pub(crate) async fn held(tx: &mut dyn CareTx) -> Result<AssignmentPolicy, PortError> {
    Ok(setting::held(tx, CLINIC).await?.unwrap_or_default())
}

/// The policy with the version that it is changed by.
pub async fn policy(
    store: &dyn CareStore,
    actor: &Actor,
) -> Result<(AssignmentPolicy, i64), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let found = setting::versioned(store.begin(actor).await?.as_mut(), CLINIC).await?;
    found.ok_or_else(|| CareError::no(AssignmentPolicy::NAME))
}

/// Changes how reviews are given out.
pub async fn set_policy(
    store: &dyn CareStore,
    actor: &Actor,
    policy: &AssignmentPolicy,
    seen: &Seen,
) -> Result<i64, CareError> {
    actor.require(Permission::RuleAdminister)?;
    policy.validate()?;
    let mut tx = store.begin(actor).await?;
    let next = setting::set(tx.as_mut(), policy, seen).await?;
    announce(tx.as_mut()).await?;
    tx.commit().await?;
    Ok(next)
}

/// The job: nothing is given out by itself unless the clinic wants it so.
pub async fn assign_reviews(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    _: AssignReviews,
) -> Result<HandedOut, CareError> {
    let actor = Actor::system("care.assign_reviews");
    let policy = held(store.begin(&actor).await?.as_mut()).await?;
    if policy.automatic { give_out(env, store, sources).await } else { Ok(HandedOut::default()) }
}

/// Gives out what waits because an administrator asks for it, whatever the
/// policy says of doing so by itself.
pub async fn assign_waiting(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
) -> Result<HandedOut, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let done = give_out(env, store, sources).await?;
    let mut tx = store.begin(actor).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "review_assignment", "queue")
            .detail("assigned", done.assigned)
            .detail("left", done.left),
    );
    tx.commit().await?;
    Ok(done)
}

/// Who works where, as far as one run has asked.
struct Duty<'a> {
    env: &'a Env,
    sources: &'a Sources,
    asked: BTreeMap<UsState, Vec<Colleague>>,
}

impl Duty<'_> {
    async fn of(&mut self, state: UsState) -> Result<&[Colleague], CareError> {
        if !self.asked.contains_key(&state) {
            let found = self.sources.directory.colleagues(state, self.env.now()).await?;
            self.asked.insert(state, found);
        }
        Ok(self.asked.get(&state).map_or(&[], Vec::as_slice))
    }
}

/// Goes through the queue once. Each review is given out in a transaction of
/// its own, so that the lock is short and one that fails holds up no other.
async fn give_out(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
) -> Result<HandedOut, CareError> {
    let actor = Actor::system("care.assign_reviews");
    let mut duty = Duty { env, sources, asked: BTreeMap::new() };
    let mut nobody_free = BTreeSet::new();
    let (mut done, mut after) = (HandedOut::default(), None);
    loop {
        let mut tx = store.begin(&actor).await?;
        let page = tx.unheld_reviews(env.now(), after.as_ref(), BATCH).await?;
        drop(tx);
        let more = page.len() == BATCH as usize;
        after = page.last().cloned();
        for review in page {
            let key = (review.state, review.category);
            if nobody_free.contains(&key) {
                done.left += 1;
                continue;
            }
            match hand_out(store, &actor, &mut duty, &review).await? {
                Outcome::Assigned => done.assigned += 1,
                Outcome::Gone => {}
                Outcome::Left => done.left += 1,
                Outcome::NobodyFree => {
                    done.left += 1;
                    nobody_free.insert(key);
                }
            }
        }
        if !more {
            return Ok(done);
        }
    }
}

enum Outcome {
    Assigned,
    /// Somebody took it meanwhile.
    Gone,
    Left,
    /// Nor will anybody be for another review of this kind.
    NobodyFree,
}

async fn hand_out(
    store: &dyn CareStore,
    actor: &Actor,
    duty: &mut Duty<'_>,
    review: &Unheld,
) -> Result<Outcome, CareError> {
    let (env, sources) = (duty.env, duty.sources);
    let now = env.now();
    // Without the lock first: what nobody can take costs no more than this, and
    // no chart is opened for it.
    let wanted = Wanted { category: review.category, state: review.state };
    let colleagues = duty.of(review.state).await?;
    let mut tx = store.begin(actor).await?;
    let policy = held(tx.as_mut()).await?;
    let loads = tx.loads(&ids(colleagues), review.id, now).await?;
    drop(tx);
    if choose(&policy, wanted, colleagues, &loads).is_none() {
        let fresh: Vec<Load> = loads.iter().map(|load| Load { had_it: false, ..*load }).collect();
        let another = choose(&policy, wanted, colleagues, &fresh);
        return Ok(if another.is_none() { Outcome::NobodyFree } else { Outcome::Left });
    }

    // The license must hold where the patient is now, which may no longer be
    // where the form was submitted.
    let Some(facts) = sources.facts.facts(review.patient).await? else {
        return Ok(Outcome::Left);
    };
    let wanted = Wanted { state: facts.state, ..wanted };
    let colleagues = duty.of(facts.state).await?;
    let mut tx = store.begin(actor).await?;
    // Whoever gives out a review counts what everybody has while nobody else gives one out.
    tx.lock_settings(AssignmentPolicy::NAME).await?;
    tx.hold_off_handover(review.patient).await?;
    let policy = held(tx.as_mut()).await?;
    let loads = tx.loads(&ids(colleagues), review.id, now).await?;
    let Some(to) = choose(&policy, wanted, colleagues, &loads) else {
        return Ok(Outcome::Left);
    };
    let mut assigned = lock::<Assessment>(tx.as_mut(), review.id, &Seen::Any).await?;
    if assigned.assign(to, policy.hold(), now).is_err() {
        return Ok(Outcome::Gone);
    }
    tx.save(&mut assigned).await?;
    tx.add_turn(&assigned, to, now).await?;
    tx.emit(Event::ReviewAssigned {
        assessment: assigned.id,
        patient: assigned.patient,
        provider: to,
    });
    let held = loads.iter().find(|load| load.provider == to).map(|load| load.held);
    tx.audit(
        AuditEntry::new(AuditAction::Update, "assessment", assigned.id)
            .patient(assigned.patient)
            .detail("review", "assign")
            .detail("provider", to.to_string())
            .detail("held_before", held)
            .detail("candidates", colleagues.len()),
    );
    tx.commit().await?;
    Ok(Outcome::Assigned)
}

fn ids(colleagues: &[Colleague]) -> Vec<ProviderId> {
    colleagues.iter().map(|colleague| colleague.provider).collect()
}
