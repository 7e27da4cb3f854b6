//! The private cluster: a PostgreSQL of Salus's own under its data folder, on
//! a Unix socket that nobody else can reach. It is what runs when no database
//! is given. PostgreSQL refuses to run as root, so then it runs as an
//! unprivileged user.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ports::{PortError, Result};
use sha2::{Digest as _, Sha256};

/// The users that PostgreSQL may run as when Salus itself is root, in order.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];
/// The longest path that a Unix socket's address holds, less the file's name.
const LONGEST_SOCKET_FOLDER: usize = 85;
/// How often it is looked whether PostgreSQL runs.
const LOOK: Duration = Duration::from_millis(250);
/// The longest pause between two attempts to start it again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The log names a slow or failed statement without its values and without the
/// details of an error, which quote rows: either may be health data.
const NO_VALUES: &str = "-c log_parameter_max_length=0 -c log_parameter_max_length_on_error=0 \
     -c log_error_verbosity=terse";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every acknowledged commit is on disk.
    Full,
    /// For tests: nothing is flushed.
    None,
}

/// A running private cluster. Call [`Cluster::stop`] to stop it.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    data: PathBuf,
    socket: PathBuf,
    user: Option<SystemUser>,
    /// Held while this process owns the cluster; `None` in one that borrows it
    /// from a running server.
    lock: Option<fs::File>,
    durability: Durability,
    /// Whether it was stopped; held while it is started again, so that neither
    /// happens in the midst of the other.
    stopped: Mutex<bool>,
}

#[derive(Clone, Debug)]
struct SystemUser {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// The role that owns the database and migrates it.
    pub const OWNER: &'static str = "salus";
    /// The role that the server serves with, which owns nothing.
    pub const SERVER: &'static str = "salus_server";

    /// Starts the cluster in `folder`, creating it where there is none. One
    /// that a killed server left running is taken over.
    pub fn start(folder: &Path, durability: Durability) -> Result<Self> {
        let cluster = Self::open(folder, durability)?;
        if cluster.is_borrowed() {
            return Err(PortError::bug(format!(
                "another Salus server uses the data folder {}",
                folder.display()
            )));
        }
        Ok(cluster)
    }

