//! The store of inventory, dispatches and shipments.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, CoveredTreatment, DispatchId, InvoiceId, Ndc, Page, PageRequest, PatientId,
    PharmacyId, PrescriptionId, ProviderId, ShipmentId, SubscriptionId,
};
use ports::{Locked, Repository, Result};

use super::TrackingUpdate;
use crate::{
    dispatch::{Dispatch, DispatchState, hold::FillHold},
    inventory::Stock,
    prescription::PrescriptionTx,
    shipment::{Shipment, TrackingStatus},
};

/// One of the fills in a category that a paid invoice entitles the patient to,
/// one for each month of its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidFill {
    pub invoice: InvoiceId,
    pub subscription: SubscriptionId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub paid_at: DateTime<Utc>,
    /// 1 is the first of the period.
    pub number: u32,
    /// It is not released earlier.
    pub scheduled_for: DateTime<Utc>,
    /// When it is to be looked at again: later than planned where the patient
    /// has enough of the drug.
    pub due_at: DateTime<Utc>,
}

/// What names a paid fill: the invoice and the number of the fill.
pub type PaidFillKey = (InvoiceId, u32);

impl PaidFill {
    pub fn key(&self) -> PaidFillKey {
        (self.invoice, self.number)
    }
}

/// A transaction on the fulfilment half of the pharmacy; it reaches the
/// prescribing half too, because a dispatch uses a fill in the same transaction. Every read is scoped
/// by the actor: a patient reaches their own shipments and dispatches, staff
/// need `pharmacy.work`, and what an actor cannot reach does not exist for
/// them.
///
/// Whoever writes dispatches locks first the fills of the patient, where they
/// take a new one, then the stock, where units are reserved or given back, then
/// the shipment and at last the dispatch; with one order there is no deadlock.
///
/// Adding a second hold of a fill that is held, or a second dispatch of a paid
/// fill or of a fill of the prescription, is a `Conflict`.
#[async_trait]
pub trait FulfilmentTx:
    PrescriptionTx + Repository<Dispatch> + Repository<Shipment> + Repository<FillHold>
{
    /// Waits until no other transaction decides on the fills of this patient, so
    /// that two facts that arrive at once see each other, and two categories
    /// never give out one drug twice.
    async fn lock_fills(&mut self, patient: PatientId) -> Result<()>;

    /// Remembers a paid fill; one that is known already changes nothing.
    async fn add_paid_fill(&mut self, fill: &PaidFill) -> Result<()>;

    /// Keeps which treatments a subscription was bought for; what is kept stays.
    async fn keep_sold(
        &mut self,
        subscription: SubscriptionId,
        patient: PatientId,
        treatments: &[CoveredTreatment],
    ) -> Result<()>;

    /// The treatments that a subscription was bought for; none where nothing
    /// was kept.
    async fn sold(&mut self, subscription: SubscriptionId) -> Result<Vec<CoveredTreatment>>;

    /// Puts off when a paid fill is looked at again.
    async fn postpone_fill(&mut self, fill: &PaidFill, due_at: DateTime<Utc>) -> Result<()>;

    /// The paid fills that no dispatch serves, the earliest planned first.
    async fn open_fills(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PaidFill>>;

    /// Every hold of the patient in the category, released ones too.
    async fn fill_holds(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<FillHold>>;

    /// The fills that are held now and that the actor may work, the longest
    /// first.
    async fn held_fills(&mut self, page: &PageRequest) -> Result<Page<FillHold>>;

    /// The patient's fills that are held for this provider's decision, locked.
    async fn held_for(
        &mut self,
        patient: PatientId,
        provider: ProviderId,
    ) -> Result<Vec<Locked<FillHold>>>;

    /// The patient's dispatches whose label was asked for before the fill was
    /// held or the prescription ended.
    async fn held_back(&mut self, patient: PatientId) -> Result<Vec<Dispatch>>;

    /// The patients and categories with open fills that are due, the longest
    /// waiting first.
    async fn patients_with_open_fills(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(PatientId, CategoryId)>>;

    /// The active prescriptions of the patient in the category, the oldest
    /// first.
    async fn active_prescriptions(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PrescriptionId>>;

    /// The prescriptions of which something went out to the patient in the last
    /// hundred days, with the last time. What is still in the pharmacy goes out
    /// `now`; what came back, or can not go out any more, does not count.
    async fn last_supplies(
        &mut self,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Vec<(PrescriptionId, DateTime<Utc>)>>;

    /// The fill numbers of the prescription that a dispatch holds which was
    /// not cancelled.
    async fn fill_numbers(&mut self, prescription: PrescriptionId) -> Result<Vec<u32>>;

    /// The stock of one drug at one pharmacy, locked until the transaction
    /// ends. Stock that was never seen is empty.
    async fn lock_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Stock>;

    /// Saves the lots and the reorder level of a stock that was locked.
    async fn save_stock(&mut self, stock: &Stock) -> Result<()>;

    /// The stock of every drug, by pharmacy and NDC.
    async fn stock_levels(
        &mut self,
        pharmacy: Option<PharmacyId>,
        page: &PageRequest,
    ) -> Result<Page<Stock>>;

    /// Those of the dispatches that the actor reaches, the oldest first.
    async fn dispatches(&mut self, ids: &[DispatchId]) -> Result<Vec<Dispatch>>;

    /// The dispatches of one state or, without one, of every state that is
    /// still to be worked, the oldest first.
    async fn dispatch_queue(
        &mut self,
        state: Option<DispatchState>,
        page: &PageRequest,
    ) -> Result<Page<Dispatch>>;

    /// The dispatches that wait for this stock, the oldest first.
    async fn awaiting_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Vec<Dispatch>>;

    /// The dispatches of a prescription that are not final.
    async fn open_dispatches(&mut self, prescription: PrescriptionId) -> Result<Vec<Dispatch>>;

    /// The shipment that the carrier's tracker or shipment id belongs to, locked.
    /// Tracking numbers come again, so nothing is found by them alone.
    async fn shipment_of_tracker(
        &mut self,
        tracker_id: &str,
        carrier_shipment_id: Option<&str>,
    ) -> Result<Option<Locked<Shipment>>>;

    /// The newest shipment with this tracking number that the actor may see.
    async fn shipment_by_tracking_number(&mut self, number: &str) -> Result<Option<Shipment>>;

    /// A patient's shipments, the newest first.
    async fn shipments_of(
        &mut self,
        patient: PatientId,
        page: &PageRequest,
    ) -> Result<Page<Shipment>>;

    /// The patient's parcels in the category that left the pharmacy and are
    /// astray by the carrier's last word.
    async fn astray(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<(ShipmentId, TrackingStatus)>>;

    /// Adds what a tracker said to the shipment's history; what is known
    /// already changes nothing.
    async fn add_tracking(
        &mut self,
        shipment: ShipmentId,
        updates: &[TrackingUpdate],
    ) -> Result<()>;

    /// The shipment's history, in the carrier's own order of time.
    async fn tracking_history(&mut self, shipment: ShipmentId) -> Result<Vec<TrackingUpdate>>;

    /// Records a webhook by the vendor's id; `false` when it came before.
    async fn first_carrier_event(&mut self, event_id: &str) -> Result<bool>;
}

#[async_trait]
pub trait FulfilmentStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn FulfilmentTx>>;
}
