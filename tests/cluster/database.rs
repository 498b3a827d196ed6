//! PostgreSQL from Debian, in a folder of its own: a primary, and a standby that can be promoted.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};

use loteria_tools::Process;
use tempfile::TempDir;

/// The longest time that a test waits for a condition.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// User and group `nobody`, because PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// The folder of PostgreSQL's programs: Debian has them outside of `PATH`.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.filter(|folder| folder.join("bin/initdb").exists()).max();
    newest.expect("install Debian's package postgresql").join("bin")
});

/// A folder with an empty database, which each test copies.
static TEMPLATE: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = folder();
    let path = folder.path().join("data");
    let arguments = ["--no-sync", "-A", "trust", "-U", "loteria", "-E", "UTF8", "--locale=C", "-D"];
    finish(program("initdb").args(arguments).arg(&path));
    folder
});

/// A running PostgreSQL. Dropping it kills it.
pub struct Database {
    pub port: u16,
    process: Process,
    /// Removed with it.
    _folder: TempDir,
}

impl Database {
    /// A primary, with further settings, as in `fsync=off`.
    pub fn start(settings: &[&str]) -> Database {
        let folder = folder();
        let template = TEMPLATE.path().join("data");
        finish(Command::new("cp").arg("-a").arg(template).arg(folder.path()));
        let mut hba = fs::read_to_string(folder.path().join("data/pg_hba.conf")).expect("pg_hba.conf");
        hba.insert_str(0, "host all secretive 127.0.0.1/32 scram-sha-256\n");
        fs::write(folder.path().join("data/pg_hba.conf"), hba).expect("written");
        Database::run(folder, free_port(), settings)
    }

    /// A primary whose commits wait for the standby beside it, both with further settings.
    pub fn start_pair(settings: &[&str]) -> (Database, Database) {
        let primary = Database::start(settings);
        let folder = folder();
        let port = primary.port.to_string();
        let arguments =
            ["-R", "-X", "stream", "-c", "fast", "--no-sync", "-h", "127.0.0.1", "-U", "loteria", "-p", &port];
        finish(program("pg_basebackup").args(arguments).arg("-D").arg(folder.path().join("data")));
        let standby = Database::run(folder, free_port(), settings);
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.ask("SELECT pg_reload_conf()");
        primary.wait_for("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "1");
        (primary, standby)
    }

    fn run(folder: TempDir, port: u16, settings: &[&str]) -> Database {
        let mut command = program("postgres");
        command.arg("-D").arg(folder.path().join("data")).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        let own =
            ["unix_socket_directories=", "fsync=off", "shared_buffers=16MB", "autovacuum=off", "max_connections=40"];
        for setting in own.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        let process = Process::start(&mut command, |_| ()).expect("it starts");
        let database = Database { port, process, _folder: folder };
        let until = Instant::now() + PATIENCE;
        while database.try_ask("SELECT 1").is_none() {
            assert!(Instant::now() < until, "{:#?}", database.process.lines());
            thread::sleep(Duration::from_millis(20));
        }
        database
    }

    /// Kills it, and its sessions with it.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Makes a primary of this standby.
    pub fn promote(&self) {
        self.ask("SELECT pg_promote()");
    }

    /// The address of several databases, or of one, for `STORAGE_URL`.
    pub fn url(ports: &[u16]) -> String {
        let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("postgresql://loteria@{}/postgres", hosts.join(","))
    }

    /// The first field of the answer to `sql`.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        self.try_ask(sql).unwrap_or_else(|| panic!("no answer to {sql}"))
    }

    /// The same, if the database answers.
    pub fn try_ask(&self, sql: &str) -> Option<String> {
        let output = self.psql().args(["-A", "-t", "-c", sql]).output().expect("psql");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The program psql, connected to it.
    pub fn psql(&self) -> Command {
        let mut command = program("psql");
        let port = self.port.to_string();
        command.env("PGCONNECT_TIMEOUT", "5").args(["-X", "-q", "-h", "127.0.0.1", "-U", "loteria", "-d", "postgres"]);
        command.args(["-p", &port]);
        command
    }

    /// Waits until the answer to `sql` is `wanted`.
    #[track_caller]
    pub fn wait_for(&self, sql: &str, wanted: &str) {
        wait_until(|| self.try_ask(sql).as_deref() == Some(wanted), || format!("{sql} is not {wanted}"));
    }

    /// Waits until as many bets as this are stored.
    #[track_caller]
    pub fn wait_for_bets(&self, least: u64) {
        let sum = "SELECT coalesce(sum(bets), 0) FROM loteria_agency";
        let stored = || self.try_ask(sum).and_then(|bets| bets.parse().ok()).unwrap_or(0_u64);
        wait_until(|| stored() >= least, || format!("{} bets are stored, not {least}", stored()));
    }
}

/// Waits until `holds`.
#[track_caller]
pub fn wait_until(mut holds: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{}", otherwise());
        thread::sleep(Duration::from_millis(5));
    }
}

/// A port that nothing listens on, which this process has given to no other test. It lies below the ports that the system
/// gives away: a standby does not listen on its own, and agencies that try it must not reach another test's server.
pub fn free_port() -> u16 {
    const PORTS: Range<u32> = 12_000..32_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id() * 100));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let next = || PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
    let mut ports = PORTS.map(|_| u16::try_from(next()).expect("below 32,000"));
    ports.find(is_free).expect("a free port")
}

/// A folder with the certificate of an authority (`ca.pem`), and that of a database on this machine with its key, which only
/// PostgreSQL's user can read (`database.pem`, `database.key`).
pub fn certificates() -> TempDir {
    const SCRIPT: &str = "new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $new -keyout ca.key -out ca.pem -subj /CN=authority
        openssl req $new -keyout database.key -out request.pem -subj /CN=database -addext subjectAltName=IP:127.0.0.1
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -copy_extensions copy -out database.pem";
    let folder = folder();
    let mut bash = Command::new("bash");
    bash.args(["-ec", SCRIPT]).current_dir(folder.path()).env("RANDFILE", "/dev/null");
    as_nobody(&mut bash);
    finish(&mut bash);
    folder
}

/// A folder that PostgreSQL's user can reach.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    if is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    folder
}

fn program(name: &str) -> Command {
    let mut command = Command::new(PROGRAMS.join(name));
    command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C").current_dir("/");
    as_nobody(&mut command);
    command
}

fn as_nobody(command: &mut Command) {
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[track_caller]
fn finish(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
