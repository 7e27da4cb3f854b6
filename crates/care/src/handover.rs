//! Handing a panel over: what a provider has open goes to colleagues who are
//! licensed where each patient is. A patient whom nobody can take stays on the
//! administrators' list, which is counted anew each time it is read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, ConsultationId, FieldError, PatientId, Permission, ProviderId, TaskId,
    UsState, Word,
};
use ports::{AuditAction, AuditEntry, Env, Event, Locked, PortError, UnitOfWork};

use crate::{
    Assessment, AssignmentPolicy, CareError, CareStore, Colleague, Consultation, Sources, TaskKind,
    TreatmentPlan, assigning, licenses, tasks,
};

/// What a provider has open for one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWork {
    pub patient: PatientId,
    /// The categories of the active plans.
    pub plans: Vec<CategoryId>,
    pub tasks: u32,
    /// Reviews that are held, or that wait for the patient's answer.
    pub reviews: u32,
    /// When the booked visits begin.
    pub visits: Vec<DateTime<Utc>>,
}

impl OpenWork {
    /// Whether whoever was chosen for what was `seen` may have this: the plans
    /// and the visits decide it, and a task more or less does not.
    fn fits(&self, seen: &Self) -> bool {
        self.plans == seen.plans && self.visits == seen.visits
    }
}

/// What handing over needs of the store.
#[async_trait]
pub trait HandoverTx: UnitOfWork {
    /// The providers whose standing has changed at any time.
    async fn standing_changed(&mut self) -> Result<Vec<ProviderId>, PortError>;

    async fn add_standing(
        &mut self,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// Every patient whom the provider treats or has treated, those among them
    /// whose charts are closed to them by now.
    async fn whole_panel(&mut self, provider: ProviderId)
    -> Result<BTreeSet<PatientId>, PortError>;

    /// The patients whose charts are closed to the provider for want of a license.
    async fn closed_charts(
        &mut self,
        provider: ProviderId,
    ) -> Result<BTreeSet<PatientId>, PortError>;

    /// The providers to whom the patient's chart is closed for want of a license.
    async fn closed_to(&mut self, patient: PatientId) -> Result<Vec<ProviderId>, PortError>;

    /// The providers to whom it is closed for whatever reason, a handover too.
    async fn closed_for_whatever(
        &mut self,
        patient: PatientId,
    ) -> Result<Vec<ProviderId>, PortError>;

    /// Puts the patient of a task on the panel of whoever has it.
    async fn give_chart(&mut self, task: TaskId) -> Result<(), PortError>;

    /// Puts the patient back on the provider's panel, where a handover had closed the
    /// chart: a plan, a task or a visit of the patient was given to the provider again.
    /// Saving a review that somebody holds does so by itself.
    async fn rejoin(&mut self, provider: ProviderId, patient: PatientId) -> Result<(), PortError>;

    /// Opens a closed chart to the provider for an emergency, before anything is written
    /// in it.
    async fn open_until(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        until: DateTime<Utc>,
    ) -> Result<(), PortError>;

    async fn set_unlicensed(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
        unlicensed: bool,
    ) -> Result<(), PortError>;

    /// Holds who answers for the patient until the transaction ends, so that of
    /// two handovers at once the second finds what the first has left.
    async fn lock_handover(&mut self, patient: PatientId) -> Result<(), PortError>;

    /// Waits for a handover of the patient that is under way, and holds off any
    /// other until the transaction ends. Whatever gives a provider a plan, a
    /// review or a visit of a patient does so, before it locks any of them.
    async fn hold_off_handover(&mut self, patient: PatientId) -> Result<(), PortError>;

    /// Locks the reviews that the provider holds, or has asked the patient about; those of
    /// one patient where one is named.
    async fn lock_held_reviews(
        &mut self,
        provider: ProviderId,
        patient: Option<PatientId>,
    ) -> Result<Vec<Locked<Assessment>>, PortError>;

    /// Locks the active plans of the patient that the provider answers for.
    async fn lock_plans_of(
        &mut self,
        provider: ProviderId,
        patient: PatientId,
    ) -> Result<Vec<Locked<TreatmentPlan>>, PortError>;

    /// What the provider has open, by patient; of these patients alone where any
    /// are named.
    async fn open_work(
        &mut self,
        provider: ProviderId,
        patients: Option<&[PatientId]>,
        now: DateTime<Utc>,
    ) -> Result<Vec<OpenWork>, PortError>;

    /// Whether the provider may practice in the state, by identity's rule. Until the
    /// transaction ends, a lock keeps the account from being closed and the license
    /// from being ended.
    async fn holds_license(
        &mut self,
        provider: ProviderId,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<bool, PortError>;

    /// Whether the provider meets somebody at one of those times.
    async fn is_booked(
        &mut self,
        provider: ProviderId,
        at: &[DateTime<Utc>],
    ) -> Result<bool, PortError>;

    /// Moves the open tasks about a patient, and says which.
    async fn move_tasks(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<Vec<TaskId>, PortError>;

    /// Moves the visits of a patient that are booked ahead, and says which. A slot
    /// that the other has already is a conflict.
    async fn move_visits(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<Vec<ConsultationId>, PortError>;

    /// Puts the patient on the panel of the one and takes it from the other, who
    /// reads nothing of the chart from now on.
    async fn move_chart(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
        now: DateTime<Utc>,
    ) -> Result<(), PortError>;
}

/// Whose patients are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// All whom the provider has anything open for.
    Everybody,
    These(Vec<PatientId>),
}

/// What an administrator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoverRequest {
    pub patients: Handed,
    /// To this colleague alone; else each patient goes to whoever fits and has
    /// been given the fewest.
    pub to: Option<ProviderId>,
    /// Only says who would go to whom.
    pub dry_run: bool,
}

/// Why a patient cannot be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
#[word("ObstacleWord")]
pub enum Obstacle {
    /// It is not known where the patient is.
    NoState,
    /// No colleague has a license where the patient is, with the speciality that
    /// a category asks for.
    NobodyLicensed,
    /// No such colleague is free at the times of the booked visits.
    VisitsCollide,
    /// Somebody changed it at the same moment; ask once more.
    ChangedMeanwhile,
}

/// What becomes of one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    pub work: OpenWork,
    pub state: Option<UsState>,
    pub outcome: Result<ProviderId, Obstacle>,
}

/// What nobody who may has taken over yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub provider: ProviderId,
    pub work: OpenWork,
    pub state: Option<UsState>,
    /// How many colleagues are licensed where the patient is.
    pub licensed_colleagues: u32,
}

