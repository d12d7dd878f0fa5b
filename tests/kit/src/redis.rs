//! A real Redis of its own for one test: on a free port, in a temporary folder, gone at its end.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{gateway::free_port, temp::TempFolder};

/// How long a start may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `redis-server`, or one that was killed and may come back.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    folder: TempFolder,
}

impl Redis {
    /// Starts one that keeps nothing on disk.
    pub async fn start() -> Self {
        let (port, folder) = (free_port(), TempFolder::new());
        let child = spawn(port, &folder);
        let mut redis = Self { child, port, folder };
        redis.listens().await;
        redis
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a crash does (`kill -9`).
    pub fn kill(&mut self) {
        self.child.kill().expect("a running server can be killed");
        self.child.wait().expect("a killed server ends");
    }

    /// Stops it from answering while its connections stay open, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {signal} to redis-server");
    }

    /// Starts it again on its port, empty, after it was killed.
    pub async fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder);
        self.listens().await;
    }

    async fn listens(&mut self) {
        let patient = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait();
            assert!(matches!(ended, Ok(None)) && Instant::now() < patient, "redis-server does not listen: {ended:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, folder: &TempFolder) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("redis-server cannot be started ({error}); `scripts/tools test` installs it"),
    }
}
