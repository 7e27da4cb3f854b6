//! What follows when a provider may no longer practise: charts of patients whom
//! they may not treat are closed to them, and what they hold goes back to the
//! queue.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kernel::{Actor, PatientId, ProviderId, UsState};
use ports::{AuditAction, AuditEntry, Env, JobSpec, Locked};
use serde::{Deserialize, Serialize};

use crate::{Assessment, CareError, CareStore, CareTx, Sources, assigning};

/// Looks once more at the providers whose standing has changed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStanding {}

impl JobSpec for CheckStanding {
    const KIND: &'static str = "care.check_standing";
}

/// What is to change of the charts that are closed to a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charts {
    pub close: BTreeSet<PatientId>,
    pub open: BTreeSet<PatientId>,
}

/// Which charts are closed to whoever is licensed in those states, and which are
/// open to them again. A patient of whom it is not known where they are is
/// closed too: undefined is not allowed.
pub fn charts(
    panel: &BTreeSet<PatientId>,
    closed: &BTreeSet<PatientId>,
    states: &BTreeMap<PatientId, UsState>,
    licensed: &[UsState],
) -> Charts {
    let may =
        |patient: &PatientId| states.get(patient).is_some_and(|state| licensed.contains(state));
    Charts {
        close: panel.difference(closed).filter(|one| !may(one)).copied().collect(),
        open: closed.iter().filter(|one| may(one)).copied().collect(),
    }
}

/// Handles `ProviderStandingChanged`.
pub async fn on_standing_changed(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    provider: ProviderId,
) -> Result<(), CareError> {
    apply(env, store, sources, true, provider).await
}

/// The job. It finds what may have changed since the last event: an account that was
/// closed while a claim or a signature of its holder was being processed, or a license
/// that has expired.
pub async fn check_standing(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    _: CheckStanding,
) -> Result<(), CareError> {
    let known = store.begin(&Actor::system("care.standing")).await?.standing_changed().await?;
    for provider in known {
        apply(env, store, sources, false, provider).await?;
    }
    Ok(())
}

/// Handles `PatientProfileChanged`: a chart that was closed opens where the
/// patient has moved to a state of the provider's.
pub async fn on_patient_moved(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    patient: PatientId,
) -> Result<(), CareError> {
    let actor = Actor::system("care.standing");
    let closed_to = store.begin(&actor).await?.closed_to(patient).await?;
    if closed_to.is_empty() {
        return Ok(());
    }
    let states = sources.facts.states(&[patient]).await?;
    let mut open = Vec::new();
    for provider in closed_to {
        let licensed = sources.directory.licensed_states(provider, env.now()).await?;
        if states.get(&patient).is_some_and(|state| licensed.contains(state)) {
            open.push(provider);
        }
    }
    let mut tx = store.begin(&actor).await?;
    if open.is_empty() {
        return Ok(());
    }
    for provider in open {
        tx.set_unlicensed(provider, patient, false).await?;
        let entry = AuditEntry::new(AuditAction::Update, "closed_chart", provider);
        tx.audit(entry.patient(patient).detail("closed", false));
    }
    tx.commit().await?;
    Ok(())
}

async fn apply(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    has_changed: bool,
    provider: ProviderId,
) -> Result<(), CareError> {
    let (actor, now) = (Actor::system("care.standing"), env.now());
    let mut tx = store.begin(&actor).await?;
    let panel = tx.whole_panel(provider).await?;
    let closed = tx.closed_charts(provider).await?;
    drop(tx);
    let everybody: Vec<PatientId> = panel.union(&closed).copied().collect();
    let states = sources.facts.states(&everybody).await?;
    let licensed = sources.directory.licensed_states(provider, now).await?;
    let charts = charts(&panel, &closed, &states, &licensed);

    let mut tx = store.begin(&actor).await?;
    if has_changed {
        tx.add_standing(provider, now).await?;
    }
    let mut held = tx.lock_held_reviews(provider, None).await?;
    held.retain(|review| {
        let state = states.get(&review.patient).unwrap_or(&review.state);
        !licensed.contains(state)
    });
    if !has_changed && charts == Charts::default() && held.is_empty() {
        return Ok(());
    }
    for (patients, closed) in [(&charts.close, true), (&charts.open, false)] {
        for patient in patients {
            tx.set_unlicensed(provider, *patient, closed).await?;
            let entry = AuditEntry::new(AuditAction::Update, "closed_chart", provider);
            tx.audit(entry.patient(*patient).detail("closed", closed));
        }
    }
    let released = give_back(tx.as_mut(), held, now).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "provider_standing", provider)
            .detail("charts_closed", charts.close.len())
            .detail("charts_opened", charts.open.len())
            .detail("reviews_released", released),
    );
    tx.commit().await?;
    Ok(())
}

/// Puts reviews back into the queue, whose clock runs on.
async fn give_back(
    tx: &mut dyn CareTx,
    held: Vec<Locked<Assessment>>,
    now: DateTime<Utc>,
) -> Result<usize, CareError> {
    let count = held.len();
    for mut review in held {
        review.give_back(now);
        tx.save(&mut review).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "assessment", review.id)
                .patient(review.patient)
                .detail("review", "give_back")
                .detail("status", review.review.word().word()),
        );
    }
    if count > 0 {
        assigning::announce(tx).await?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;

    #[test]
    fn a_chart_is_closed_where_no_license_is_and_opens_with_one() {
        let [ada, eve, nobody] = [1, 2, 3].map(|id| PatientId(Uuid::from_u128(id)));
        let panel = BTreeSet::from([ada, eve, nobody]);
        let states = BTreeMap::from([(ada, UsState::Ma), (eve, UsState::Tx)]);
        let found = charts(&panel, &BTreeSet::new(), &states, &[UsState::Ma]);
        assert_eq!(found, Charts { close: [eve, nobody].into(), open: BTreeSet::new() });
        let found = charts(&panel, &found.close, &states, &[UsState::Tx]);
        assert_eq!(found, Charts { close: [ada].into(), open: [eve].into() });
        let found = charts(&panel, &panel, &states, &[]);
        assert_eq!(found, Charts::default());
    }
}
