//! A server of the built binary, on a folder and a port of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use walk::client::Client;

pub const SALUS: &str = env!("CARGO_BIN_EXE_salus");
/// The password of the seeded staff.
pub const PASSWORD: &str = "correct-horse-battery-staple";

type Settings = Vec<(String, String)>;

pub struct Server {
    child: Child,
    folder: Folder,
    port: u16,
    settings: Settings,
    demo: bool,
    pub client: Client,
}

/// The data folder outlives the servers that use it.
pub struct Folder {
    _temporary: TempDir,
    pub path: PathBuf,
}

/// The folder of a server that has sown the demo and was stopped, once for all tests. Each
/// server of a test begins on a copy, which takes a fifth of the time of a first start.
fn sown() -> &'static Path {
    static SOWN: OnceLock<PathBuf> = OnceLock::new();
    SOWN.get_or_init(|| {
        clear_up();
        let mut server = Server::started(Folder::new(), &[], true);
        assert!(server.stop(), "the first server does not stop");
        let path = PathBuf::from(format!("{SOWN_FOLDER}{}", std::process::id()));
        std::fs::rename(server.data_dir(), &path).expect("keeping what was sown");
        path
    })
}

const SOWN_FOLDER: &str = "/tmp/salus-sown-";

/// Removes the folders of runs that are over; nothing ends a static.
fn clear_up() {
    for entry in std::fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let path = entry.path();
        let run =
            path.to_str().and_then(|path| path.strip_prefix(SOWN_FOLDER)?.parse::<u32>().ok());
        if run.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            std::fs::remove_dir_all(&path).ok();
        }
    }
}

impl Folder {
    /// One in which the demo is sown.
    fn sown() -> Self {
        let folder = Self::new();
        let copied = Command::new("cp").arg("-a").arg(sown()).arg(&folder.path).status();
        assert!(copied.expect("cp").success());
        folder
    }

    /// Ends the cluster of a server that was killed. Nobody reads its data any more.
    fn end_cluster(&self) {
        let file = self.path.join("postgres/postmaster.pid");
        let Ok(text) = std::fs::read_to_string(&file) else { return };
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else {
            return;
        };
        tell("-QUIT", pid);
        let started = Instant::now();
        while file.exists() && started.elapsed() < Duration::from_secs(10) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn new() -> Self {
        // The cluster's own user has to reach it, so it is open to be entered.
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = tempfile::Builder::new()
            .prefix("salus-journey-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("a folder");
        let path = temporary.path().join("data");
        Self { _temporary: temporary, path }
    }
}

impl Server {
    /// A server with the demo's seeds on a fresh folder and a free port.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of the environment.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::started(Folder::sown(), settings, true)
    }

    /// The same on a folder that holds something already.
    pub fn start_in(folder: Folder, settings: &[(&str, &str)]) -> Self {
        Self::started(folder, settings, true)
    }

    /// A server on an empty database, with the vendors' emulators and without
    /// the demo's seeds.
    pub fn start_empty(settings: &[(&str, &str)]) -> Self {
        let all = r#"["stripe", "erx", "opentok", "easypost", "smtp"]"#;
        let own = [("SALUS_EMULATORS", all), ("SALUS_ENVIRONMENT", "development")];
        Self::started(Folder::new(), &[&own, settings].concat(), false)
    }

    /// Another node on the database, the keys and the vendors of this one.
    pub fn another_node(&self) -> Self {
        let folder = Folder::new();
        std::fs::create_dir_all(&folder.path).expect("a folder");
        for part in ["keys", "signing"] {
            let from = self.data_dir().join(part);
            let copied = Command::new("cp").arg("-r").arg(from).arg(&folder.path).status();
            assert!(copied.expect("cp").success());
        }
        let socket = self.socket().display().to_string();
        let url = format!("postgres://salus_server@localhost/salus?host={socket}");
        let vendors = r#"["stripe", "erx", "opentok", "easypost", "smtp"]"#;
        let settings = [("SALUS_DATABASE__URL", url.as_str()), ("SALUS_EMULATORS", vendors)];
        Self::started(folder, &settings, false)
    }

    /// Ends the server as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing the server");
        self.child.wait().expect("the killed server's end");
    }

