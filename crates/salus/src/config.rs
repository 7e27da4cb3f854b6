//! Configuration: defaults, then a TOML file, then the environment
//! (`SALUS_SERVER__LISTEN` sets `server.listen`). A key that is not known is an
//! error, so that a misspelt one is not silently ignored.

mod edge;
mod identity;
mod places;
mod serving;

use std::{fmt, num::NonZeroU32, path::PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Env, Format as _, Serialized, Toml},
    value::{Dict, Map, Value},
};
use rest::core::{ProxyHeader, Quotas};
use serde::{Deserialize, Serialize};

pub use self::edge::Connections;
pub use self::identity::{Identity, PatientSession, StaffSession};

/// A value that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "\"[redacted]\"" })
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "[redacted]" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Development,
    /// Refuses emulators, demo seeds, plain HTTP towards vendors and staff
    /// without a second factor.
    Production,
}

/// A vendor that has an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Emulated {
    Stripe,
    Erx,
    OpenTok,
    EasyPost,
    Smtp,
}

impl Emulated {
    pub const ALL: [Self; 5] = [Self::Stripe, Self::Erx, Self::OpenTok, Self::EasyPost, Self::Smtp];

    /// The name of its part of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Erx => "erx",
            Self::OpenTok => "opentok",
            Self::EasyPost => "easypost",
            Self::Smtp => "smtp",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Production where nothing is said, unless the server is a demo.
    pub environment: Option<Environment>,
    /// Where the private cluster, the keys, the objects and the emulators'
    /// state lie.
    pub data_dir: PathBuf,
    /// Vendors that are emulated, as in `["stripe", "opentok"]`; their emulators
    /// take the keys and secrets that the configuration has. A demo also
    /// emulates each vendor without a key, or without an address where it is
    /// known by one.
    pub emulators: Vec<Emulated>,
    pub server: Server,
    pub database: Database,
    pub jobs: Jobs,
    pub limits: RateLimits,
    pub identity: Identity,
    pub stripe: Stripe,
    pub erx: Erx,
    pub opentok: OpenTok,
    pub easypost: EasyPost,
    pub smtp: Smtp,
    pub practice: Practice,
    pub telemetry: Telemetry,
    pub demo: Demo,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub listen: String,
    /// Where `/metrics` and the detailed `/health` are served, for operators
    /// alone; on loopback, at the port after that of `listen`, where it is
    /// empty.
    pub internal_listen: String,
    /// The address under which clients, patients' mails and vendors reach this
    /// server; taken from `listen` when it is empty.
    pub public_url: String,
    /// The networks of the proxies that requests come through, as in
    /// `["10.0.0.0/8"]`.
    pub trusted_proxies: Vec<String>,
    /// Or how many proxies a request passes, where their addresses change.
    pub proxy_hops: usize,
    /// The header that the proxies write: `x-forwarded-for` or `forwarded`.
    pub proxy_header: ProxyHeader,
    /// Replaced by the three above; whoever still sets it is told.
    #[serde(skip_serializing)]
    pub trust_proxy: Option<bool>,
    pub connections: Connections,
    pub cors_origins: Vec<String>,
    /// The largest body of a request, in bytes.
    pub body_limit: usize,
    /// The largest photo of a form, in bytes.
    pub photo_limit: usize,
    /// How long requests and jobs may go on once the server stops, in seconds.
    pub drain_seconds: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// A PostgreSQL URL; without one a private cluster is started. `salus
    /// migrate` is given that of the owner, the server that of `server_role`.
    pub url: Secret,
    /// The role that `salus migrate` grants what the server needs.
    pub server_role: String,
    pub max_connections: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    pub concurrency: usize,
    /// How many transactions deliver events at the same time.
    pub consumers: usize,
}

impl Jobs {
    /// The connections of the queue's own, besides those of the database: one
    /// hears of new jobs, and a slot needs one for moments only.
    pub fn connections(&self) -> u32 {
        u32::try_from(self.concurrency / 2 + 2).unwrap_or(u32::MAX)
    }
}

/// How many requests a minute each kind of caller has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Of one address (or IPv6 network) without a token.
    pub anonymous: NonZeroU32,
    /// Of one address where passwords and tokens are given out.
    pub sign_in: NonZeroU32,
    /// Of a patient without a subscription, and with one of each tier.
    pub free: NonZeroU32,
    pub basic: NonZeroU32,
    pub standard: NonZeroU32,
    pub premium: NonZeroU32,
    pub staff: NonZeroU32,
    /// Of an API client.
    pub client: NonZeroU32,
}