/// The most patients of one request.
const MOST: usize = 500;

/// The colleagues who may take a patient over: licensed where the patient is and
/// of a speciality that each category asks for. Whoever was given the fewest
/// comes first; the id settles what is left.
pub fn successors(
    policy: &AssignmentPolicy,
    categories: &[CategoryId],
    (from, only): (ProviderId, Option<ProviderId>),
    colleagues: &[Colleague],
    given: &BTreeMap<ProviderId, u32>,
) -> Vec<ProviderId> {
    let fits = |colleague: &&Colleague| {
        colleague.provider != from
            && only.is_none_or(|only| only == colleague.provider)
            && categories.iter().all(|category| {
                let asked = policy.specialities.get(category);
                asked.is_none_or(|asked| !asked.is_disjoint(&colleague.specialities))
            })
    };
    let mut found: Vec<ProviderId> =
        colleagues.iter().filter(fits).map(|colleague| colleague.provider).collect();
    found.sort_by_key(|provider| (given.get(provider).copied().unwrap_or(0), *provider));
    found
}

/// Hands over what a provider has open, patient by patient, each in a transaction
/// of its own.
pub async fn hand_over(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    from: ProviderId,
    request: HandoverRequest,
) -> Result<Vec<Handover>, CareError> {
    actor.require(Permission::AccountAdminister)?;
    if !sources.directory.is_provider(from).await? {
        let mut tx = store.begin(actor).await?;
        tx.audit(AuditEntry::new(AuditAction::Update, "panel", from).failed());
        tx.commit().await?;
        return Err(CareError::no("provider"));
    }
    check(env, store, sources, actor, from, &request).await?;
    let now = env.now();
    let mut tx = store.begin(actor).await?;
    let named = match &request.patients {
        Handed::Everybody => None,
        Handed::These(patients) => Some(patients.as_slice()),
    };
    let mut work = tx.open_work(from, named, now).await?;
    work.truncate(MOST);
    let policy = assigning::held(tx.as_mut()).await?;
    let entry = AuditEntry::new(AuditAction::Search, "open_work", from);
    let shown = work.iter().map(|one| (one.patient, one.patient.uuid()));
    tx.audit_all(entry.detail("dry_run", request.dry_run).per_patient(shown));
    tx.commit().await?;

    let mut places = Places::of(env, sources, &work).await?;
    let (mut given, mut done) = (BTreeMap::new(), Vec::with_capacity(work.len()));
    for work in work {
        let state = places.states.get(&work.patient).copied();
        let colleagues = places.colleagues(state).await?;
        let only = (from, request.to);
        let found = successors(&policy, &work.plans, only, colleagues, &given);
        let outcome = match (state, found.is_empty()) {
            (None, _) => Err(Obstacle::NoState),
            (_, true) => Err(Obstacle::NobodyLicensed),
            (Some(state), false) => {
                match free(store, sources, actor, &found, &work.visits).await? {
                    None => Err(Obstacle::VisitsCollide),
                    Some(to) if request.dry_run => Ok(to),
                    Some(to) => move_patient(env, store, actor, (from, to), (&work, state)).await?,
                }
            }
        };
        if let Ok(to) = outcome {
            *given.entry(to).or_default() += 1;
        }
        done.push(Handover { work, state, outcome });
    }
    Ok(done)
}

