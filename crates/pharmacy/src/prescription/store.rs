//! What prescribing keeps.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, Actor, DispatchId, ErxMessageId, Page, PageRequest, PatientId, PharmacyId,
    PrescriptionId, ProviderId, TreatmentPlanId, UsState,
};
use ports::{Locked, Repository, Result, UnitOfWork};

use super::{Pharmacy, Prescription};
use crate::erx::{ErxMessage, ReceivedMessage};

/// Which prescriptions a call may see; it goes into the query itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrescriptionReach {
    /// Those of this patient: the patient's own, or a chart that the caller
    /// has been checked to hold.
    Patient(PatientId),
    /// Those that this provider wrote, of patients whom they still treat: for
    /// changing them.
    Prescriber(ProviderId),
    /// The same, and those of the plans for which this provider answers: for
    /// reading them.
    Responsible(ProviderId),
    /// Those that the pharmacies hold in which this account works, of one
    /// patient or of all.
    Pharmacist { account: AccountId, patient: Option<PatientId> },
    /// All: Salus itself.
    Any,
}

/// One use of a prescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub prescription: PrescriptionId,
    /// A dispatch uses a fill once, however often it is recorded.
    pub dispatch: DispatchId,
    pub number: u8,
    pub filled_on: NaiveDate,
    pub at: DateTime<Utc>,
}

/// As repositories find and lock them, prescriptions are reached by Salus itself and by
/// whoever may change them ([`PrescriptionReach::Prescriber`]). Adding a second open one for
/// the same treatment plan is `PortError::Conflict`.
#[async_trait]
pub trait PrescriptionTx: UnitOfWork + Repository<Prescription> + Repository<Pharmacy> {
    /// One prescription, if it lies within the reach that the use case names.
    async fn prescription(
        &mut self,
        id: PrescriptionId,
        reach: PrescriptionReach,
    ) -> Result<Option<Prescription>>;

    /// The one open prescription of a treatment plan, locked.
    async fn open_prescription(
        &mut self,
        plan: TreatmentPlanId,
    ) -> Result<Option<Locked<Prescription>>>;

    /// The last version of a treatment plan that a prescription was written
    /// from, whatever became of it.
    async fn last_prescribed_version(&mut self, plan: TreatmentPlanId) -> Result<Option<u32>>;

    /// Waits until no other transaction signs a prescription of this patient, so
    /// that two that are signed at once see each other.
    async fn lock_prescribing(&mut self, patient: PatientId) -> Result<()>;

    /// The prescriptions of the patient that are on their way to a pharmacy or
    /// that one holds.
    async fn open_prescriptions(&mut self, patient: PatientId) -> Result<Vec<Prescription>>;

    /// What is prescribed to the patient on this day: the open prescriptions,
    /// and those whose last fill still lasts.
    async fn taken_prescriptions(
        &mut self,
        patient: PatientId,
        today: NaiveDate,
    ) -> Result<Vec<Prescription>>;

    async fn prescriptions(
        &mut self,
        reach: PrescriptionReach,
        page: &PageRequest,
    ) -> Result<Page<Prescription>>;

    /// The fill that a dispatch has used, if it has.
    async fn fill_of(&mut self, dispatch: DispatchId) -> Result<Option<Fill>>;

    async fn add_fill(&mut self, fill: &Fill) -> Result<()>;

    /// A message that was sent or is to be sent.
    async fn message(&mut self, id: ErxMessageId) -> Result<Option<ErxMessage>>;

    /// Keeps a message before its first attempt. It is written once: a second
    /// text for the same id is `PortError::Conflict`.
    async fn add_message(&mut self, message: &ErxMessage) -> Result<()>;

    /// Keeps what came in; `false` when this message was here before.
    async fn receive_message(&mut self, message: &ReceivedMessage) -> Result<bool>;

    /// By name; `active_only` leaves out what is not in use.
    async fn pharmacies(&mut self, active_only: bool, page: &PageRequest)
    -> Result<Page<Pharmacy>>;

    /// The pharmacy that ships where nobody has chosen one: the active
    /// mail-order pharmacy with the lowest id that is licensed in the state, or
    /// in any where none is named.
    async fn default_pharmacy(&mut self, state: Option<UsState>) -> Result<Option<Pharmacy>>;

    /// Who works there, in order.
    async fn pharmacists(&mut self, pharmacy: PharmacyId) -> Result<Vec<AccountId>>;

    /// Replaces who works there.
    async fn set_pharmacists(&mut self, pharmacy: PharmacyId, staff: &[AccountId]) -> Result<()>;

    /// Whether the actor may work there: Salus everywhere, a pharmacist where
    /// they are assigned.
    async fn works_at(&mut self, pharmacy: PharmacyId) -> Result<bool>;
}

#[async_trait]
pub trait PrescriptionStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn PrescriptionTx>>;
}
