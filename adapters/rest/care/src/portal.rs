//! The provider's portal: the day at a glance, and the panel.

use std::sync::Arc;

use api::{Caller, PageQuery, Problem, Tag};
use care::{
    CareStore, ConsultationStatus, ExpiringLicense, Sources,
    portal::{
        self, Appointment, Dashboard, Inbox, PanelPatient, PanelPlan, PanelQuery, ReviewCounts,
        TaskCounts,
    },
};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CategoryId, Page, Uuid};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json};
use ports::Env;

use super::names::{Names, PatientNameView};

pub struct PortalApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
    pub inbox: Arc<dyn Inbox>,
}

/// The reviews within the provider's reach.
#[derive(Debug, Object)]
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

impl From<ReviewCounts> for ReviewCountsView {
    fn from(counts: ReviewCounts) -> Self {
        Self {
            waiting: counts.waiting,
            waiting_urgent: counts.waiting_urgent,
            waiting_overdue: counts.waiting_overdue,
            held: counts.held,
            held_overdue: counts.held_overdue,
            waiting_on_patients: counts.waiting_on_patients,
        }
    }
}

/// The open tasks within the provider's reach.
#[derive(Debug, Object)]
pub struct TaskCountsView {
    pub urgent: u64,
    pub routine: u64,
    /// Of both, what is past its time.
    pub overdue: u64,
    /// Put off, and in neither.
    pub snoozed: u64,
}

impl From<TaskCounts> for TaskCountsView {
    fn from(counts: TaskCounts) -> Self {
        Self {
            urgent: counts.urgent,
            routine: counts.routine,
            overdue: counts.overdue,
            snoozed: counts.snoozed,
        }
    }
}

/// How far a consultation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AppointmentStatusWord {
    Scheduled,
    InProgress,
    Completed,
    Canceled,
}

/// A consultation of the day.
#[derive(Debug, Object)]
pub struct AppointmentView {
    pub consultation_id: Uuid,
    pub patient_id: Uuid,
    /// Who that is; absent where the patient has no profile.
    pub patient: Option<PatientNameView>,
    pub category_id: Option<Uuid>,
    pub starts_at: DateTime<Utc>,
    pub status: AppointmentStatusWord,
}

impl AppointmentView {
    fn of(appointment: Appointment, names: &Names) -> Self {
        Self {
            consultation_id: appointment.id.uuid(),
            patient_id: appointment.patient.uuid(),
            patient: names.view(appointment.patient),
            category_id: appointment.category.map(CategoryId::uuid),
            starts_at: appointment.starts_at,
            status: match appointment.status {
                ConsultationStatus::Scheduled => AppointmentStatusWord::Scheduled,
                ConsultationStatus::InProgress => AppointmentStatusWord::InProgress,
                ConsultationStatus::Completed => AppointmentStatusWord::Completed,
                ConsultationStatus::Canceled => AppointmentStatusWord::Canceled,
            },
        }
    }
}

/// A license that expires soon.
#[derive(Debug, Object)]
pub struct ExpiringLicenseView {
    /// The postal code of the state.
    pub state: String,
    /// The last day on which it is in force, in the state's own time zone.
    pub expires_on: NaiveDate,
    pub days_left: u32,
}

impl From<ExpiringLicense> for ExpiringLicenseView {
    fn from(license: ExpiringLicense) -> Self {
        Self {
            state: license.state.to_string(),
            expires_on: license.expires_on,
            days_left: license.days_left,
        }
    }
}

/// The day's work of a provider.
#[derive(Debug, Object)]
pub struct DashboardView {
    pub reviews: ReviewCountsView,
    pub tasks: TaskCountsView,
    /// The day that counts as today, where the provider works.
    pub today: NaiveDate,
    /// The zone of the provider's working hours; without hours that of a state
    /// where they are licensed.
    pub time_zone: String,
    /// Today's, in order.
    pub consultations: Vec<AppointmentView>,
    pub unread_messages: u64,
    /// The postal codes of the states where a license is in force.
    pub licensed_in: Vec<String>,
    /// Within 90 days, the first to expire first.
    pub expiring_licenses: Vec<ExpiringLicenseView>,
}

impl DashboardView {
    fn of(dashboard: Dashboard, names: &Names) -> Self {
        let consultations = dashboard.consultations.into_iter();
        Self {
            reviews: dashboard.reviews.into(),
            tasks: dashboard.tasks.into(),
            today: dashboard.today,
            time_zone: dashboard.zone.name().to_owned(),
            consultations: consultations.map(|one| AppointmentView::of(one, names)).collect(),
            unread_messages: dashboard.unread_messages,
            licensed_in: dashboard.licensed_in.iter().map(ToString::to_string).collect(),
            expiring_licenses: dashboard.expiring_licenses.into_iter().map(Into::into).collect(),
        }
    }
}

/// An active treatment plan.
#[derive(Debug, Object)]
pub struct PanelPlanView {
    pub id: Uuid,
    pub category_id: Uuid,
    /// Who signed it.
    pub provider_id: Uuid,
    pub since: DateTime<Utc>,
}

impl From<PanelPlan> for PanelPlanView {
    fn from(plan: PanelPlan) -> Self {
        Self {
            id: plan.id.uuid(),
            category_id: plan.category.uuid(),
            provider_id: plan.provider.uuid(),
            since: plan.since,
        }
    }
}

/// A patient of the provider's panel.
#[derive(Debug, Object)]
pub struct PanelPatientView {
    pub patient_id: Uuid,
    /// Who that is; absent where the patient has no profile.
    pub patient: Option<PatientNameView>,
    /// The active ones, the oldest first.
    pub plans: Vec<PanelPlanView>,
    /// When this provider last decided for, wrote for or met the patient.
    pub last_contact: Option<DateTime<Utc>>,
    /// The next one with this provider.
    pub next_consultation: Option<DateTime<Utc>>,
}

impl PanelPatientView {
    fn of(found: PanelPatient, names: &Names) -> Self {
        Self {
            patient_id: found.patient.uuid(),
            patient: names.view(found.patient),
            plans: found.plans.into_iter().map(Into::into).collect(),
            last_contact: found.last_contact,
            next_consultation: found.next_consultation,
        }
    }
}

/// A page of the panel.
#[derive(Debug, Object)]
pub struct PanelView {
    /// In the order of the patients' ids, so that pages stay as they are.
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
    async fn dashboard(&self, caller: Caller) -> Result<Json<DashboardView>, Problem> {
        let (store, inbox) = (self.store.as_ref(), self.inbox.as_ref());
        let dashboard =
            portal::dashboard(&self.env, store, &self.sources, inbox, caller.actor()).await?;
        let shown = dashboard.consultations.iter().map(|one| one.patient);
        let names = Names::of(self.sources.facts.as_ref(), shown).await?;
        Ok(Json(DashboardView::of(dashboard, &names)))
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
        category_id: Query<Option<Uuid>>,
        /// Those with an active plan, or with `false` those without one.
        under_treatment: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<PanelView>, Problem> {
        let query = PanelQuery {
            category: category_id.0.map(CategoryId),
            under_treatment: under_treatment.0,
            page: PageQuery::read(limit, cursor)?,
        };
        let Page { items, next } =
            portal::panel(&self.env, self.store.as_ref(), caller.actor(), &query).await?;
        let names =
            Names::of(self.sources.facts.as_ref(), items.iter().map(|found| found.patient)).await?;
        let patients = items.into_iter().map(|found| PanelPatientView::of(found, &names)).collect();
        Ok(Json(PanelView { patients, next }))
    }
}