/// Names every field that is at fault before anything moves. A patient who was
/// handed over before is still one whom the provider has treated, so that a
/// request may be repeated.
async fn check(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    from: ProviderId,
    request: &HandoverRequest,
) -> Result<(), CareError> {
    let mut errors = Vec::new();
    if let Some(to) = request.to {
        if to == from {
            let message = "Another provider than the one who hands over.";
            errors.push(FieldError::new("to", "same_provider", message));
        } else if sources.directory.licensed_states(to, env.now()).await?.is_empty() {
            let message = "A provider with a license in force.";
            errors.push(FieldError::new("to", "not_a_provider", message));
        }
    }
    match &request.patients {
        Handed::Everybody => {}
        Handed::These(patients) if patients.is_empty() || patients.len() > MOST => {
            let message = "Between 1 and 500 patients.";
            errors.push(FieldError::new("patient_ids", "out_of_range", message));
        }
        Handed::These(patients) => {
            let panel = store.begin(actor).await?.whole_panel(from).await?;
            let strange = patients.iter().enumerate().filter(|(_, one)| !panel.contains(one));
            errors.extend(strange.map(|(index, _)| {
                let message = "The provider has no such patient.";
                FieldError::new(format!("patient_ids[{index}]"), "not_theirs", message)
            }));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(CareError::Invalid(errors)) }
}

/// Where the patients are, and who is licensed there.
struct Places<'a> {
    env: &'a Env,
    sources: &'a Sources,
    states: BTreeMap<PatientId, UsState>,
    asked: BTreeMap<UsState, Vec<Colleague>>,
}

impl<'a> Places<'a> {
    async fn of(env: &'a Env, sources: &'a Sources, work: &[OpenWork]) -> Result<Self, CareError> {
        let patients: Vec<PatientId> = work.iter().map(|one| one.patient).collect();
        let states = sources.facts.states(&patients).await?;
        Ok(Self { env, sources, states, asked: BTreeMap::new() })
    }

    async fn colleagues(&mut self, state: Option<UsState>) -> Result<&[Colleague], CareError> {
        let Some(state) = state else { return Ok(&[]) };
        if !self.asked.contains_key(&state) {
            let found = self.sources.directory.colleagues(state, self.env.now()).await?;
            self.asked.insert(state, found);
        }
        Ok(self.asked.get(&state).map_or(&[], Vec::as_slice))
    }
}

/// The first of the candidates who works at the times of the visits and meets
/// nobody else then.
async fn free(
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    candidates: &[ProviderId],
    visits: &[DateTime<Utc>],
) -> Result<Option<ProviderId>, CareError> {
    'candidates: for candidate in candidates {
        for start in visits {
            let until = *start + Consultation::SLOT;
            if sources.directory.at_work(*candidate, *start, until).await? == Some(false) {
                continue 'candidates;
            }
        }
        if visits.is_empty() || !store.begin(actor).await?.is_booked(*candidate, visits).await? {
            return Ok(Some(*candidate));
        }
    }
    Ok(None)
}

async fn move_patient(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    (from, to): (ProviderId, ProviderId),
    about: (&OpenWork, UsState),
) -> Result<Result<ProviderId, Obstacle>, CareError> {
    match try_move(env, store, actor, (from, to), about).await {
        Ok(()) => Ok(Ok(to)),
        Err(CareError::Port(PortError::Conflict(_))) => Ok(Err(Obstacle::ChangedMeanwhile)),
        Err(CareError::LicenseRequired(_)) => Ok(Err(Obstacle::NobodyLicensed)),
        Err(error) => Err(error),
    }
}

