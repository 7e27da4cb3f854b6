//! The HTTP surface: every context's operations with what they work with.

use std::sync::Arc;

use analytics::ReportSettings;
use async_trait::async_trait;
use billing::InvoiceRenderer;
use fhir::FhirServer;
use identity::{IdentityError, Services};
use kernel::{Actor, ActorKind, RequestContext};
use pharmacy::fulfilment::CarrierWebhooks;
use poem::{Endpoint, Route};
use ports::{AuditAction, AuditEntry, Env, UnitOfWork as _};
use postgres::{Pg, core::sharing};
use rest::{
    access::AccessApi,
    analytics::AnalyticsApi,
    billing::{BillingTasksApi, InvoicesApi, PaymentMethodsApi, StripeWebhookApi},
    care::{
        AssessmentsApi, AssignmentApi, BreakGlassApi, ConsultationsApi, DosingApi, HandoverApi,
        InformationApi, PlansApi as TreatmentPlansApi, PortalApi, ReplaysApi, RequirementsApi,
        ReviewsApi, RulesApi, SettingsApi, TasksApi, VideoWebhookApi, WholeReviewApi,
    },
    catalog::{ArticlesApi, CategoriesApi, FlagsApi, PlansApi},
    communication::{MessagesApi, NotificationsApi},
    compliance::{ComplianceApi, UnreadNoticesApi},
    core::{
        Authenticator, DenialLog, Dialect, Limits, PhotoLimit, Problem, Surround, request_context,
    },
    fulfilment::{CarrierWebhookApi, DispatchApi, HeldFillsApi, InventoryApi, ShipmentsApi},
    identity::IdentityApi,
    intake::{
        DraftsApi, FormsAdminApi, FormsApi, FormsFhirApi, IntakeServices, PhotosApi, ResponsesApi,
    },
    prescriptions::{ErxWebhookApi, PharmaciesApi, PrescriptionsApi, WebhookCredential},
    records::RecordsApi,
    subscriptions::{MissedPeriodsApi, SubscriptionsApi},
    surface::SurfaceSettings,
};

use super::{World, vendors::Vendors};
use crate::{
    bridges::Files,
    config::Config,
    health::{self, Health},
};

/// Every context's operations.
pub type Operations = (
    IdentityApi,
    (CategoriesApi, PlansApi, FlagsApi, ArticlesApi),
    (FormsApi, FormsAdminApi, FormsFhirApi, DraftsApi, PhotosApi, ResponsesApi),
    (
        ReviewsApi,
        WholeReviewApi,
        HandoverApi,
        AssessmentsApi,
        TreatmentPlansApi,
        DosingApi,
        InformationApi,
        BreakGlassApi,
        ConsultationsApi,
        VideoWebhookApi,
    ),
    (RulesApi, ReplaysApi, RequirementsApi, SettingsApi, AssignmentApi, TasksApi, PortalApi),
    (PrescriptionsApi, PharmaciesApi, ErxWebhookApi),
    (DispatchApi, HeldFillsApi, InventoryApi, ShipmentsApi, CarrierWebhookApi),
    (SubscriptionsApi, MissedPeriodsApi, AccessApi),
    (PaymentMethodsApi, InvoicesApi, BillingTasksApi, StripeWebhookApi),
    (MessagesApi, NotificationsApi),
    RecordsApi,
    AnalyticsApi,
    (ComplianceApi, UnreadNoticesApi),
);

pub struct Surface {
    operations: Operations,
    fhir: FhirServer,
    authenticator: Arc<dyn Authenticator>,
    denials: Arc<dyn DenialLog>,
    limits: Arc<Limits>,
}

/// The audit log as the surface writes to it.
struct Denials(Pg);

#[async_trait]
impl DenialLog for Denials {
    async fn denied(&self, actor: &Actor, operation: &str) -> ports::Result<()> {
        let mut tx = self.0.open(actor).await?;
        tx.audit(AuditEntry::new(AuditAction::Execute, "operation", operation).denied());
        Box::new(tx).commit().await
    }
}

/// Tokens as the operations check them.
struct Tokens(Services);

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem> {
        of_an_account(identity::authenticate(&self.0, token, request).await?)
    }

    async fn authenticate_to_enrol(
        &self,
        token: &str,
        request: RequestContext,
    ) -> Result<Actor, Problem> {
        of_an_account(identity::authenticate_to_enrol(&self.0, token, request).await?)
    }
}

/// The tokens of FHIR clients are for the FHIR surface and nothing else.
fn of_an_account(actor: Actor) -> Result<Actor, Problem> {
    if matches!(actor.kind, ActorKind::Client { .. }) {
        return Err(IdentityError::InvalidToken.into());
    }
    Ok(actor)
}

