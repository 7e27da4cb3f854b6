//! What a provider sees at a glance: the day's work, and the panel.

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone as _, Utc};
use chrono_tz::Tz;
use kernel::{
    Actor, CategoryId, ConsultationId, Page, PageRequest, PatientId, Permission, ProviderId,
    TreatmentPlanId, UsState,
};
use ports::{AuditAction, AuditEntry, Env, Result as PortResult, UnitOfWork};

use crate::{CareError, CareStore, ConsultationStatus, ExpiringLicense, Sources, tasks::TaskScope};

/// How much of the messages to a provider is unread. Communication answers it.
#[async_trait]
pub trait Inbox: Send + Sync {
    async fn unread(&self, provider: ProviderId) -> PortResult<u64>;
}

/// The reviews within a provider's reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewCounts {
    /// Nobody holds them, and the provider may take them.
    pub waiting: u64,
    /// Of these, what points to danger or was escalated.
    pub waiting_urgent: u64,
    /// Of these, what is past its time.
    pub waiting_overdue: u64,
    /// The provider holds them.
    pub held: u64,
    pub held_overdue: u64,
    /// The provider has asked, and the patient has not answered.
    pub waiting_on_patients: u64,
}

/// The tasks within a provider's reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    pub urgent: u64,
    pub routine: u64,
    /// Of both, what is past its time.
    pub overdue: u64,
    /// Put off, and in neither.
    pub snoozed: u64,
}

/// A consultation of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appointment {
    pub id: ConsultationId,
    pub patient: PatientId,
    pub category: Option<CategoryId>,
    pub starts_at: DateTime<Utc>,
    pub status: ConsultationStatus,
}

/// The day's work of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Dashboard {
    pub reviews: ReviewCounts,
    pub tasks: TaskCounts,
    /// The day that counts as today, where the provider works.
    pub today: NaiveDate,
    pub zone: Tz,
    /// Those of today, in order.
    pub consultations: Vec<Appointment>,
    pub unread_messages: u64,
    pub licensed_in: Vec<UsState>,
    /// Within [`LICENSE_NOTICE`] days, the first to expire first.
    pub expiring_licenses: Vec<ExpiringLicense>,
}

/// From how many days before its end a license stands on the dashboard.
pub const LICENSE_NOTICE: u32 = 90;

/// Which patients of the panel to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PanelQuery {
    /// Those with an active plan of the category.
    pub category: Option<CategoryId>,
    /// Those with an active plan, or those without one.
    pub under_treatment: Option<bool>,
    pub page: PageRequest,
}

/// A patient of a provider's panel. Of the chart itself nothing stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelPatient {
    pub patient: PatientId,
    /// Whoever signed them.
    pub plans: Vec<PanelPlan>,
    /// When this provider last decided for, wrote for or met the patient.
    pub last_contact: Option<DateTime<Utc>>,
    /// The next consultation with this provider.
    pub next_consultation: Option<DateTime<Utc>>,
}

/// An active plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelPlan {
    pub id: TreatmentPlanId,
    pub category: CategoryId,
    pub provider: ProviderId,
    pub since: DateTime<Utc>,
}

/// The read models of the portal. They are a part of
/// [`CareTx`](crate::CareTx), so that what is read is audited with it.
#[async_trait]
pub trait PortalTx: UnitOfWork {
    async fn workload(
        &mut self,
        scope: &TaskScope,
        now: DateTime<Utc>,
    ) -> PortResult<(ReviewCounts, TaskCounts)>;

    /// The provider's consultations that begin within that time, in order.
    async fn appointments(
        &mut self,
        provider: ProviderId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> PortResult<Vec<Appointment>>;

    /// The provider's panel, in the order of the patients' ids.
    async fn panel(
        &mut self,
        provider: ProviderId,
        query: &PanelQuery,
        now: DateTime<Utc>,
    ) -> PortResult<Page<PanelPatient>>;
}

/// When a day begins by the clock on the wall. Where clocks skip midnight it
/// begins with the first hour that there is.
pub fn midnight(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let local = day.and_time(NaiveTime::MIN);
    let hours = (0..24).map(|hour| local + chrono::TimeDelta::hours(hour));
    let found = hours.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    found.map_or_else(|| local.and_utc(), |at| at.with_timezone(&Utc))
}

/// The provider's day.
pub async fn dashboard(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    inbox: &dyn Inbox,
    actor: &Actor,
) -> Result<Dashboard, CareError> {
    actor.require(Permission::TaskWork)?;
    let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
    let now = env.now();
    // The other contexts are asked before the transaction begins.
    let standing = sources.directory.standing(provider, now, LICENSE_NOTICE).await?;
    let unread_messages = inbox.unread(provider).await?;
    let zone = standing
        .zone
        .or_else(|| standing.licensed_in.first().map(|state| state.zone()))
        .unwrap_or(Tz::UTC);
    let today = now.with_timezone(&zone).date_naive();
    let tomorrow = today.checked_add_days(Days::new(1)).unwrap_or(today);

    let scope = TaskScope { provider, states: standing.licensed_in };
    let mut tx = store.begin(actor).await?;
    let (reviews, tasks) = tx.workload(&scope, now).await?;
    let (from, until) = (midnight(zone, today), midnight(zone, tomorrow));
    let consultations = tx.appointments(provider, from, until).await?;
    let shown = consultations.iter().map(|one| (one.patient, one.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Read, "provider_dashboard", provider);
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(Dashboard {
        reviews,
        tasks,
        today,
        zone,
        consultations,
        unread_messages,
        licensed_in: scope.states,
        expiring_licenses: standing.expiring,
    })
}

/// The provider's own patients. Names and all that is sealed cannot be searched.
pub async fn panel(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    query: &PanelQuery,
) -> Result<Page<PanelPatient>, CareError> {
    actor.require(Permission::PatientRead)?;
    let provider = actor.as_provider().ok_or(CareError::ProviderRequired)?;
    let mut tx = store.begin(actor).await?;
    let patients = tx.panel(provider, query, env.now()).await?;
    let shown = patients.items.iter().map(|found| (found.patient, found.patient.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "provider_panel", provider)
        .detail("category", query.category.map(|category| category.to_string()))
        .detail("under_treatment", query.under_treatment);
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(patients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_by_the_clock_on_the_wall() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let new_york = Tz::America__New_York;
        assert_eq!(midnight(new_york, day("2026-03-08")), at("2026-03-08T05:00:00Z"));
        assert_eq!(midnight(new_york, day("2026-03-09")), at("2026-03-09T04:00:00Z"));
        // In Santiago the first hour of that day is skipped.
        assert_eq!(midnight(Tz::America__Santiago, day("2024-09-08")), at("2024-09-08T04:00:00Z"));
    }
}