impl RateLimits {
    pub fn quotas(&self) -> Quotas {
        Quotas {
            anonymous: self.anonymous,
            sign_in: self.sign_in,
            free: self.free,
            basic: self.basic,
            standard: self.standard,
            premium: self.premium,
            staff: self.staff,
            client: self.client,
        }
    }

    /// For a server whose callers all sit on one machine and walk a whole
    /// journey in seconds.
    pub fn of_a_demo() -> Self {
        let many = per_minute(60_000);
        Self {
            anonymous: many,
            sign_in: many,
            free: many,
            basic: many,
            standard: many,
            premium: many,
            staff: many,
            client: many,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            anonymous: per_minute(300),
            sign_in: per_minute(30),
            free: per_minute(120),
            basic: per_minute(240),
            standard: per_minute(360),
            premium: per_minute(600),
            staff: per_minute(1_200),
            client: per_minute(3_000),
        }
    }
}

const fn per_minute(requests: u32) -> NonZeroU32 {
    match NonZeroU32::new(requests) {
        Some(requests) => requests,
        None => NonZeroU32::MIN,
    }
}

/// Without a secret key a demo uses the vendor's emulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stripe {
    pub secret_key: Secret,
    pub webhook_secret: Secret,
    pub base_url: String,
}

/// Without a base URL a demo uses the network's emulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Erx {
    pub base_url: String,
    pub username: String,
    pub password: Secret,
    /// What the network's callbacks authenticate with.
    pub inbound_username: String,
    pub inbound_password: Secret,
    /// A PEM file of a certificate authority to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// Without an API key a demo uses the vendor's emulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenTok {
    pub api_key: String,
    pub api_secret: Secret,
    pub callback_secret: Secret,
    pub base_url: String,
}

/// Without an API key a demo uses the vendor's emulator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EasyPost {
    pub api_key: Secret,
    pub webhook_secret: Secret,
    pub base_url: String,
}

/// Without a host a demo uses a mail provider's emulator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: Secret,
    /// `none`, `starttls` or `tls`.
    pub security: String,
    pub from: String,
    /// A PEM file of a certificate authority to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// The practice that its providers prescribe from; pharmacies call it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Practice {
    pub name: String,
    pub line1: String,
    pub city: String,
    pub state: kernel::UsState,
    pub postal_code: String,
    pub phone: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// A filter as in `info,salus_care=debug`.
    pub log: String,
    /// `text` or `json`.
    pub log_format: String,
    /// The HTTP endpoint of an OTLP collector; empty for none.
    pub otlp_endpoint: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Demo {
    /// Whether the server seeds demo data when it starts.
    pub seed: bool,
    /// The password of every seeded account.
    pub password: Secret,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            environment: None,
            data_dir: default_data_dir(),
            emulators: Vec::new(),
            server: Server::default(),
            database: Database::default(),
            jobs: Jobs::default(),
            limits: RateLimits::default(),
            identity: Identity::default(),
            stripe: Stripe::default(),
            erx: Erx::default(),
            opentok: OpenTok::default(),
            easypost: EasyPost::default(),
            smtp: Smtp::default(),
            practice: Practice::default(),
            telemetry: Telemetry::default(),
            demo: Demo::default(),
        }
    }
}

/// What `/var/lib` is for when root runs it, and the user's own folder else.
fn default_data_dir() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    if home == std::path::Path::new("/root") {
        return PathBuf::from("/var/lib/salus");
    }
    match std::env::var_os("XDG_DATA_HOME") {
        Some(folder) => PathBuf::from(folder).join("salus"),
        None => home.join(".local/share/salus"),
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            internal_listen: String::new(),
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            proxy_hops: 0,
            proxy_header: ProxyHeader::default(),
            trust_proxy: None,
            connections: Connections::default(),
            cors_origins: Vec::new(),
            body_limit: 1024 * 1024,
            photo_limit: intake::photo::LIMIT,
            drain_seconds: 20,
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            server_role: postgres::cluster::Cluster::SERVER.to_owned(),
            max_connections: 20,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self { concurrency: 8, consumers: 4 }
    }
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            username: String::new(),
            password: Secret::default(),
            security: "starttls".to_owned(),
            from: "Salus <no-reply@salus.example>".to_owned(),
            ca_file: None,
        }
    }
}

