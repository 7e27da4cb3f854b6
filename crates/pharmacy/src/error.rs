//! The one error type of the context, for prescribing and fulfilment alike.

use kernel::{DomainError, FieldError, UsState, actor::MissingPermission};
use ports::{Aggregate, PortError};

use crate::{dispatch::DispatchState, shipment::TrackingStatus};

#[derive(Debug, thiserror::Error, DomainError)]
pub enum PharmacyError {
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    /// The input breaks a rule; the fields say where.
    #[error("the request is not valid")]
    #[domain(Invalid, "pharmacy.invalid", fields)]
    Invalid(Vec<FieldError>),
    #[error("Another pharmacy of the directory has this NCPDP identifier.")]
    #[domain(Conflict, "pharmacy.ncpdp_id_taken")]
    NcpdpIdTaken,
    #[error("Controlled substances of DEA schedules II to V are not prescribed here.")]
    #[domain(Invalid, "pharmacy.controlled_substance")]
    ControlledSubstance,
    #[error("The drug, its name and its package are not one drug of the formulary.")]
    #[domain(Invalid, "pharmacy.not_on_formulary")]
    NotOnFormulary,
    #[error("The prescriber holds no active license in {}.", .0.name())]
    #[domain(Invalid, "pharmacy.license_required")]
    LicenseRequired(UsState),
    #[error("The treatment plan is no longer active.")]
    #[domain(Conflict, "pharmacy.treatment_not_active")]
    TreatmentNotActive,
    #[error(
        "The treatment plan has changed since; send the prescription of the plan as it is now."
    )]
    #[domain(Conflict, "pharmacy.treatment_changed")]
    TreatmentChanged,
    #[error("An alert is not as it was shown; read the prescription again.")]
    #[domain(Conflict, "pharmacy.alerts_changed")]
    AlertsChanged,
    #[error("A prescription that is {state} cannot be {what}.")]
    #[domain(Conflict, "pharmacy.prescription_state")]
    PrescriptionState { state: &'static str, what: &'static str },
    #[error("A prescription that is {state} with {left} fills left cannot be filled.")]
    #[domain(Conflict, "pharmacy.not_fillable")]
    NotFillable { state: &'static str, left: u8 },
    #[error("The dispatch has used a fill of another prescription.")]
    #[domain(Conflict, "pharmacy.dispatch_filled")]
    DispatchFilled,
    #[error("A dispatch that is {from} cannot become {to}.")]
    #[domain(Conflict, "pharmacy.dispatch_wrong_state")]
    DispatchWrongState { from: DispatchState, to: DispatchState },
    #[error("The fill is held; a provider has to release it.")]
    #[domain(Conflict, "pharmacy.fill_held")]
    FillHeld,
    #[error("The fill is not held any more.")]
    #[domain(Conflict, "pharmacy.hold_released")]
    HoldReleased,
    #[error("{0} That cannot be accepted; it has to be put right first.")]
    #[domain(Conflict, "pharmacy.hold_stands")]
    HoldStands(String),
    #[error("The fill is held for more than was named; read the hold again.")]
    #[domain(Conflict, "pharmacy.hold_changed")]
    HoldChanged,
    #[error("This shipment has a label already.")]
    #[domain(Conflict, "pharmacy.shipment_has_label")]
    ShipmentHasLabel,
    #[error("A shipment that is {0} cannot have arrived.")]
    #[domain(Conflict, "pharmacy.shipment_not_deliverable")]
    ShipmentNotDeliverable(TrackingStatus),
}

impl From<FieldError> for PharmacyError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl PharmacyError {
    /// For what is not there, or not for the caller.
    pub(crate) fn no<A: Aggregate>() -> Self {
        PortError::not_found(A::NAME).into()
    }

    /// One field at fault.
    pub fn field(
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }
}
