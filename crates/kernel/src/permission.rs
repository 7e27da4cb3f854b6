//! Roles and permissions. Which role holds which permission is data in the
//! database; the words themselves are fixed here so that code can name them.

use crate::Word;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// What somebody is to Salus.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Word,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Patient,
    Provider,
    Pharmacist,
    Support,
    Auditor,
    Admin,
    SuperAdmin,
}

macro_rules! permissions {
    ($($name:ident = $word:literal: $doc:literal),+ $(,)?) => {
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            Display, EnumIter, EnumString, IntoStaticStr,
        )]
        pub enum Permission {$(
            #[doc = $doc]
            #[serde(rename = $word)]
            #[strum(serialize = $word)]
            $name,
        )+}

        impl Permission {
            /// What the permission allows, in a sentence.
            pub const fn description(self) -> &'static str {
                match self {$(Self::$name => $doc,)+}
            }
        }
    };
}

permissions! {
    ProfileOwn = "profile.own": "Read and change one's own profile.",
    PatientRead = "patient.read": "Read the chart of a patient of one's panel.",
    PatientReadAny = "patient.read_any": "Read the chart of any patient.",
    BreakGlass = "patient.break_glass": "Open one chart outside one's panel in an emergency, for a while and under review.",
    AccountAdminister = "account.administer": "Create staff accounts and change roles.",
    RoleAdminister = "role.administer": "Edit the permission matrix.",
    ClientAdminister = "client.administer": "Register SMART backend-services clients.",
    CatalogAdminister = "catalog.administer": "Create and change categories, plans and prices.",
    FormAdminister = "form.administer": "Create, change and publish intake forms.",
    IntakeSubmit = "intake.submit": "Save drafts and submit one's own intake forms.",
    IntakeReadAny = "intake.read_any": "Read the intake responses of patients.",
    ReviewWork = "review.work": "See, claim and decide eligibility reviews.",
    RuleAdminister = "rule.administer": "Change eligibility rules.",
    TreatmentWrite = "treatment.write": "Create and modify treatment plans.",
    TaskWork = "task.work": "See and change provider tasks.",
    ConsultationOwn = "consultation.own": "Book and join one's own consultations.",
    ConsultationConduct = "consultation.conduct": "Conduct consultations and write their notes.",
    PrescriptionWrite = "prescription.write": "Write, send and modify prescriptions.",
    PrescriptionRead = "prescription.read": "Read prescriptions of patients.",
    PharmacyWork = "pharmacy.work": "Work inventory, dispatch and shipments of one's own pharmacies.",
    PharmacyAdminister = "pharmacy.administer": "Create, change and deactivate pharmacies, and say who works there.",
    ShipmentOwn = "shipment.own": "Read one's own shipments.",
    SubscribeOwn = "subscription.own": "Start and manage one's own subscriptions.",
    SubscriptionReadAny = "subscription.read_any": "Read the subscriptions of any patient.",
    BillingOwn = "billing.own": "Manage one's own payment methods and read one's own invoices.",
    BillingReadAny = "billing.read_any": "Read the billing of any patient.",
    BillingAdminister = "billing.administer": "Refund and adjust.",
    MessageOwn = "message.own": "Read and send messages in one's own threads.",
    NotificationOwn = "notification.own": "Read one's own notifications and set preferences.",
    AuditRead = "audit.read": "Read the audit trail.",
    AuditExport = "audit.export": "Export the audit trail.",
    BreakGlassReview = "break_glass.review": "See and judge who opened a chart in an emergency.",
    AnalyticsRead = "analytics.read": "Read aggregate metrics.",
    NoticeWork = "notice.work": "See and settle what vendors sent and Salus could not use.",
    SystemAdminister = "system.administer": "Change configuration and use emergency controls.",
}