impl Default for Practice {
    fn default() -> Self {
        Self {
            name: "Salus Telehealth".to_owned(),
            line1: "1 Example Plaza".to_owned(),
            city: "Boston".to_owned(),
            state: kernel::UsState::Ma,
            postal_code: "02110".to_owned(),
            phone: "+16175550100".to_owned(),
        }
    }
}

impl Practice {
    pub fn address(&self) -> kernel::Address {
        kernel::Address {
            line1: self.line1.clone(),
            line2: None,
            city: self.city.clone(),
            state: self.state,
            postal_code: self.postal_code.clone(),
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log: "info,sqlx=warn,graphile_worker=warn,sea_orm_migration=warn".to_owned(),
            log_format: "text".to_owned(),
            otlp_endpoint: String::new(),
        }
    }
}

impl Config {
    /// Reads the configuration; `file` must exist when it is named.
    pub fn load(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        figment = match file {
            Some(file) => figment.merge(Toml::file_exact(file)),
            None => figment.merge(Toml::file("salus.toml")),
        };
        let env = Env::prefixed("SALUS_").ignore(&["pg_bin", "config", "demo_password"]);
        let mut config: Self =
            figment.merge(Variables::of(&env.split("__"))).extract().map_err(told)?;
        if config.database.url.is_empty()
            && let Ok(url) = std::env::var("DATABASE_URL")
        {
            config.database.url = Secret::new(url);
        }
        config.check()?;
        Ok(config)
    }

    /// Turns the demo's seeds on; their password is that of the configuration
    /// or of the environment, else one that is made once for the data folder.
    pub fn seed_demo(&mut self) -> anyhow::Result<()> {
        self.demo.seed = true;
        if self.limits == RateLimits::default() {
            self.limits = RateLimits::of_a_demo();
        }
        self.server.connections.relax_for_a_demo();
        self.identity.relax_for_a_demo();
        if self.demo.password.is_empty() {
            let password = match std::env::var("SALUS_DEMO_PASSWORD") {
                Ok(password) => password,
                Err(_) => crate::store::demo_password(&self.data_dir)?,
            };
            self.demo.password = Secret::new(password);
        }
        self.check()
    }

    pub fn public_url(&self) -> String {
        if self.server.public_url.is_empty() {
            format!("http://{}", self.server.listen)
        } else {
            self.server.public_url.trim_end_matches('/').to_owned()
        }
    }

    /// Whether an emulator stands in for the vendor: because the configuration
    /// wants one, or because nothing says where or as whom a demo reaches it.
    pub fn is_emulated(&self, vendor: Emulated) -> bool {
        let unreachable = match vendor {
            Emulated::Stripe => self.stripe.secret_key.is_empty(),
            Emulated::Erx => self.erx.base_url.is_empty(),
            Emulated::OpenTok => self.opentok.api_key.is_empty(),
            Emulated::EasyPost => self.easypost.api_key.is_empty(),
            Emulated::Smtp => self.smtp.host.is_empty(),
        };
        (self.demo.seed && unreachable) || self.emulators.contains(&vendor)
    }

    /// The configured address of a vendor and the name of its setting.
    fn address(&self, vendor: Emulated) -> (&'static str, &str) {
        match vendor {
            Emulated::Stripe => ("stripe.base_url", &self.stripe.base_url),
            Emulated::Erx => ("erx.base_url", &self.erx.base_url),
            Emulated::OpenTok => ("opentok.base_url", &self.opentok.base_url),
            Emulated::EasyPost => ("easypost.base_url", &self.easypost.base_url),
            Emulated::Smtp => ("smtp.host", &self.smtp.host),
        }
    }

