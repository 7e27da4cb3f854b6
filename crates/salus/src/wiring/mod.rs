//! Wiring: every port meets its adapter here, and nowhere else.

mod handlers;
mod surface;
mod vendors;

use std::sync::Arc;

use ::billing::{Party, PaymentGateway, RetryPolicy, invoicing::Billing};
use ::care::{Sources, VideoRooms};
use ::catalog::{Rollout, Shown};
use ::communication::{MailSettings, Mailer, Templates, mailing::PostOffice};
use ::identity::{Policy, Services, passkey::Authenticators};
use ::intake::PhotoVault;
use ::pharmacy::{
    dispatch::checks::FillChecks, erx::ErxNetwork, fulfilment::Carriers,
    prescription::write::PrescribingPorts, safety::CuratedInteractions,
};
use ::records::FhirMapper;
use keyring::{Argon2Passwords, BreachList, SigningKeyFolder};
use ports::{Env, Registry};
use postgres::Pg;

pub use self::surface::{Operations, Surface};
use self::vendors::Vendors;
use crate::{
    bridges::{Bridges, identity::MailServerReach},
    config::Config,
    store::Foundation,
};

/// All that handlers and jobs work with.
pub struct World {
    pub env: Env,
    pub pg: Pg,
    pub bridges: Arc<Bridges>,
    pub rollout: Rollout,
    pub shown: Shown,
    pub identity: Services,
    pub sources: Sources,
    pub photos: PhotoVault,
    pub prescribing: PrescribingPorts,
    pub fill_checks: FillChecks,
    pub mapper: Arc<dyn FhirMapper>,
    pub templates: Arc<Templates>,
    pub seller: Party,
    pub retry: RetryPolicy,
    pub gateway: Arc<dyn PaymentGateway>,
    pub erx: Arc<dyn ErxNetwork>,
    pub video: Arc<dyn VideoRooms>,
    pub carriers: Arc<dyn Carriers>,
    pub mailer: Arc<dyn Mailer>,
}

impl World {
    pub fn billing(&self) -> Billing<'_> {
        Billing {
            catalogue: self.bridges.as_ref(),
            customers: self.bridges.as_ref(),
            seller: &self.seller,
        }
    }

    pub fn post_office(&self) -> PostOffice<'_> {
        PostOffice {
            mailer: self.mailer.as_ref(),
            recipients: self.bridges.as_ref(),
            links: self.bridges.as_ref(),
            templates: &self.templates,
        }
    }
}

/// The server's two halves: what answers requests, and what runs after them.
pub struct Wiring {
    pub surface: Surface,
    pub registry: Arc<Registry>,
    /// For what the other nodes tell of identity.
    pub identity: Services,
    /// And of the feature flags and the categories.
    pub rollout: Rollout,
    pub shown: Shown,
}

impl Wiring {
    pub async fn build(config: &Config, foundation: &Foundation) -> anyhow::Result<Self> {
        let vendors = Vendors::connect(config, &foundation.env)?;
        let world = Arc::new(world(config, foundation, &vendors)?);
        let registry = Arc::new(handlers::register(&world));
        foundation.pg.subscribe(Box::new(registry.interests()))?;
        let surface = Surface::new(config, &world, &vendors);
        let (identity, rollout) = (world.identity.clone(), world.rollout.clone());
        Ok(Self { surface, registry, identity, rollout, shown: world.shown.clone() })
    }
}

/// Identity's services, which the seeds use as well.
pub fn identity_services(config: &Config, foundation: &Foundation) -> anyhow::Result<Services> {
    let mut policy = Policy::new(&config.public_url());
    config.identity.apply(&mut policy);
    let mut services = Services::new(
        foundation.env.clone(),
        Arc::new(foundation.pg.clone()),
        foundation.keyring.clone(),
        Arc::new(Argon2Passwords::new(foundation.env.ids.clone())?),
        Arc::new(SigningKeyFolder::open_or_create(foundation.data_dir.join("signing"))?),
        policy,
    )
    .with_hearing(foundation.pg.hearing().clone());
    if let Some(origin) = config.identity.passkey_origin(&config.public_url()) {
        services = services.with_authenticators(Authenticators::new(&origin)?);
    }
    if let Some(path) = &config.identity.breached_passwords {
        services = services.with_breaches(Arc::new(BreachList::open(path)?));
    }
    Ok(services)
}

/// What one context learns of another, from the stores.
pub fn bridges(config: &Config, foundation: &Foundation, identity: Services) -> Bridges {
    let store = Arc::new(foundation.pg.clone());
    Bridges {
        env: foundation.env.clone(),
        practice: config.practice.clone(),
        identity,
        panel: store.clone(),
        billing: store.clone(),
        catalog: store.clone(),
        intake: store.clone(),
        care: store.clone(),
        communication: store.clone(),
        prescriptions: store.clone(),
        fulfilment: store.clone(),
        subscriptions: store.clone(),
        records: store,
    }
}

fn world(config: &Config, foundation: &Foundation, vendors: &Vendors) -> anyhow::Result<World> {
    let (env, pg) = (foundation.env.clone(), foundation.pg.clone());
    let reach = MailServerReach::new(vendors.mailer.clone());
    let identity = identity_services(config, foundation)?.with_reach(Arc::new(reach));
    let bridges = Arc::new(bridges(config, foundation, identity.clone()));
    let url = config.public_url();
    let templates = Templates::new(MailSettings {
        product: "Salus".to_owned(),
        sign_in_url: format!("{url}/sign-in"),
        preferences_url: format!("{url}/preferences"),
        message_id_domain: host(&url),
    })?;
    Ok(World {
        rollout: Rollout::new(bridges.catalog.clone(), bridges.clone(), pg.hearing().clone()),
        shown: Shown::new(bridges.catalog.clone(), pg.hearing().clone()),
        sources: Sources {
            intake: bridges.clone(),
            facts: bridges.clone(),
            directory: bridges.clone(),
            covers: bridges.clone(),
            safety: bridges.clone(),
        },
        photos: PhotoVault::new(foundation.objects.clone(), foundation.keyring.clone()),
        prescribing: PrescribingPorts {
            plans: bridges.clone(),
            prescribers: bridges.clone(),
            patients: bridges.clone(),
            record: bridges.clone(),
            interactions: Arc::new(CuratedInteractions),
        },
        fill_checks: FillChecks {
            circumstances: bridges.clone(),
            record: bridges.clone(),
            interactions: Arc::new(CuratedInteractions),
        },
        mapper: Arc::new(fhir::mapping::R4Mapper),
        templates: Arc::new(templates),
        seller: Party {
            name: config.practice.name.clone(),
            address: Some(config.practice.address()),
            email: None,
            tax_id: None,
        },
        retry: RetryPolicy::default(),
        gateway: vendors.gateway.clone(),
        erx: vendors.erx.clone(),
        video: vendors.video.clone(),
        carriers: vendors.carriers.clone(),
        mailer: vendors.mailer.clone(),
        env,
        pg,
        bridges,
        identity,
    })
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest).to_owned()
}
