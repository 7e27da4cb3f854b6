//! The one registry of typed ids. Every id is a UUIDv7, so that primary keys
//! are ordered by time, and is made by the `Ids` port, never ambiently.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "rows", derive(sea_orm::DeriveValueType))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            pub const fn from_uuid(value: Uuid) -> Self {
                Self(value)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(value: Uuid) -> Self {
                Self(value)
            }
        }

        impl From<$name> for Uuid {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                value.parse().map(Self)
            }
        }

        #[cfg(feature = "rows")]
        $crate::rows::primary_key!($name);
        #[cfg(feature = "wire")]
        $crate::wire::id!($name);
    )+};
}

ids! {
    /// A person who can log in.
    AccountId,
    /// A patient. Its value is the value of the patient's account id.
    PatientId,
    /// A licensed provider. Its value is the value of the provider's account id.
    ProviderId,
    SessionId,
    /// Something that was begun with one request and awaits the next, as a
    /// login that awaits its second factor.
    CeremonyId,
    PasskeyId,
    /// A SMART backend-services client.
    ApiClientId,
    CategoryId,
    PlanId,
    /// A price tier of a plan.
    PriceId,
    FeatureFlagId,
    /// Something to read about a category.
    ArticleId,
    FormId,
    FormVersionId,
    DraftId,
    FormResponseId,
    /// A photo that a patient took for a form.
    PhotoId,
    RuleSetId,
    /// An eligibility assessment, which is also the item of the review queue.
    AssessmentId,
    TreatmentPlanId,
    TaskId,
    /// A chart that was opened in an emergency.
    BreakGlassId,
    ConsultationId,
    PharmacyId,
    PrescriptionId,
    /// An NCPDP SCRIPT message.
    ErxMessageId,
    InventoryLotId,
    DispatchId,
    /// A paid fill that is held until a provider decides.
    FillHoldId,
    ShipmentId,
    SubscriptionId,
    PaymentMethodId,
    InvoiceId,
    PaymentId,
    RefundId,
    ThreadId,
    MessageId,
    NotificationId,
    AuditEntryId,
    EventId,
    RequestId,
}

impl AccountId {
    pub const fn as_patient(self) -> PatientId {
        PatientId(self.0)
    }

    pub const fn as_provider(self) -> ProviderId {
        ProviderId(self.0)
    }
}

impl PatientId {
    pub const fn account(self) -> AccountId {
        AccountId(self.0)
    }
}

impl ProviderId {
    pub const fn account(self) -> AccountId {
        AccountId(self.0)
    }
}