    /// Refuses what is none, and what does not go together: whatever `serve`
    /// could not run with.
    pub fn check(&self) -> anyhow::Result<()> {
        if !matches!(self.telemetry.log_format.as_str(), "text" | "json") {
            anyhow::bail!("telemetry.log_format is text or json");
        }
        if !matches!(self.smtp.security.as_str(), "none" | "starttls" | "tls") {
            anyhow::bail!("smtp.security is none, starttls or tls");
        }
        self.identity.check()?;
        self.server.check_edge()?;
        places::check(self)?;
        // Every prescription carries it.
        if let Err(wrong) = self.practice.address().validate() {
            let setting = wrong[0].path.replace("address.", "practice.");
            anyhow::bail!("{setting}: {}", wrong[0].message);
        }
        if cfg!(not(feature = "demo")) && (self.demo.seed || !self.emulators.is_empty()) {
            anyhow::bail!(
                "this build has no emulators and no demo data; build with `--features demo`, \
                 or unset emulators and demo.seed"
            );
        }
        for vendor in &self.emulators {
            let (setting, address) = self.address(*vendor);
            if !address.is_empty() {
                anyhow::bail!("emulators names {}, and {setting} is set", vendor.name());
            }
        }
        if self.environment == Some(Environment::Production) && self.demo.seed {
            anyhow::bail!("production does not seed demo data; unset demo.seed");
        }
        if self.demo.seed && self.demo.password.expose().len() < 12 {
            anyhow::bail!("demo.seed needs a demo.password of at least 12 characters");
        }
        Ok(())
    }
}

/// The variables of the environment. Where a setting is a text, its value is
/// taken as it is written, so that a key of digits alone or a password `true`
/// stays what it is.
struct Variables {
    metadata: Metadata,
    /// Names as in `server.listen`, and values.
    pairs: Vec<(String, String)>,
}

impl Variables {
    fn of(env: &Env) -> Self {
        let pairs = env.iter().map(|(name, value)| (name.as_str().to_lowercase(), value)).collect();
        Self { metadata: env.metadata(), pairs }
    }
}

impl Provider for Variables {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let defaults = Figment::from(Serialized::defaults(Config::default()));
        let mut read = Figment::new();
        for (name, text) in &self.pairs {
            let value = match defaults.find_value(name) {
                // A file's name has no default.
                Ok(Value::String(..) | Value::Empty(..)) => Value::from(text.clone()),
                _ => text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}),
            };
            read = read.merge((name.as_str(), value));
        }
        read.data()
    }
}

