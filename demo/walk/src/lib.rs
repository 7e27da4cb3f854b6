//! The demo: synthetic people walk the whole journey against a running server,
//! over HTTP alone, with the vendors' emulators as the world outside.

pub mod client;
pub mod form;
mod people;
mod report;
mod steps;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kernel::Uuid;
use ports::Env;
use serde_json::Value;

use self::{client::Client, people::Person, report::Report};

/// One person on the way.
#[derive(Clone)]
pub struct Walk {
    pub person: Person,
    pub email: String,
    pub password: String,
    pub token: String,
    pub patient_id: String,
    pub category_id: String,
    pub response_id: String,
    /// `auto_approved`, `in_review` or `refused`.
    pub outcome: String,
    pub assessment_id: String,
    /// The provider who treats, by the provider's id.
    pub provider_id: String,
    pub plan_id: String,
    pub subscription_id: String,
    pub invoice_id: String,
    pub prescription_id: String,
    /// `active` once the pharmacy has verified it, `blocked` where an alert
    /// stands in the way.
    pub prescription_status: String,
}

impl Walk {
    /// Whether this person goes on after eligibility and review.
    fn treated(&self) -> bool {
        !self.plan_id.is_empty()
    }

    fn dispensed(&self) -> bool {
        self.prescription_status == "active"
    }
}

pub struct Staff {
    pub account_id: String,
    pub token: String,
    /// The states of the provider's licenses.
    pub states: Vec<String>,
}

/// The world as the steps see it.
pub struct World {
    pub client: Client,
    pub env: Env,
    /// Tells the e-mail addresses and keys of one run from another's.
    pub run: String,
    pub out: PathBuf,
    pub password: String,
    pub walks: Vec<Walk>,
    pub providers: Vec<Staff>,
    pub auditor: Option<Staff>,
    pub admin: Option<Staff>,
    pub report: Report,
    /// How to ask `salus audit verify` where the server's data folder is here.
    pub data_dir: Option<PathBuf>,
}

impl World {
    /// The same for the same step of the same run, and telling nothing of whom
    /// it is about.
    pub fn key(&self, what: &str, who: &str) -> String {
        let name = format!("demo-{}-{what}-{who}", self.run);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
    }

    async fn get(&self, path: String, token: &str) -> anyhow::Result<Value> {
        self.client.get(path.clone()).token(token).send().await?.expect(200, &path)?.json()
    }

    fn save(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.out.join(name);
        private(&path, bytes).with_context(|| format!("writing {}", path.display()))
    }
}

/// A folder that only its owner enters, made or tightened.
fn closed_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Writes what only its owner is to read, as tokens and charts are.
fn private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// Walks all ten steps; `Ok(false)` when one of them did not hold.
pub async fn walk(
    env: Env,
    client: Client,
    out: &Path,
    password: String,
    data_dir: Option<PathBuf>,
) -> anyhow::Result<bool> {
    closed_folder(out).with_context(|| format!("making the folder {}", out.display()))?;
    let run = env.ids.uuid().simple().to_string()[20..].to_owned();
    let mut world = World {
        env,
        client,
        walks: people::all(&run)?,
        run,
        out: out.to_owned(),
        password,
        providers: Vec::new(),
        auditor: None,
        admin: None,
        report: Report::default(),
        data_dir,
    };
    steps::run(&mut world).await
}
