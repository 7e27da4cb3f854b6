//! Opening what the server and the commands beside it stand on: the data
//! folder, the keys and the database.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use keyring::Keyring;
use objects::StoredObjects;
use ports::{Env, Ids as _, Sealer as _};
use postgres::{
    Pg,
    cluster::{Cluster, Durability},
    core::{ConnectionSettings, DatabaseConnection},
};
use rustix::fs::Mode;

use crate::{
    config::Config,
    system::{SystemClock, SystemIds},
};

/// The name of the database in the private cluster.
const DATABASE: &str = "salus";

pub struct Foundation {
    pub env: Env,
    pub pg: Pg,
    pub keyring: Arc<Keyring>,
    pub objects: Arc<StoredObjects>,
    pub cluster: Option<Arc<Cluster>>,
    /// The data folder, absolute.
    pub data_dir: PathBuf,
}

/// The file of the demo accounts' password, in the data folder.
pub const DEMO_PASSWORD: &str = "demo-password";

/// The demo accounts' password of this data folder; it is made at the first
/// call, and only the owner of the folder reads it.
pub fn demo_password(data_dir: &Path) -> anyhow::Result<String> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};
    let path = data_dir.join(DEMO_PASSWORD);
    if let Ok(password) = std::fs::read_to_string(&path) {
        return Ok(password.trim().to_owned());
    }
    data_folder(data_dir)?;
    let password: String =
        SystemIds.secret()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(password.as_bytes())?;
    Ok(password)
}

/// The data folder. Where root runs the server, the private cluster below it
/// runs as another user, who walks through the folder and cannot list it.
fn data_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    closed_folder(folder, if is_root { 0o711 } else { 0o700 })
}

/// From here on every file of this process is for its user alone, whatever
/// writes it: an object, a lock, a document of a library. PostgreSQL's user
/// reads none of them, and walks through the data folder, which is made first.
pub fn close_files(data_dir: &Path) -> anyhow::Result<()> {
    data_folder(data_dir)?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    Ok(())
}

/// The system's own clock and ids.
pub fn env() -> Env {
    Env { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds) }
}

/// Makes the folder where there is none, and closes it to others.
pub fn closed_folder(folder: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("closing {} to others", folder.display()))
}

/// The demo accounts' password where a server has made one.
pub fn existing_demo_password(data_dir: &Path) -> Option<String> {
    let password = std::fs::read_to_string(data_dir.join(DEMO_PASSWORD)).ok()?;
    Some(password.trim().to_owned())
}

/// Who opens the database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// A server, which has the private cluster to itself.
    Server,
    /// A command that may be the first to use the data folder. It borrows the
    /// cluster of a server that runs.
    Setup,
    /// A command that looks at what is there, and makes nothing.
    Command,
    /// The command that migrates.
    Owner,
}

impl Foundation {
    pub async fn open(config: &Config, who: As) -> anyhow::Result<Self> {
        if who == As::Command
            && config.database.url.is_empty()
            && !Cluster::exists(&config.data_dir)
        {
            anyhow::bail!(
                "there is no data of Salus in {}; name the server's folder with --data-dir",
                config.data_dir.display()
            );
        }
        data_folder(&config.data_dir)?;
        let data_dir = config.data_dir.canonicalize()?;
        closed_folder(&data_dir.join("objects"), 0o700)?;
        let keyring = Arc::new(Keyring::open_or_create(data_dir.join("keys"))?);
        let objects = Arc::new(StoredObjects::in_folder(data_dir.join("objects"))?);
        let env = env();
        let (cluster, url) = if config.database.url.is_empty() {
            let folder = data_dir.clone();
            let cluster = tokio::task::spawn_blocking(move || match who {
                As::Server => Cluster::start(&folder, Durability::Full),
                As::Setup | As::Command | As::Owner => Cluster::open(&folder, Durability::Full),
            })
            .await??;
            cluster.ensure_database(DATABASE)?;
            let url = match who {
                As::Owner => cluster.owner_url(DATABASE),
                As::Server | As::Setup | As::Command => cluster.url(DATABASE),
            };
            (Some(Arc::new(cluster)), url)
        } else {
            (None, config.database.url.expose().to_owned())
        };
        if let (As::Server | As::Setup, Some(cluster)) = (who, &cluster) {
            let owner = connect(cluster.owner_url(DATABASE), 2).await?;
            migrate(&owner, Cluster::SERVER).await?;
            owner.close().await?;
        }
        let pool = connect(url, config.database.max_connections).await?;
        if matches!(who, As::Server | As::Setup) && cluster.is_none() {
            prepare_given(config, &pool).await?;
        }
        if matches!(who, As::Server | As::Setup) {
            check_keys(&pool, &keyring, &data_dir, true).await?;
        }
        let pg = Pg::new(pool, env.clone(), keyring.clone());
        Ok(Self { env, pg, keyring, objects, cluster, data_dir })
    }

