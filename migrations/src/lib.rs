//! The one ordered history of the schema. Each step is a pair of SQL files, up
//! and down; a step that has landed never changes, a new one is added.

use sea_orm_migration::{prelude::*, sea_orm::DbErr};

struct Step {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.down).await.map(drop)
    }
}

macro_rules! history {
    ($($name:literal),+ $(,)?) => {
        fn history() -> Vec<Step> {
            vec![$(Step {
                name: $name,
                up: include_str!(concat!("../sql/", $name, ".up.sql")),
                down: include_str!(concat!("../sql/", $name, ".down.sql")),
            }),+]
        }
    };
}

// In numeric order; one line a step.
history![
    "001_platform",
    "002_idempotency_digest",
    "010_identity",
    "011_identity_factors",
    "012_identity_roles",
    "014_provider_profile",
    "020_catalog",
    "021_catalog_features",
    "022_catalog_revisions",
    "023_feature_flags",
    "024_catalog_articles",
    "025_catalog_flag_notices",
    "030_intake",
    "031_intake_form_drafts",
    "032_intake_photos",
    "040_care",
    "041_care_slots",
    "042_care_active_plans",
    "043_care_plan_endings",
    "044_care_dosing_rules",
    "045_care_review_queue",
    "046_care_rules",
    "0495_care_break_glass",
    "047_care_assignment",
    "048_care_tasks",
    "050_prescriptions",
    "051_formulary",
    "055_fulfilment",
    "056_fill_release",
    "057_prescription_plan_version",
    "060_subscriptions",
    "061_subscription_features",
    "062_category_analytics",
    "070_billing",
    "071_billing_ended_subscriptions",
    "072_care_superseded_reviews",
    "073_care_changed_treatments",
    "074_care_canceled_consultations",
    "075_care_settings",
    "076_care_health_tasks",
    "078_care_visits",
    "080_communication",
    "090_records",
    "095_compliance",
    "096_audit_times",
    "097_analytics",
    "100_fill_holds",
    "101_payment_contests",
    "102_missed_periods",
    "110_sold_treatments",
    "111_pharmacies",
    "120_provider_standing",
    "130_identity_factor_standing",
    "131_identity_client_keys",
    "132_identity_sign_in_networks",
    "150_audit_keys",
    "151_sealed_labels",
    "160_handed_over_charts",
    "161_fraud_warnings",
    "162_unread_notices",
    "180_records_index",
    "181_care_visit_times",
    "182_keyring_mark",
    "183_abandoned_shipments",
    "184_rejoined_charts",
    "185_deliveries",
    "186_category_notices",
    "187_unchained_entries",
    "188_catalog_changes",
];

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        history().into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}