impl Surface {
    pub fn new(config: &Config, world: &Arc<World>, vendors: &Vendors) -> Self {
        let env = || world.env.clone();
        let store = Arc::new(world.pg.clone());
        let bridges = &world.bridges;
        let renderer: Arc<dyn InvoiceRenderer> = Arc::new(documents::TypstInvoices::default());
        let webhooks: Arc<dyn CarrierWebhooks> = vendors.carrier_webhooks.clone();
        let intake = IntakeServices {
            env: env(),
            store: store.clone(),
            surroundings: bridges.clone(),
            panel: store.clone(),
            vault: world.photos.clone(),
            photo_limit: PhotoLimit(config.server.photo_limit),
        };
        let limits = Arc::new(Limits::new(config.limits.quotas(), bridges.clone()));
        let operations: Operations = (
            rest::identity::apis(&world.identity),
            (
                CategoriesApi { env: env(), store: store.clone(), shown: world.shown.clone() },
                PlansApi { env: env(), store: store.clone() },
                FlagsApi { env: env(), store: store.clone(), rollout: world.rollout.clone() },
                ArticlesApi { env: env(), store: store.clone(), audience: bridges.clone() },
            ),
            intake.apis(),
            (
                ReviewsApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                WholeReviewApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                HandoverApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                AssessmentsApi { store: store.clone() },
                TreatmentPlansApi {
                    env: env(),
                    store: store.clone(),
                    sources: world.sources.clone(),
                },
                DosingApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                InformationApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                BreakGlassApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                ConsultationsApi {
                    env: env(),
                    store: store.clone(),
                    sources: world.sources.clone(),
                    rooms: world.video.clone(),
                },
                VideoWebhookApi {
                    env: env(),
                    store: store.clone(),
                    rooms: world.video.clone(),
                    unread: store.clone(),
                },
            ),
            (
                RulesApi { env: env(), store: store.clone(), forms: bridges.clone() },
                ReplaysApi { store: store.clone() },
                RequirementsApi { catalog: store.clone(), care: store.clone() },
                SettingsApi { store: store.clone(), categories: bridges.clone() },
                AssignmentApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                TasksApi { env: env(), store: store.clone(), sources: world.sources.clone() },
                PortalApi {
                    env: env(),
                    store: store.clone(),
                    sources: world.sources.clone(),
                    inbox: bridges.clone(),
                },
            ),
            (
                PrescriptionsApi {
                    env: env(),
                    store: store.clone(),
                    ports: world.prescribing.clone(),
                    panel: store.clone(),
                },
                PharmaciesApi { env: env(), store: store.clone(), people: bridges.clone() },
                ErxWebhookApi {
                    env: env(),
                    store: store.clone(),
                    network: world.erx.clone(),
                    credential: WebhookCredential::basic(
                        &config.erx.inbound_username,
                        config.erx.inbound_password.expose(),
                    ),
                    unread: store.clone(),
                },
            ),
            (
                DispatchApi { env: env(), store: store.clone(), checks: world.fill_checks.clone() },
                HeldFillsApi {
                    env: env(),
                    store: store.clone(),
                    panel: store.clone(),
                    checks: world.fill_checks.clone(),
                },
                InventoryApi { env: env(), store: store.clone() },
                ShipmentsApi { env: env(), store: store.clone() },
                CarrierWebhookApi {
                    env: env(),
                    store: store.clone(),
                    webhooks,
                    unread: store.clone(),
                },
            ),
            (
                SubscriptionsApi {
                    env: env(),
                    store: store.clone(),
                    approvals: bridges.clone(),
                    prices: bridges.clone(),
                    zones: bridges.clone(),
                    methods: bridges.clone(),
                },
                MissedPeriodsApi { env: env(), store: store.clone(), approvals: bridges.clone() },
                AccessApi {
                    env: env(),
                    store: store.clone(),
                    offers: bridges.clone(),
                    approvals: bridges.clone(),
                    limits: limits.clone(),
                },
            ),
            (
                PaymentMethodsApi {
                    env: env(),
                    store: store.clone(),
                    gateway: world.gateway.clone(),
                    subscriptions: bridges.clone(),
                },
                InvoicesApi { store: store.clone(), renderer },
                BillingTasksApi { env: env(), store: store.clone() },
                StripeWebhookApi {
                    env: env(),
                    store: store.clone(),
                    verifier: vendors.notices.clone(),
                    unread: store.clone(),
                },
            ),
            (
                MessagesApi { env: env(), store: store.clone(), care_team: bridges.clone() },
                NotificationsApi {
                    env: env(),
                    store: store.clone(),
                    templates: world.templates.clone(),
                },
            ),
            RecordsApi { env: env(), store: store.clone(), mapper: world.mapper.clone() },
            AnalyticsApi {
                env: env(),
                store: store.clone(),
                catalog: store.clone(),
                settings: ReportSettings {
                    minimum_cell: ReportSettings::MINIMUM_CELL,
                    zone: config.practice.state.zone(),
                },
            },
            (
                ComplianceApi { store: store.clone() },
                UnreadNoticesApi { env: env(), store: store.clone() },
            ),
        );
        let fhir = FhirServer {
            files: Arc::new(Files { intake: store.clone(), vault: world.photos.clone() }),
            store: store.clone(),
            panel: store,
            identity: Arc::new(world.identity.clone()),
            base_url: format!("{}/fhir", config.public_url()),
            token_url: world.identity.policy.token_url.clone(),
            context: request_context,
        };
        let authenticator = Arc::new(Tokens(world.identity.clone()));
        let denials = Arc::new(Denials(world.pg.clone()));
        Self { operations, fhir, authenticator, denials, limits }
    }

    pub fn endpoint(
        self,
        config: &Config,
        env: Env,
        health: Arc<Health>,
    ) -> anyhow::Result<impl Endpoint + 'static> {
        let beside = health::routes(health, Route::new().nest("/fhir", fhir::routes(self.fhir)));
        Ok(rest::surface::endpoint(
            self.operations,
            beside,
            SurfaceSettings {
                public_url: config.public_url(),
                cors_origins: config.server.cors_origins.clone(),
                surround: Surround {
                    env,
                    proxies: config.server.proxies()?,
                    dialect: Some(Dialect { below: "/fhir", refuse: fhir::refuse }),
                    body_limit: config.server.body_limit,
                    photo_limit: PhotoLimit(config.server.photo_limit),
                    pace: config.server.connections.pace(),
                    denials: self.denials,
                    limits: self.limits,
                    // What one request reads for several contexts is one transaction.
                    within: |answer| {
                        Box::pin(async {
                            let (answer, recorded) = sharing(answer).await;
                            recorded.map_err(Problem::from).map(|()| answer)
                        })
                    },
                },
                authenticator: self.authenticator,
            },
        ))
    }
}
