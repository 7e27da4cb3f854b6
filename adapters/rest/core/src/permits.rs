//! What a caller needs before the body of a request is read. Each operation
//! that takes a body and is not open to every account stands here, so that
//! whoever has no right to it is told so (403) and not what their body lacks;
//! the use case asks again, about the very record.

use kernel::{Actor, ErrorKind, Permission};
use poem::{PathPattern, Request, http::Method};

use super::Problem;

#[derive(Clone, Copy)]
enum Need {
    May(Permission),
    Patient,
    Provider,
}

use Need::{May, Patient, Provider};

impl Need {
    fn is_met_by(self, actor: &Actor) -> bool {
        match self {
            May(permission) => actor.may(permission),
            Patient => actor.as_patient().is_some(),
            Provider => actor.as_provider().is_some(),
        }
    }
}

/// Method, path and need; `*` stands for one part of a path.
const NEEDS: &[(Method, &str, Need)] = &[
    (Method::POST, "/api/admin/accounts", May(Permission::AccountAdminister)),
    (Method::PUT, "/api/admin/accounts/*/licenses", May(Permission::AccountAdminister)),
    (Method::PUT, "/api/admin/accounts/*/roles", May(Permission::AccountAdminister)),
    (Method::PUT, "/api/admin/accounts/*/status", May(Permission::AccountAdminister)),
    (Method::POST, "/api/admin/articles", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/articles/*", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/assignment-policy", May(Permission::RuleAdminister)),
    (Method::POST, "/api/admin/audit-logs/export", May(Permission::AuditExport)),
    (Method::PUT, "/api/admin/auto-approvals", May(Permission::RuleAdminister)),
    (Method::POST, "/api/admin/break-glass/*/review", May(Permission::BreakGlassReview)),
    (Method::POST, "/api/admin/categories", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/categories/*", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/categories/*/default-treatment", May(Permission::RuleAdminister)),
    (Method::POST, "/api/admin/clients", May(Permission::ClientAdminister)),
    (Method::PUT, "/api/admin/dosing-rules/*", May(Permission::RuleAdminister)),
    (Method::PUT, "/api/admin/clients/*/status", May(Permission::ClientAdminister)),
    (Method::POST, "/api/admin/clients/*/keys", May(Permission::ClientAdminister)),
    (Method::POST, "/api/admin/feature-flags", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/feature-flags/*", May(Permission::CatalogAdminister)),
    (Method::POST, "/api/admin/forms", May(Permission::FormAdminister)),
    (Method::POST, "/api/admin/forms/questionnaires", May(Permission::FormAdminister)),
    (Method::PUT, "/api/admin/forms/*", May(Permission::FormAdminister)),
    (Method::PUT, "/api/admin/formulary/*", May(Permission::RuleAdminister)),
    (Method::POST, "/api/admin/pharmacies", May(Permission::PharmacyAdminister)),
    (Method::PUT, "/api/admin/pharmacies/*", May(Permission::PharmacyAdminister)),
    (Method::PUT, "/api/admin/pharmacies/*/pharmacists", May(Permission::PharmacyAdminister)),
    (Method::POST, "/api/admin/plans", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/admin/plans/*", May(Permission::CatalogAdminister)),
    (Method::POST, "/api/admin/providers/*/handover", May(Permission::AccountAdminister)),
    (Method::PUT, "/api/admin/providers/*", May(Permission::AccountAdminister)),
    (Method::PUT, "/api/admin/roles/*", May(Permission::RoleAdminister)),
    (Method::POST, "/api/admin/rule-sets", May(Permission::RuleAdminister)),
    (Method::PUT, "/api/admin/rule-sets/*", May(Permission::RuleAdminister)),
    (Method::PUT, "/api/admin/states/*/policy", May(Permission::RuleAdminister)),
    (Method::POST, "/api/admin/unread-notices/*/complete", May(Permission::NoticeWork)),
    (Method::POST, "/api/assessments/*/information", Patient),
    (Method::POST, "/api/auth/upgrade-prompt", Patient),
    (Method::POST, "/api/auth/validate-access", Patient),
    (Method::POST, "/api/billing/tasks/*/complete", May(Permission::BillingAdminister)),
    (Method::POST, "/api/consultations/video/create", May(Permission::ConsultationOwn)),
    (Method::PUT, "/api/consultations/video/*/notes", May(Permission::ConsultationConduct)),
    (Method::PUT, "/api/dispatch/*/status", May(Permission::PharmacyWork)),
    (Method::POST, "/api/forms/categories/*/photos", May(Permission::IntakeSubmit)),
    (Method::PUT, "/api/forms/drafts/*", May(Permission::IntakeSubmit)),
    (Method::POST, "/api/forms/submit", May(Permission::IntakeSubmit)),
    (Method::POST, "/api/held-fills/*/release", May(Permission::PrescriptionWrite)),
    (Method::POST, "/api/messages/send", May(Permission::MessageOwn)),
    (Method::POST, "/api/missed-periods/*/*", May(Permission::BillingAdminister)),
    (Method::POST, "/api/payment-methods", May(Permission::BillingOwn)),
    (Method::PUT, "/api/payment-methods/*", May(Permission::BillingOwn)),
    (Method::POST, "/api/pharmacy/inventory", May(Permission::PharmacyWork)),
    (Method::POST, "/api/plans", May(Permission::CatalogAdminister)),
    (Method::PUT, "/api/plans/*", May(Permission::CatalogAdminister)),
    (Method::POST, "/api/prescriptions/erx", May(Permission::PrescriptionWrite)),
    (Method::PUT, "/api/prescriptions/*/modify", May(Permission::PrescriptionWrite)),
    (Method::POST, "/api/prescriptions/*/override", May(Permission::PrescriptionWrite)),
    (Method::PUT, "/api/profile", Patient),
    (Method::PUT, "/api/profile/allergies", Patient),
    (Method::PUT, "/api/profile/medications", Patient),
    (Method::POST, "/api/providers/patients/*/break-glass", May(Permission::BreakGlass)),
    (Method::POST, "/api/providers/patients/*/dose", May(Permission::TreatmentWrite)),
    (Method::PUT, "/api/providers/profile", Provider),
    (Method::POST, "/api/providers/reviews/*/approve", May(Permission::ReviewWork)),
    (Method::POST, "/api/providers/reviews/*/proposal", May(Permission::ReviewWork)),
    (Method::POST, "/api/providers/reviews/*/reassign", May(Permission::ReviewWork)),
    (Method::POST, "/api/providers/reviews/*/reject", May(Permission::ReviewWork)),
    (Method::POST, "/api/providers/reviews/*/request-information", May(Permission::ReviewWork)),
    (Method::PUT, "/api/providers/tasks/*", May(Permission::TaskWork)),
    (Method::PUT, "/api/providers/working-hours", Provider),
    (Method::POST, "/api/subscriptions", May(Permission::SubscribeOwn)),
    (Method::POST, "/api/subscriptions/*/cancel", May(Permission::SubscribeOwn)),
    (Method::POST, "/api/treatment-plans", May(Permission::TreatmentWrite)),
    (Method::PUT, "/api/treatment-plans/*", May(Permission::TreatmentWrite)),
    (Method::POST, "/api/treatment-plans/*/complete", May(Permission::TreatmentWrite)),
    (Method::POST, "/api/treatment-plans/*/modify", May(Permission::TreatmentWrite)),
    (Method::POST, "/api/treatment-plans/*/revoke", May(Permission::TreatmentWrite)),
];

/// Refuses a caller who lacks what the operation of the request needs.
pub(super) fn check(request: &Request, actor: &Actor) -> Result<(), Problem> {
    let Some(PathPattern(pattern)) = request.data::<PathPattern>() else { return Ok(()) };
    let need = NEEDS
        .iter()
        .find(|(method, path, _)| method == request.method() && fits(path, pattern))
        .map(|(_, _, need)| *need);
    if need.is_none_or(|need| need.is_met_by(actor)) {
        return Ok(());
    }
    let detail = "The account has no right to this operation.";
    Err(Problem::new(ErrorKind::Forbidden, "forbidden", detail))
}

/// Whether a row is about the operation with that pattern.
fn fits(row: &str, pattern: &str) -> bool {
    let mut asked = pattern.split('/');
    let same = row.split('/').all(|part| {
        asked.next().is_some_and(|asked| match part {
            "*" => asked.starts_with([':', '<', '{']),
            part => part == asked,
        })
    });
    same && asked.next().is_none()
}
