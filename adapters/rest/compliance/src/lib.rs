//! The audit trail and its export.

mod unread;
mod views;

use std::sync::Arc;

use api::{Answer, Body, Caller, PageQuery, Result, Tag};
use chrono::{DateTime, Utc};
use compliance::{
    AuditStore, TrailFilter, export::export_trail, report::activity, trail::read_trail,
};
use kernel::{AccountId, PageRequest, PatientId};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::{Binary, Json},
};
use ports::AuditAction;

pub use unread::UnreadNoticesApi;
use views::{ActivityReportView, AuditExportRequest, AuditTrailView};

pub struct ComplianceApi {
    pub store: Arc<dyn AuditStore>,
}

#[derive(ApiResponse)]
enum AuditExport {
    /// A CSV file, UTF-8, with a header row.
    #[oai(status = 200, content_type = "text/csv; charset=utf-8")]
    Csv(
        Binary<Vec<u8>>,
        /// The name of the file.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(tag = "Tag::Compliance")]
impl ComplianceApi {
    /// Read the audit log
    ///
    /// Newest first. Needs `audit.read`; the reading is itself recorded.
    #[oai(path = "/api/admin/audit-logs", method = "get", operation_id = "readAuditLog")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter of the operation")]
    async fn list(
        &self,
        caller: Caller,
        /// Entries about this patient's record.
        patient: Query<Option<PatientId>>,
        /// Entries of this actor: the id of an account or a client, or the
        /// name of a part of Salus.
        #[oai(validator(max_length = 200))]
        actor: Query<Option<String>>,
        action: Query<Option<AuditAction>>,
        /// The kind of thing, as in `invoice`.
        #[oai(validator(max_length = 100))]
        entity: Query<Option<String>>,
        /// From this time on.
        from: Query<Option<DateTime<Utc>>>,
        /// Before this time.
        to: Query<Option<DateTime<Utc>>>,
        /// How many entries, 1 to 200; 50 without one.
        limit: Query<Option<u32>>,
        /// What the page before gave as `next`.
        cursor: Query<Option<String>>,
    ) -> Answer<AuditTrailView> {
        let filter = TrailFilter {
            patient: patient.0,
            actor: actor.0,
            subject: None,
            action: action.0,
            entity: entity.0,
            from: from.0,
            to: to.0,
        };
        self.trail(&caller, &filter, &PageQuery::read(limit, cursor)?).await
    }

    /// Read a person's audit trail
    ///
    /// Entries about this person's record and entries of what this person did,
    /// newest first. Needs `audit.read`; the reading is itself recorded.
    #[oai(
        path = "/api/admin/audit-logs/:userId",
        method = "get",
        operation_id = "readUserAuditTrail"
    )]
    async fn of_user(
        &self,
        caller: Caller,
        /// The id of the account.
        #[oai(name = "userId")]
        user_id: Path<AccountId>,
        /// How many entries, 1 to 200; 50 without one.
        limit: Query<Option<u32>>,
        /// What the page before gave as `next`.
        cursor: Query<Option<String>>,
    ) -> Answer<AuditTrailView> {
        let filter = TrailFilter { subject: Some(user_id.0), ..TrailFilter::default() };
        self.trail(&caller, &filter, &PageQuery::read(limit, cursor)?).await
    }

    /// Report the activity of a period
    ///
    /// How often what was done to which kind of thing and with which outcome,
    /// who was refused most often, who opened the records of most patients, and
    /// how far the hash chain has come. It covers at most 366 days. Needs
    /// `audit.read`; the report is itself recorded.
    #[oai(path = "/api/admin/audit-report", method = "get", operation_id = "reportActivity")]
    async fn report(
        &self,
        caller: Caller,
        /// From this time on; it is needed.
        from: Query<Option<DateTime<Utc>>>,
        /// Before this time; it is needed.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Answer<ActivityReportView> {
        Ok(Json(activity(&*self.store, caller.actor(), (from.0, to.0)).await?.into()))
    }

    /// Export the audit log
    ///
    /// A CSV file of what matches, oldest first; at most 200,000 entries.
    /// Cells that a spreadsheet would take for a formula begin with an
    /// apostrophe. Needs `audit.export`; the export is itself recorded.
    #[oai(path = "/api/admin/audit-logs/export", method = "post", operation_id = "exportAuditLog")]
    async fn export(&self, caller: Caller, body: Body<AuditExportRequest>) -> Result<AuditExport> {
        let export = export_trail(&*self.store, caller.actor(), &body.0.into()).await?;
        let disposition = "attachment; filename=\"audit-log.csv\"".to_owned();
        Ok(AuditExport::Csv(Binary(export.csv), disposition))
    }
}

impl ComplianceApi {
    async fn trail(
        &self,
        caller: &Caller,
        filter: &TrailFilter,
        page: &PageRequest,
    ) -> Answer<AuditTrailView> {
        Ok(Json(read_trail(&*self.store, caller.actor(), filter, page).await?.into()))
    }
}
