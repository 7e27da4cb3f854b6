//! Breaking the glass: in an emergency a provider opens one chart outside the
//! panel. It takes a reason, it ends by itself, those who watch over access
//! hear of it at once, and one of them judges it afterwards (45 CFR
//! 164.312(a)(2)(ii)). It opens the chart for reading and for nothing else.

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{
    AccountId, Actor, BreakGlassId, Page, PageRequest, PatientId, Permission, ProviderId, Seen,
    TextKind as _, text::GraveReason,
};
use ports::{Aggregate, AuditAction, AuditEntry, Env, Event, repository::lock};

use crate::{CareError, CareStore, Sources};

/// How long a chart stays open.
const OPEN_FOR: TimeDelta = TimeDelta::hours(1);

/// A chart that was opened in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("break_glass", patient)]
pub struct BreakGlass {
    pub id: BreakGlassId,
    pub provider: ProviderId,
    pub patient: PatientId,
    /// In the provider's words.
    pub reason: String,
    pub opened_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// `None` while nobody has judged it.
    pub review: Option<AccessReview>,
    pub version: i64,
}

/// What was found of it afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessReview {
    pub by: AccountId,
    pub at: DateTime<Utc>,
    pub justified: bool,
    pub note: String,
}

impl BreakGlass {
    pub fn open(
        id: BreakGlassId,
        (provider, patient): (ProviderId, PatientId),
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, CareError> {
        let reason = GraveReason::take("reason", reason)?;
        let (opened_at, expires_at) = (now, now + OPEN_FOR);
        Ok(Self { id, provider, patient, reason, opened_at, expires_at, review: None, version: 1 })
    }

    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        (self.opened_at..self.expires_at).contains(&now)
    }

    /// Judges it, once. Nobody judges one's own.
    pub fn judge(
        &mut self,
        by: AccountId,
        justified: bool,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<(), CareError> {
        if self.review.is_some() {
            return Err(CareError::AlreadyJudged);
        }
        if by == self.provider.account() {
            return Err(CareError::OwnAccess);
        }
        let note = GraveReason::take("note", note)?;
        self.review = Some(AccessReview { by, at: now, justified, note });
        Ok(())
    }
}

/// Opens a patient's chart for an hour. While one is open the same is
/// answered again.
pub async fn open(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    patient: PatientId,
    reason: &str,
) -> Result<BreakGlass, CareError> {
    actor.require(Permission::BreakGlass)?;
    let provider = actor.as_provider().ok_or_else(|| CareError::no("patient"))?;
    let now = env.now();
    let glass = BreakGlass::open(env.fresh(), (provider, patient), reason, now)?;
    let watchers = sources.directory.access_reviewers().await?;
    let is_patient = sources.directory.is_patient(patient).await?;
    let mut tx = store.begin(actor).await?;
    if !is_patient {
        let entry = AuditEntry::new(AuditAction::Execute, "break_glass", patient);
        tx.audit(entry.patient(patient).denied());
        tx.commit().await?;
        return Err(CareError::no("patient"));
    }
    if tx.treats(provider, patient).await? {
        return Err(CareError::ChartIsOpen);
    }
    tx.lock_break_glass(provider, patient).await?;
    if let Some(open) = tx.open_break_glass(provider, patient, now).await? {
        return Ok(open);
    }
    tx.open_until(provider, patient, glass.expires_at).await?;
    tx.insert(&glass).await?;
    let entry = AuditEntry::new(AuditAction::Execute, "break_glass", glass.id);
    tx.audit(entry.patient(patient));
    tx.emit(Event::GlassBroken { id: glass.id, provider, patient, watchers });
    tx.commit().await?;
    Ok(glass)
}

/// Those that were opened, the newest first, for those who judge them.
pub async fn list(
    store: &dyn CareStore,
    actor: &Actor,
    pending: bool,
    page: &PageRequest,
) -> Result<Page<BreakGlass>, CareError> {
    actor.require(Permission::BreakGlassReview)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.break_glasses(pending, page).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Search, "break_glass", "search")
            .detail("found", found.items.len()),
    );
    tx.commit().await?;
    Ok(found)
}

/// Judges one of them.
pub async fn judge(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    id: BreakGlassId,
    justified: bool,
    note: &str,
) -> Result<BreakGlass, CareError> {
    actor.require(Permission::BreakGlassReview)?;
    let by = actor.account().ok_or_else(|| CareError::no("break_glass"))?;
    let mut tx = store.begin(actor).await?;
    let mut glass = lock::<BreakGlass>(tx.as_mut(), id, &Seen::Any).await?;
    glass.judge(by, justified, note, env.now())?;
    tx.save(&mut glass).await?;
    let entry = AuditEntry::new(AuditAction::Update, "break_glass", id);
    tx.audit(entry.patient(glass.patient).detail("justified", justified));
    tx.commit().await?;
    Ok(glass.into_inner())
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    fn glass(reason: &str) -> Result<BreakGlass, CareError> {
        let (provider, patient) = (Uuid::from_u128(2).into(), Uuid::from_u128(3).into());
        BreakGlass::open(Uuid::from_u128(1).into(), (provider, patient), reason, at(0))
    }

    #[test]
    fn it_takes_a_reason_and_ends_after_an_hour() {
        assert!(matches!(glass("   why?   "), Err(CareError::Invalid(_))));
        let glass = glass("  Found unconscious, allergies unknown. ").unwrap();
        assert_eq!(glass.reason, "Found unconscious, allergies unknown.");
        assert!(glass.is_open(at(0)) && glass.is_open(at(59)));
        assert!(!glass.is_open(at(60)) && !glass.is_open(at(-1)));
    }

    #[test]
    fn it_is_judged_once_and_by_somebody_else() {
        let mut glass = glass("Found unconscious, allergies unknown.").unwrap();
        let (own, other) = (glass.provider.account(), Uuid::from_u128(9).into());
        let mut judge = |by| glass.judge(by, true, "The call is on file.", at(90));
        assert!(matches!(judge(own), Err(CareError::OwnAccess)));
        judge(other).unwrap();
        assert!(matches!(judge(other), Err(CareError::AlreadyJudged)));
        assert!(glass.review.unwrap().justified);
    }
}
