//! The provider's portal: the day at a glance, and the panel.

use std::sync::Arc;

use api::{Answer, Caller, Mirror, PageQuery, Tag};
use care::{
    CareStore, ConsultationStatus, ExpiringLicense, Sources,
    portal::{
        self, Appointment, Dashboard, Inbox, PanelPatient, PanelPlan, PanelQuery, ReviewCounts,
        TaskCounts,
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CategoryId, ConsultationId, Page, ProviderId, TreatmentPlanId};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use ports::Env;

use super::names::{self, WhoView};

pub struct PortalApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
    pub inbox: Arc<dyn Inbox>,
}

/// The reviews within the provider's reach.
#[derive(Debug, Object, Mirror)]
#[mirror(from = ReviewCounts)]
pub struct ReviewCountsView {
    /// Nobody holds them, and the provider may take them.
    pub waiting: u64,
    /// Of these, what points to danger or was escalated.
    pub waiting_urgent: u64,
    /// Of these, what is past its time.
    pub waiting_overdue: u64,
    /// The provider holds them.
    pub held: u64,
    /// Of these, what is past its time.
    pub held_overdue: u64,
    /// The provider has asked, and the patient has not answered.
    pub waiting_on_patients: u64,
}

/// The open tasks within the provider's reach.
#[derive(Debug, Object, Mirror)]
#[mirror(from = TaskCounts)]
pub struct TaskCountsView {
    pub urgent: u64,
    pub routine: u64,
    /// Of both, what is past its time.
    pub overdue: u64,
    /// Put off, and in neither.
    pub snoozed: u64,
}

/// A consultation of the day.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Appointment)]
pub struct AppointmentView {
    #[mirror(id)]
    pub consultation_id: ConsultationId,
    #[oai(flatten)]
    #[mirror(patient)]
    pub who: WhoView,
    pub category_id: Option<CategoryId>,
    pub starts_at: DateTime<Utc>,
    pub status: ConsultationStatus,
}

/// A license that expires soon.
#[derive(Debug, Object, Mirror)]
#[mirror(from = ExpiringLicense)]
pub struct ExpiringLicenseView {
    /// The postal code of the state.
    pub state: String,
    /// The last day on which it is in force, in the state's own time zone.
    pub expires_on: NaiveDate,
    pub days_left: u32,
}

/// The day's work of a provider.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Dashboard)]
pub struct DashboardView {
    pub reviews: ReviewCountsView,
    pub tasks: TaskCountsView,
    /// The day that counts as today, where the provider works.
    pub today: NaiveDate,
    /// The zone of the provider's working hours; without hours that of a state
    /// where they are licensed.
    #[mirror(|dashboard| dashboard.zone.name().to_owned())]
    pub time_zone: String,
    /// Today's, in order.
    pub consultations: Vec<AppointmentView>,
    pub unread_messages: u64,
    /// The postal codes of the states where a license is in force.
    pub licensed_in: Vec<String>,
    /// Within 90 days, the first to expire first.
    pub expiring_licenses: Vec<ExpiringLicenseView>,
}

/// An active treatment plan.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PanelPlan)]
pub struct PanelPlanView {
    pub id: TreatmentPlanId,
    pub category_id: CategoryId,
    /// Who signed it.
    pub provider_id: ProviderId,
    pub since: DateTime<Utc>,
}

/// A patient of the provider's panel.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PanelPatient)]
pub struct PanelPatientView {
    #[oai(flatten)]
    #[mirror(patient)]
    pub who: WhoView,
    /// The active ones, the oldest first.
    pub plans: Vec<PanelPlanView>,
    /// When this provider last decided for, wrote for or met the patient.
    pub last_contact: Option<DateTime<Utc>>,
    /// The next one with this provider.
    pub next_consultation: Option<DateTime<Utc>>,
}

/// A page of the panel.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<PanelPatient>)]
pub struct PanelView {
    /// In the order of the patients' ids, so that pages stay as they are.
    #[mirror(items)]
    pub patients: Vec<PanelPatientView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

#[OpenApi(tag = "Tag::Care")]
impl PortalApi {
    /// Read the day at a glance
    ///
    /// The reviews that the provider may take or holds, open tasks, today's
    /// consultations, unread messages, and licenses that expire within 90 days.
    #[oai(path = "/api/providers/dashboard", method = "get", operation_id = "getProviderDashboard")]
    async fn dashboard(&self, caller: Caller) -> Answer<DashboardView> {
        let (store, sources, inbox) = (&*self.store, &self.sources, &*self.inbox);
        let found = portal::dashboard(&self.env, store, sources, inbox, caller.actor()).await?;
        let mut shown = DashboardView::from(found);
        let patients = shown.consultations.iter_mut().map(|one| &mut one.who);
        names::name(&*sources.facts, patients).await?;
        Ok(Json(shown))
    }

    /// List one's patients
    ///
    /// The provider's panel: whose review they held, for whom they wrote a plan,
    /// or whom they meet. The reading is audited with the patients that it
    /// returned.
    #[oai(path = "/api/providers/patients", method = "get", operation_id = "listProviderPatients")]
    async fn patients(
        &self,
        caller: Caller,
        /// Those with an active plan of this category.
        category_id: Query<Option<CategoryId>>,
        /// Those with an active plan, or with `false` those without one.
        under_treatment: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<PanelView> {
        let query = PanelQuery {
            category: category_id.0,
            under_treatment: under_treatment.0,
            page: PageQuery::read(limit, cursor)?,
        };
        let found = portal::panel(&self.env, &*self.store, caller.actor(), &query).await?;
        let mut shown = PanelView::from(found);
        let patients = shown.patients.iter_mut().map(|one| &mut one.who);
        names::name(&*self.sources.facts, patients).await?;
        Ok(Json(shown))
    }
}
