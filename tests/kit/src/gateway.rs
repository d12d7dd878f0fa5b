//! The real `tollgate` binary as a process: started with a config, watched line by line, killed when dropped.

mod lines;

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::temp::TempFolder;
use lines::Lines;

/// How long a start, a stop or a line may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);
const READY: &str = "Proxy running on ";

/// How a gateway is to be started.
#[derive(Debug)]
pub struct Start {
    binary: Option<PathBuf>,
    config: Option<String>,
    files: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    port: Option<u16>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    lines: Lines,
    url: String,
    folder: TempFolder,
}

/// What a gateway left when it ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote, both outputs.
    pub output: String,
}

impl Gateway {
    /// Starts with a config, on a free port, and waits until it answers.
    pub async fn start(config: &str) -> Self {
        Self::with().config(config).start().await
    }

    /// A start to be described further.
    pub fn with() -> Start {
        Start {
            binary: None,
            config: None,
            files: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            port: None,
        }
    }

    /// `http://127.0.0.1:<port>`, as its start line says.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL with a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The folder it runs in; its config is `config.yaml` there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Every line it has written so far, both outputs.
    pub fn lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for a line that contains a text, also among those already written.
    pub async fn wait_for_line(&self, text: &str) -> String {
        match self.lines.wait_for(text, PATIENCE).await {
            Some(line) => line,
            None => panic!("no line with {text:?} in\n{}", self.output()),
        }
    }

    /// Sends a signal by name (`TERM`, `INT`, `KILL`).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to the gateway");
    }

    /// Waits until it ends by itself.
    pub async fn wait(mut self) -> Ended {
        let Some(status) = wait_for_end(&mut self.child).await else {
            panic!("the gateway did not end; it wrote\n{}", self.output());
        };
        self.lines.wait_for_end(PATIENCE).await;
        Ended { code: status.code(), output: self.output() }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) -> Ended {
        self.signal("TERM");
        self.wait().await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Start {
    /// The text of its `config.yaml`; without one it is started with neither file nor flag.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// Another file in its folder.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// One more argument of the command.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A variable of its environment, which is empty otherwise.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The binary, where a test knows it better: `env!("CARGO_BIN_EXE_tollgate")`.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// This port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts it and waits until it says where it listens.
    pub async fn start(self) -> Gateway {
        let (mut child, lines, folder) = self.spawn();
        if let Some(line) = lines.wait_for(READY, PATIENCE).await {
            return Gateway { child, lines, url: url_in(&line), folder };
        }
        let ended = child.try_wait();
        let _ = child.kill();
        panic!("the gateway did not start ({ended:?}); it wrote\n{}", lines.all().join("\n"));
    }

    /// Runs it to its end, for commands and for starts that fail.
    pub async fn run(self) -> Ended {
        let (child, lines, folder) = self.spawn();
        Gateway { child, lines, url: String::new(), folder }.wait().await
    }

    fn spawn(self) -> (Child, Lines, TempFolder) {
        let folder = TempFolder::new();
        for (name, text) in &self.files {
            folder.write(name, text);
        }
        let mut command = Command::new(self.binary.unwrap_or_else(binary));
        if let Some(config) = &self.config {
            command.arg("--config").arg(folder.write("config.yaml", config));
        }
        // A command that runs to its end (`check`, `--help`) brings all its arguments itself.
        if self.config.is_some() || self.port.is_some() {
            command.args(["--host", "127.0.0.1", "--port", &self.port.unwrap_or_else(free_port).to_string()]);
        }
        command.args(&self.arguments).current_dir(folder.path()).env_clear().env("HOME", folder.path());
        // Coverage runs write where this says; nothing else of our environment may change what a test sees.
        command.envs(env::var_os("LLVM_PROFILE_FILE").map(|value| ("LLVM_PROFILE_FILE", value)));
        command.envs(self.environment).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {}: {error}", command.get_program().display()),
        };
        let lines = Lines::of(&mut child);
        (child, lines, folder)
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("a bound listener knows its address").port()
}

/// `TOLLGATE_BIN`, or the binary in the build folder that the running test lies in.
fn binary() -> PathBuf {
    if let Some(path) = env::var_os("TOLLGATE_BIN") {
        return fs::canonicalize(&path).expect("TOLLGATE_BIN names a file that exists");
    }
    let test = env::current_exe().expect("a running program has a path");
    let beside = test.ancestors().skip(1).take(3).map(|folder| folder.join("tollgate"));
    match beside.into_iter().find(|path| path.is_file()) {
        Some(path) => path,
        None => panic!("no tollgate binary above {}; build it with `cargo build -p tollgate`", test.display()),
    }
}

fn url_in(line: &str) -> String {
    let rest = line.split_once(READY).map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or_default().trim_end_matches(['/', '"', ',']).to_owned()
}

async fn wait_for_end(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        sleep(Duration::from_millis(10)).await;
    }
    None
}