async fn try_move(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    (from, to): (ProviderId, ProviderId),
    (seen, state): (&OpenWork, UsState),
) -> Result<(), CareError> {
    let (now, patient) = (env.now(), seen.patient);
    let mut tx = store.begin(actor).await?;
    tx.lock_handover(patient).await?;
    let open = tx.open_work(from, Some(&[patient]), now).await?;
    if !open.first().is_some_and(|open| open.fits(seen)) {
        return Err(PortError::Conflict("what a provider has open".to_owned()).into());
    }
    let (mut plans, mut reviews) = (0, 0);
    for mut plan in tx.lock_plans_of(from, patient).await? {
        let about = (patient, plan.id.uuid());
        plan.provider = to;
        tx.save(&mut plan).await?;
        // The successor looks at it and prescribes it in their own name.
        tasks::raise(env, tx.as_mut(), TaskKind::TakenOver, (&[to], None), about).await?;
        plans += 1;
    }
    for mut review in tx.lock_held_reviews(from, Some(patient)).await? {
        review.take_over(to, now);
        tx.save(&mut review).await?;
        reviews += 1;
    }
    let tasks = tx.move_tasks(patient, from, to).await?;
    for task in &tasks {
        tx.emit(Event::TaskCreated { task: *task, provider: to });
    }
    let visits = tx.move_visits(patient, from, to, now).await?;
    for consultation in &visits {
        tx.emit(Event::ConsultationChanged {
            consultation: *consultation,
            patient,
            provider: to,
            status: "scheduled".to_owned(),
        });
    }
    if plans + reviews + tasks.len() + visits.len() == 0 {
        // What was open has ended meanwhile.
        return Err(PortError::Conflict("what a provider has open".to_owned()).into());
    }
    tx.move_chart(patient, from, to, now).await?;
    tx.emit(Event::PatientHandedOver { patient, from, to });
    tx.audit(
        AuditEntry::new(AuditAction::Update, "panel", from)
            .patient(patient)
            .detail("to", to.to_string())
            .detail("plans", plans)
            .detail("reviews", reviews)
            .detail("tasks", tasks.len())
            .detail("visits", visits.len()),
    );
    // So that nobody is given a patient whom they may not treat.
    licenses::still_holds(tx.as_mut(), to, state, now).await?;
    tx.commit().await?;
    Ok(())
}

/// What stands open with providers who may not treat the patient now.
pub async fn orphans(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
) -> Result<Vec<Orphan>, CareError> {
    actor.require(Permission::AccountAdminister)?;
    let providers = store.begin(actor).await?.standing_changed().await?;
    let mut found = Vec::new();
    for provider in providers {
        let licensed = sources.directory.licensed_states(provider, env.now()).await?;
        let work = store.begin(actor).await?.open_work(provider, None, env.now()).await?;
        let mut places = Places::of(env, sources, &work).await?;
        for work in work {
            let state = places.states.get(&work.patient).copied();
            if state.is_some_and(|state| licensed.contains(&state)) {
                continue;
            }
            let colleagues = places.colleagues(state).await?;
            let others = colleagues.iter().filter(|one| one.provider != provider).count();
            let licensed_colleagues = u32::try_from(others).unwrap_or(u32::MAX);
            found.push(Orphan { provider, work, state, licensed_colleagues });
        }
    }
    let mut tx = store.begin(actor).await?;
    let shown = found.iter().map(|one| (one.work.patient, one.work.patient.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "open_work", "all");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use kernel::{Speciality, Uuid};

    use super::*;

    fn id(id: u128) -> ProviderId {
        ProviderId(Uuid::from_u128(id))
    }

    fn colleague(provider: ProviderId, specialities: &[Speciality]) -> Colleague {
        Colleague {
            provider,
            licensed_in: vec![UsState::Ma],
            specialities: specialities.iter().copied().collect(),
            on_duty: None,
        }
    }

    #[test]
    fn whoever_fits_and_was_given_the_fewest_comes_first() {
        let skin: Speciality = "207N00000X".parse().unwrap();
        let acne = CategoryId(Uuid::from_u128(9));
        let policy = AssignmentPolicy {
            specialities: [(acne, [skin].into())].into(),
            ..AssignmentPolicy::default()
        };
        let all = [colleague(id(1), &[skin]), colleague(id(2), &[skin]), colleague(id(3), &[])];
        let given = BTreeMap::from([(id(2), 1)]);
        let found = |categories: &[CategoryId], from, only| {
            successors(&policy, categories, (from, only), &all, &given)
        };
        assert_eq!(found(&[], id(9), None), [id(1), id(3), id(2)]);
        assert_eq!(found(&[acne], id(9), None), [id(1), id(2)]);
        assert_eq!(found(&[acne], id(1), None), [id(2)]);
        assert_eq!(found(&[acne], id(9), Some(id(3))), []);
    }
}
