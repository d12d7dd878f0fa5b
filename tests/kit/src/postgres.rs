//! A real PostgreSQL of its own for one test process: in a temporary folder, on a Unix socket and a free port, gone when the
//! process ends, however it ends.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::gateway::free_port;

/// How often a start is looked at before the test fails.
const ATTEMPTS: u32 = 3000;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Where Debian keeps what it leaves out of the path; the newest is taken.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Nothing has to survive a test.
const FAST: [&str; 7] = [
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "jit=off",
    "log_min_messages=fatal",
];

/// The server's guardian: it ends the server and removes its folder when its own standard input closes, which happens when the
/// test process ends, even if it was killed. Told to `crash`, it only waits for the server, which was killed.
const GUARD: &str = r#""$0" "$@" >/dev/null 2>&1 </dev/null &
server=$!
read -r word
if [ "$word" = crash ]; then
    wait $server
    exit
fi
kill -QUIT $server
wait $server
rm -rf "$FOLDER""#;

static SHARED: OnceLock<Postgres> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A running server. Databases are made in it with [`Postgres::database`].
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    folder: PathBuf,
    account: Option<(u32, u32)>,
    guard: Child,
}

impl Postgres {
    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }

    /// Starts one, for a test that wants to harm it.
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("tollgate-postgres-{}-{}", std::process::id(), number()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the temporary directory can be written");
        // PostgreSQL does not run as root.
        let account = is_root().then(account);
        if let Some((user, group)) = account {
            chown(&folder, Some(user), Some(group)).expect("root may give folders away");
        }
        let made = as_account(&mut tool("initdb"), account)
            .args(["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8", "--username=tollgate", "--pgdata"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output();
        let made = made.expect("initdb can be started; `scripts/tools test` installs it");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let server = Self { guard: guard(port, &folder, account), port, folder, account };
        server.listens();
        server
    }

    /// Makes an empty database and gives its address.
    pub fn database(&self) -> String {
        self.copy_of("template0")
    }

    /// Makes a copy of another database, to which nobody may be connected, and gives its address.
    pub fn copy_of(&self, template: &str) -> String {
        let name = format!("test_{}", number());
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log"));
        self.address(&name)
    }

    /// The address of a database of this server.
    pub fn address(&self, name: &str) -> String {
        format!("postgresql://tollgate:word@127.0.0.1:{}/{name}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a statement outside of all tests' databases.
    pub fn run(&self, sql: &str) {
        self.run_in("postgres", sql);
    }

    /// Runs statements in a database and gives what they say, column after column and line after line.
    pub fn run_in(&self, database: &str, sql: &str) -> String {
        let mut client = tool("psql");
        client.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
            sql,
        ]);
        let answer = client.arg(self.address(database)).stdin(Stdio::null()).output().expect("psql can be started");
        assert!(answer.status.success(), "{sql}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// Stops it from answering while its connections stay open, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        self.signal(if frozen { "-STOP" } else { "-CONT" });
    }

    /// Ends it as a crash does (`kill -9` of all its processes). Its files stay.
    pub fn crash(&mut self) {
        self.signal("-KILL");
        if let Some(guard) = &mut self.guard.stdin {
            guard.write_all(b"crash\n").expect("the guardian listens");
        }
        self.guard.wait().expect("the guardian ends with the server");
    }

    /// Starts it again on its port, after it crashed.
    pub fn restart(&mut self) {
        // What a crash leaves behind.
        let _ = fs::remove_file(self.folder.join("data/postmaster.pid"));
        let _ = fs::remove_file(self.folder.join(format!(".s.PGSQL.{}.lock", self.port)));
        self.guard = guard(self.port, &self.folder, self.account);
        self.listens();
    }

    /// Signals the server's process and then its children, which may end by themselves meanwhile.
    fn signal(&self, signal: &str) {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("a running server has this file");
        let server = file.lines().next().expect("its first line is its number");
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
        let send = |process: &str| {
            let sent = Command::new("kill").args([signal, process]).stderr(Stdio::null()).status();
            sent.is_ok_and(|status| status.success())
        };
        assert!(send(server), "cannot send {signal} to postgres");
        for child in children.split_whitespace() {
            send(child);
        }
    }

    fn listens(&self) {
        for _ in 0..ATTEMPTS {
            let asked =
                tool("pg_isready").args(["--quiet", "--host=127.0.0.1", "--port", &self.port.to_string()]).status();
            if asked.is_ok_and(|status| status.success()) {
                return;
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
        panic!("postgres does not listen");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn number() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn guard(port: u16, folder: &Path, account: Option<(u32, u32)>) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD]).arg(tool("postgres").get_program()).arg("-D").arg(folder.join("data"));
    command.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(folder);
    for setting in FAST {
        command.args(["-c", setting]);
    }
    command.env("FOLDER", folder).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C ends the test; the guardian has to outlive it.
    as_account(&mut command, account).process_group(0).spawn().expect("sh can be started")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The numbers of an account that is not root: PostgreSQL's own, else nobody's.
fn account() -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let numbers = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    numbers("postgres").or_else(|| numbers("nobody")).unwrap_or((65534, 65534))
}

fn as_account(command: &mut Command, account: Option<(u32, u32)>) -> &mut Command {
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    command
}

/// One of PostgreSQL's programs, from Debian's folder or from the path.
fn tool(name: &str) -> Command {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let program = newest.map(|folder| folder.join("bin").join(name)).filter(|program| program.exists());
    Command::new(program.unwrap_or_else(|| PathBuf::from(name)))
}