    /// Does a command's work and closes again, whether or not it succeeded: a
    /// command that fails leaves no cluster running behind it.
    pub async fn within<T>(
        config: &Config,
        who: As,
        work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let foundation = Self::open(config, who).await?;
        let done = async {
            if who == As::Command {
                let pool = foundation.pg.pool();
                check_schema(pool).await?;
                check_keys(pool, &foundation.keyring, &foundation.data_dir, false).await?;
            }
            work(&foundation).await
        }
        .await;
        let closed = foundation.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }

    /// Closes the pool and stops a private cluster that this process owns.
    pub async fn close(self) -> anyhow::Result<()> {
        let Self { pg, cluster, .. } = self;
        pg.pool().clone().close().await?;
        if let Some(cluster) = cluster {
            tokio::task::spawn_blocking(move || cluster.stop()).await??;
        }
        Ok(())
    }
}

async fn connect(url: String, max_connections: u32) -> anyhow::Result<DatabaseConnection> {
    Ok(postgres::core::Pg::connect(&ConnectionSettings { url, max_connections }).await?)
}

/// Brings the schema up to date, and lets the server's role in.
pub async fn migrate(owner: &DatabaseConnection, server_role: &str) -> anyhow::Result<()> {
    let role = postgres::core::Pg::role(owner).await?;
    postgres::core::Pg::migrate(owner).await.with_context(|| {
        format!("migrating as the role {role}, which has to own the database and its tables")
    })?;
    if role == server_role {
        anyhow::bail!(
            "the schema is up to date, but the role that migrates is that of the server; \
             migrate as the database's owner"
        );
    }
    postgres::core::Pg::admit(owner, server_role).await.with_context(|| {
        format!("letting in the role {server_role}; where it is not there, create it with LOGIN")
    })
}

/// A database that was given is migrated by its owner beforehand. Outside
/// production the owner may serve as well, and then migrates by itself.
async fn prepare_given(config: &Config, pool: &DatabaseConnection) -> anyhow::Result<()> {
    let faults = postgres::core::Pg::role_faults(pool).await?;
    if !faults.is_empty() && config.is_production() {
        anyhow::bail!(
            "production does not serve with a role that could take down its own walls: {}; \
             see \"Database roles\" in docs/operations.md",
            faults.join("; ")
        );
    }
    if !faults.is_empty() {
        tracing::warn!(faults = faults.join("; "), "production would not serve with this role");
    }
    match check_schema(pool).await {
        Err(lacks) if !faults.is_empty() => {
            postgres::core::Pg::migrate(pool).await.with_context(|| lacks.to_string())
        }
        checked => checked,
    }
}

/// Refuses the keys of another database: nothing would open with them, and what
/// they chain of the audit log would never verify.
async fn check_keys(
    pool: &DatabaseConnection,
    keyring: &Keyring,
    data_dir: &Path,
    take: bool,
) -> anyhow::Result<()> {
    let mark = keyring.blind_index("keyring", "mark")?;
    if !postgres::core::Pg::belongs_to(pool, &mark.0, take).await? {
        anyhow::bail!(
            "the keys in {} are not those of this database; name the folder that its server \
             uses with --data-dir, or restore `keys` from the backup",
            data_dir.join("keys").display()
        );
    }
    Ok(())
}

/// Refuses a database whose schema is not that of this version.
async fn check_schema(pool: &DatabaseConnection) -> anyhow::Result<()> {
    let state = postgres::core::Pg::migration_state(pool)
        .await
        .context("reading the state of the schema; `salus migrate` lets the server's role in")?;
    if state.applied == 0 {
        anyhow::bail!("the database holds no schema of Salus; run `salus migrate` first");
    }
    if !state.pending.is_empty() {
        anyhow::bail!(
            "the database lacks {} migrations of this version; run `salus migrate` first",
            state.pending.len()
        );
    }
    Ok(())
}