    fn started(folder: Folder, settings: &[(&str, &str)], demo: bool) -> Self {
        let settings: Settings =
            settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (child, port, internal) = launch(&folder.path, 0, "127.0.0.1:0", &settings, demo);
        let mut client = Client::new(&format!("http://127.0.0.1:{port}")).expect("a client");
        client.internal = internal;
        Self { child, folder, port, settings, demo, client }
    }

    pub fn url(&self) -> &str {
        &self.client.url
    }

    /// The address that is for operators alone.
    pub fn internal(&self) -> &str {
        &self.client.internal
    }

    pub fn data_dir(&self) -> &Path {
        &self.folder.path
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path.join("socket")
    }

    /// What the database says, as its superuser sees it.
    pub fn sql(&self, statement: &str) -> String {
        let output = Command::new("psql")
            .arg("-h")
            .arg(self.socket())
            .args(["-U", "postgres", "-d", "salus", "-X", "-A", "-t", "-q", "-c", statement])
            .output()
            .expect("psql");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the server as a power cut would, and starts it again on the same
    /// folder and port.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        let internal = self.client.internal.trim_start_matches("http://");
        let (child, port, _) =
            launch(&self.folder.path, self.port, internal, &self.settings, self.demo);
        assert_eq!(port, self.port);
        self.child = child;
    }

    /// A command of the binary on this server's data folder.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(SALUS)
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_dir())
            .env("SALUS_DEMO_PASSWORD", PASSWORD)
            .output()
            .expect("running the binary")
    }

    /// Stops the server the way an operator does and says whether it ended well.
    pub fn stop(&mut self) -> bool {
        self.end_by("-TERM")
    }

    /// The same as with Ctrl-C.
    pub fn interrupt(&mut self) -> bool {
        self.end_by("-INT")
    }

    fn end_by(&mut self, signal: &str) -> bool {
        tell(signal, self.child.id());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("asking after the server") {
                return status.success();
            }
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not stop");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its folder goes with it, so nothing has to be ended in order.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.kill();
        }
        self.folder.end_cluster();
    }
}

fn tell(signal: &str, pid: u32) {
    let _ = Command::new("kill").arg(signal).arg(pid.to_string()).status();
}

/// Starts the binary and waits until it says that it is up; gives its port and
/// its internal address.
fn launch(
    data_dir: &Path,
    port: u16,
    inside: &str,
    settings: &Settings,
    demo: bool,
) -> (Child, u16, String) {
    let log = data_dir.with_file_name("server.log");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
    let mut child = Command::new(SALUS)
        .arg("serve")
        .args(demo.then_some("--demo"))
        .args(["--port", &port.to_string(), "--data-dir"])
        .arg(data_dir)
        .env("SALUS_DEMO_PASSWORD", PASSWORD)
        // Servers run beside each other, so each has a free port inside too.
        .env("SALUS_SERVER__INTERNAL_LISTEN", inside)
        .envs((!demo).then_some(("SALUS_ENVIRONMENT", "development")))
        .env_remove("DATABASE_URL")
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("starting the binary");
    let out = child.stdout.take().expect("the server's output");
    let mut lines = BufReader::new(out).lines();
    let mut port: Option<u16> = None;
    let (port, internal) = loop {
        let line = lines.next().and_then(Result::ok).unwrap_or_else(|| {
            let log = std::fs::read_to_string(data_dir.with_file_name("server.log"));
            let log = log.unwrap_or_default();
            let tail = &log[log.len().saturating_sub(3_000)..];
            panic!("the server ended before it was up: {tail}")
        });
        if let Some(rest) = line.trim().strip_prefix("API") {
            let text = rest.trim().trim_end_matches("/api").rsplit(':').next();
            port = text.and_then(|port| port.parse().ok());
        }
        if let Some(rest) = line.trim().strip_prefix("health") {
            let internal = rest.trim().trim_end_matches("/health").to_owned();
            break (port.expect("a port"), internal);
        }
    };
    // What it says later is read away, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (child, port, internal)
}