/// Every fault with the setting that it is in, whatever it came from; figment
/// names the setting only of what stands in a file.
fn told(error: figment::Error) -> anyhow::Error {
    let fault = |error: figment::Error| {
        let source = error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref());
        let source = source.map_or_else(String::new, |source| format!(" in {source}"));
        match error.path.as_slice() {
            [] => format!("{}{source}", error.kind),
            path => format!("{}: {}{source}", path.join("."), error.kind),
        }
    };
    let faults: Vec<String> = error.into_iter().map(fault).collect();
    anyhow::anyhow!("the configuration is not valid: {}", faults.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_setting() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let variables =
                Variables { metadata: Metadata::named("variables"), pairs: pairs.collect() };
            let figment = Figment::from(Serialized::defaults(Config::default()));
            told(figment.merge(variables).extract::<Config>().unwrap_err()).to_string()
        };
        let told = read(&[("server.body_limit", "much")]);
        assert!(told.contains("server.body_limit: "), "{told}");
        let told = read(&[("jobs.concurrency", "-1")]);
        assert!(told.contains("jobs.concurrency: "), "{told}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = Config {
            stripe: Stripe { secret_key: Secret::new("sk_live_1"), ..Stripe::default() },
            ..Config::default()
        };
        let printed = serde_json::to_string(&config).unwrap();
        assert!(printed.contains("[redacted]"));
        assert!(!printed.contains("sk_live_1"));
        assert!(!format!("{config:?}").contains("sk_live_1"));
    }

    #[test]
    fn a_variable_is_read_as_its_setting_is() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let variables =
                Variables { metadata: Metadata::named("variables"), pairs: pairs.collect() };
            Figment::from(Serialized::defaults(Config::default()))
                .merge(variables)
                .extract::<Config>()
                .map_err(|error| error.to_string())
        };
        let config = read(&[
            ("opentok.api_key", "47112233"),
            ("smtp.password", "true"),
            ("demo.password", "[\"a\"]"),
            ("practice.postal_code", "02110"),
            ("practice.state", "NY"),
            ("erx.ca_file", "7"),
            ("smtp.port", "2525"),
            ("server.trusted_proxies", "[10.0.0.0/8]"),
            ("server.proxy_header", "forwarded"),
            ("environment", "development"),
            ("emulators", "[stripe, opentok]"),
        ])
        .unwrap();
        assert_eq!(config.opentok.api_key, "47112233");
        assert_eq!(config.smtp.password.expose(), "true");
        assert_eq!(config.demo.password.expose(), "[\"a\"]");
        assert_eq!(config.practice.postal_code, "02110");
        assert_eq!(config.practice.state, kernel::UsState::Ny);
        assert_eq!(config.erx.ca_file, Some(PathBuf::from("7")));
        assert_eq!(config.smtp.port, 2525);
        assert_eq!(config.server.trusted_proxies, ["10.0.0.0/8"]);
        assert_eq!(config.server.proxy_header, ProxyHeader::Forwarded);
        assert_eq!(config.environment, Some(Environment::Development));
        assert_eq!(config.emulators, [Emulated::Stripe, Emulated::OpenTok]);
        for (name, value) in [("smtp.port", "many"), ("smtp.prot", "25"), ("emulators", "[ups]")] {
            assert!(read(&[(name, value)]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_vendor_is_emulated_when_that_is_wanted_or_a_demo_cannot_reach_it() {
        let emulated = |config: &Config| -> Vec<Emulated> {
            Emulated::ALL.into_iter().filter(|vendor| config.is_emulated(*vendor)).collect()
        };
        assert_eq!(emulated(&Config::default()), []);
        let demo = Demo { seed: true, ..Demo::default() };
        assert_eq!(emulated(&Config { demo: demo.clone(), ..Config::default() }), Emulated::ALL);
        let mut config = Config {
            demo,
            stripe: Stripe { secret_key: Secret::new("sk_test_1"), ..Stripe::default() },
            erx: Erx { base_url: "https://erx.example".to_owned(), ..Erx::default() },
            opentok: OpenTok { api_key: "47".to_owned(), ..OpenTok::default() },
            easypost: EasyPost { api_key: Secret::new("EZTK1"), ..EasyPost::default() },
            smtp: Smtp { host: "smtp.example".to_owned(), ..Smtp::default() },
            ..Config::default()
        };
        assert_eq!(emulated(&config), []);
        config.emulators = vec![Emulated::OpenTok, Emulated::Stripe];
        assert_eq!(emulated(&config), [Emulated::Stripe, Emulated::OpenTok]);
        // A secret alone does not say where to go.
        config.stripe = Stripe { webhook_secret: Secret::new("whsec_1"), ..Stripe::default() };
        config.emulators.clear();
        assert_eq!(emulated(&config), [Emulated::Stripe]);
    }

    #[test]
    fn emulators_are_named_as_their_parts_of_the_configuration_are() {
        for vendor in Emulated::ALL {
            assert_eq!(serde_json::to_value(vendor).unwrap(), vendor.name());
            let part = serde_json::to_value(Config::default()).unwrap();
            assert!(part[vendor.name()].is_object(), "{vendor:?}");
        }
    }

    #[test]
    fn an_emulator_is_not_wanted_where_an_address_is_given() {
        for (vendor, setting) in [
            (Emulated::Stripe, "stripe.base_url"),
            (Emulated::Erx, "erx.base_url"),
            (Emulated::OpenTok, "opentok.base_url"),
            (Emulated::EasyPost, "easypost.base_url"),
            (Emulated::Smtp, "smtp.host"),
        ] {
            let mut config = Config { emulators: vec![vendor], ..Config::default() };
            config.check().unwrap();
            let address = "https://vendor.example".to_owned();
            match vendor {
                Emulated::Stripe => config.stripe.base_url = address,
                Emulated::Erx => config.erx.base_url = address,
                Emulated::OpenTok => config.opentok.base_url = address,
                Emulated::EasyPost => config.easypost.base_url = address,
                Emulated::Smtp => config.smtp.host = address,
            }
            let refused = config.check().unwrap_err().to_string();
            assert!(refused.contains(setting), "{refused}");
        }
    }

    #[test]
    fn production_is_no_demo() {
        let mut config = Config { environment: Some(Environment::Production), ..Config::default() };
        config.demo = Demo { seed: true, password: Secret::new("a password of length") };
        let refused = config.check().unwrap_err().to_string();
        assert!(refused.contains("demo.seed"), "{refused}");
    }
}