    /// Like [`Cluster::start`], but borrows the cluster of a server that runs;
    /// for commands beside it.
    pub fn open(folder: &Path, durability: Durability) -> Result<Self> {
        let bin = find_binaries()?;
        let user = unprivileged_user(folder)?;
        fs::create_dir_all(folder).map_err(|error| failed("creating the data folder", error))?;
        let folder =
            folder.canonicalize().map_err(|error| failed("finding the data folder", error))?;
        let mut options = fs::File::options();
        let lock = options.create(true).write(true).truncate(true).mode(0o600);
        let lock = lock
            .open(folder.join("cluster.lock"))
            .map_err(|error| failed("creating the cluster's lock", error))?;
        let lock = lock.try_lock().is_ok().then_some(lock);
        let data = folder.join("postgres");
        let socket = socket_folder(&folder);
        if lock.is_none() {
            let stopped = Mutex::new(false);
            let cluster = Self { bin, data, socket, user, lock, durability, stopped };
            if !cluster.running() {
                return Err(PortError::bug("another Salus server is just starting or stopping"));
            }
            return Ok(cluster);
        }
        for path in [&data, &socket] {
            fs::create_dir_all(path).map_err(|error| failed("creating a folder", error))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(|error| failed("closing a folder to others", error))?;
            if let Some(user) = &user {
                chown(path, Some(user.uid), Some(user.gid))
                    .map_err(|error| failed("giving a folder to PostgreSQL's user", error))?;
            }
        }
        let stopped = Mutex::new(false);
        let cluster = Self { bin, data, socket, user, lock, durability, stopped };
        cluster.check_reachable()?;
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.initialise()?;
        }
        if !cluster.running() {
            // One that was stopped took this file along.
            if cluster.data.join("postmaster.pid").exists() {
                cluster.clear_remains()?;
            }
            cluster.launch(true)?;
        }
        cluster.ensure_roles()?;
        Ok(cluster)
    }

    /// Whether a folder holds a cluster.
    pub fn exists(folder: &Path) -> bool {
        folder.join("postgres").join("PG_VERSION").exists() || folder.join("cluster.lock").exists()
    }

    /// The URL of a database of this cluster, as the server's role.
    pub fn url(&self, database: &str) -> String {
        self.url_as(Self::SERVER, database)
    }

    /// The URL as the owner, for migrating.
    pub fn owner_url(&self, database: &str) -> String {
        self.url_as(Self::OWNER, database)
    }

    /// The URL as the cluster's superuser: for tests that tamper.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.socket.display())
    }

    /// The folder of the socket, for `psql -h`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Creates the database unless it exists.
    pub fn ensure_database(&self, name: &str) -> Result<()> {
        let exists = self.sql(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))?;
        if exists.trim().is_empty() {
            self.sql(&format!("CREATE DATABASE \"{name}\" OWNER {}", Self::OWNER))?;
        }
        Ok(())
    }

    /// Whether a running server owns this cluster.
    pub fn is_borrowed(&self) -> bool {
        self.lock.is_none()
    }

    /// Stops the cluster: connections are ended and all is written. A borrowed
    /// one goes on.
    pub fn stop(&self) -> Result<()> {
        if self.is_borrowed() {
            return Ok(());
        }
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        *stopped = true;
        if !self.running() {
            return self.clear_remains();
        }
        self.run("pg_ctl", &["stop", "-m", "fast", "-w", "-t", "60", "-D", &self.data_text()])
            .map(drop)
    }

    /// Stops the cluster and removes its data once this process is gone, however
    /// it ends: a shell waits for the end of a pipe that only this process holds
    /// open. It is for what nobody looks at afterwards.
    pub fn discard_with_this_process(&self) -> Result<()> {
        let script = "cat >/dev/null; \"$0\" stop -m immediate -w -D \"$1\" >/dev/null 2>&1; \
                      rm -rf \"$1\"";
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(self.bin.join("pg_ctl"))
            .arg(&self.data)
            .current_dir("/")
            .process_group(0)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let child = command.spawn().map_err(|error| failed("starting the watcher", error))?;
        // The pipe's end lives as long as this process.
        std::mem::forget(child);
        Ok(())
    }

    fn data_text(&self) -> String {
        self.data.display().to_string()
    }

    fn initialise(&self) -> Result<()> {
        self.run(
            "initdb",
            &[
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
                "-D",
                &self.data_text(),
            ],
        )
        .map(drop)
    }

    /// Starts PostgreSQL again whenever its first process is gone, as after the
    /// system killed it for want of memory; drop it to stop.
    pub async fn keep_up(self: Arc<Self>) -> Infallible {
        let mut pause = LOOK;
        loop {
            tokio::time::sleep(pause).await;
            if self.running() {
                pause = LOOK;
                continue;
            }
            tracing::error!("PostgreSQL of the private cluster is gone; it is started again");
            let cluster = self.clone();
            let revived = tokio::task::spawn_blocking(move || cluster.revive()).await;
            let error = match revived {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = error {
                tracing::error!(error, "PostgreSQL of the private cluster does not start");
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn revive(&self) -> Result<()> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if *stopped || self.running() {
            return Ok(());
        }
        self.clear_remains()?;
        // Recovery can take long, so this does not wait until the database answers.
        // It does wait until the process runs, because only then can it be stopped.
        self.launch(false)?;
        wait_until(Duration::from_secs(1), || self.running())
            .then_some(())
            .ok_or_else(|| PortError::bug("PostgreSQL ended as soon as it was started"))
    }

    /// Ends what a killed PostgreSQL left running, and removes the files that
    /// say it runs. The processes go first: none may write beside a new one.
    /// PostgreSQL itself takes a process for alive that its parent has not yet
    /// heard the end of, and would not start.
    fn clear_remains(&self) -> Result<()> {
        for signal in ["QUIT", "KILL", "KILL"] {
            if self.signal_all(signal)? == 0 {
                break;
            }
            wait_until(Duration::from_millis(1_500), || {
                self.signal_all("0").is_ok_and(|left| left == 0)
            });
        }
        if self.signal_all("0")? > 0 {
            return Err(PortError::bug("processes of the PostgreSQL that was killed do not end"));
        }
        for path in [
            self.data.join("postmaster.pid"),
            self.socket.join(".s.PGSQL.5432"),
            self.socket.join(".s.PGSQL.5432.lock"),
        ] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("removing a file of the PostgreSQL that was killed", error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether PostgreSQL's first process runs. Its number alone does not say
    /// so: after a power cut another process may have it, and one that ended
    /// keeps it until its parent has heard of that.
    fn running(&self) -> bool {
        let Ok(file) = fs::read_to_string(self.data.join("postmaster.pid")) else { return false };
        let process = Path::new("/proc").join(file.lines().next().unwrap_or_default().trim());
        let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
        let Some((name, rest)) = stat.rsplit_once(") ") else { return false };
        if !name.ends_with("(postgres") || rest.starts_with(['Z', 'X']) {
            return false;
        }
        // Its working folder is its data; not everybody may ask for it.
        match fs::read_link(process.join("cwd")) {
            Ok(cwd) => cwd == self.data,
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
    }

    /// Sends a signal to every process of a PostgreSQL on this data, and says
    /// how many there were. It is asked as PostgreSQL's own user, who may see
    /// which folder each of them works in.
    fn signal_all(&self, signal: &str) -> Result<usize> {
        const SCRIPT: &str = "for p in /proc/[0-9]*; do \
             if [ \"$(readlink \"$p/cwd\")\" = \"$1\" ] && [ \"$(cat \"$p/comm\")\" = postgres ]; \
             then kill -\"$2\" \"${p#/proc/}\" && echo \"$p\"; fi; done 2>/dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).arg(&self.data).arg(signal).current_dir("/");
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        let output =
            command.output().map_err(|error| failed("ending what PostgreSQL left", error))?;
        Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Starts PostgreSQL, and waits until it answers or does not wait.
    fn launch(&self, wait: bool) -> Result<()> {
        let flush = match self.durability {
            Durability::Full => "-c fsync=on -c synchronous_commit=on",
            Durability::None => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off",
        };
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c max_connections=200 \
             -c shared_buffers=256MB -c timezone=UTC -c log_min_duration_statement=1000 \
             {NO_VALUES} {flush}",
            self.socket.display()
        );
        let log = self.data.join("server.log").display().to_string();
        let wait = if wait { "-w" } else { "-W" };
        self.run(
            "pg_ctl",
            &["start", wait, "-t", "60", "-D", &self.data_text(), "-l", &log, "-o", &options],
        )
        .map(drop)
    }

    fn ensure_roles(&self) -> Result<()> {
        let roles = self.sql("SELECT rolname FROM pg_roles")?;
        let roles: Vec<_> = roles.lines().map(str::trim).collect();
        for (role, rights) in [(Self::OWNER, "CREATEDB"), (Self::SERVER, "NOCREATEDB")] {
            if !roles.contains(&role) {
                self.sql(&format!("CREATE ROLE {role} LOGIN NOSUPERUSER {rights}"))?;
            }
        }
        Ok(())
    }

    fn sql(&self, statement: &str) -> Result<String> {
        let socket = self.socket.display().to_string();
        let output = self.run(
            "psql",
            &["-h", &socket, "-U", "postgres", "-d", "postgres", "-X", "-A", "-t", "-c", statement],
        )?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// PostgreSQL's user must be able to walk to its folder.
    fn check_reachable(&self) -> Result<()> {
        let Some(user) = &self.user else { return Ok(()) };
        let status = Command::new("test")
            .arg("-w")
            .arg(&self.data)
            .current_dir("/")
            .uid(user.uid)
            .gid(user.gid)
            .status()
            .map_err(|error| failed("asking whether PostgreSQL reaches its folder", error))?;
        if status.success() {
            return Ok(());
        }
        Err(PortError::bug(format!(
            "PostgreSQL does not run as root, and the user it runs as cannot reach {}; \
             choose a data folder below one that others may enter, as in /var/lib/salus",
            self.data.display()
        )))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let output = self.output(program, arguments)?;
        if output.status.success() {
            return Ok(output);
        }
        Err(PortError::bug(format!(
            "{program} failed: {}{}",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        )))
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(self.bin.join(program));
        // A process group of its own keeps Ctrl-C from stopping PostgreSQL
        // before the server has drained its requests.
        command.args(arguments).current_dir("/").env_remove("PGDATABASE").process_group(0);
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        if program == "pg_ctl" && arguments.first() == Some(&"start") {
            // The server inherits these, and a pipe that it kept open would
            // never end.
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let status =
                command.status().map_err(|error| failed(&format!("running {program}"), error))?;
            return Ok(Output { status, stdout: Vec::new(), stderr: self.log_tail() });
        }
        command.output().map_err(|error| failed(&format!("running {program}"), error))
    }

    fn log_tail(&self) -> Vec<u8> {
        let log = fs::read(self.data.join("server.log")).unwrap_or_default();
        log[log.len().saturating_sub(2_000)..].to_vec()
    }
}

/// Looks again until it holds or the time is over; says whether it holds.
fn wait_until(longest: Duration, holds: impl Fn() -> bool) -> bool {
    let began = std::time::Instant::now();
    while !holds() {
        if began.elapsed() >= longest {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    true
}

fn failed(doing: &str, error: io::Error) -> PortError {
    PortError::internal(format!("{doing} failed"), error)
}

/// PostgreSQL's programs: those that `SALUS_PG_BIN` names, else the newest of
/// Debian's folders, else those on the path.
fn find_binaries() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SALUS_PG_BIN") {
        return Ok(PathBuf::from(folder));
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            (version >= 15 && bin.join("initdb").exists()).then_some((version, bin))
        })
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .find(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists())
        .ok_or_else(|| {
            PortError::bug(
                "no PostgreSQL 15 or later was found; install it, point SALUS_PG_BIN at its \
                 programs, or give DATABASE_URL",
            )
        })
}

/// `None` where Salus itself is not root. The folder that exists keeps its
/// owner, so that a cluster is never handed to another user.
fn unprivileged_user(folder: &Path) -> Result<Option<SystemUser>> {
    let own = fs::metadata("/proc/self").map_err(|error| failed("asking who runs this", error))?;
    if own.uid() != 0 {
        return Ok(None);
    }
    if let Ok(existing) = fs::metadata(folder.join("postgres"))
        && existing.uid() != 0
    {
        return Ok(Some(SystemUser { uid: existing.uid(), gid: existing.gid() }));
    }
    let passwd = fs::read_to_string("/etc/passwd")
        .map_err(|error| failed("reading the list of users", error))?;
    UNPRIVILEGED
        .iter()
        .find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(SystemUser {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        })
        .map(Some)
        .ok_or_else(|| PortError::bug("there is no unprivileged user for PostgreSQL"))
}

fn socket_folder(folder: &Path) -> PathBuf {
    let beside = folder.join("socket");
    if beside.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        return beside;
    }
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    std::env::temp_dir().join(format!("salus-{}", hex::encode(&digest[..8])))
}
