//! The fake provider: a server on a free port that answers by script, and like a real provider without one.

mod connection;
mod delivery;
mod request;
mod script;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{net::TcpListener, task::JoinHandle, task::JoinSet};

use crate::{
    answer::Answer,
    call::{Call, CallLog},
    defaults,
};
use script::{Rule, Script};

/// The provider key that a fake provider expects unless told otherwise.
pub const KEY: &str = "sk-fake-provider-key";

/// A running fake provider; dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What all connections of one provider share.
#[derive(Debug)]
struct Shared {
    key: Option<String>,
    script: Mutex<Script>,
    log: CallLog,
    /// It ended as a process does that is killed.
    killed: AtomicBool,
}

impl FakeProvider {
    /// Starts on a free port of this machine and expects [`KEY`].
    pub async fn start() -> Self {
        Self::start_on(0, Some(KEY)).await
    }

    /// Starts on that port (0: a free one). Without a key, every key is right and none is needed.
    pub async fn start_on(port: u16, key: Option<&str>) -> Self {
        let listener = match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => listener,
            Err(error) => panic!("the fake provider cannot listen on port {port}: {error}"),
        };
        let address = listener.local_addr().expect("a bound listener knows its address");
        let shared = Arc::new(Shared {
            key: key.map(str::to_owned),
            script: Mutex::new(Script::default()),
            log: CallLog::new(),
            killed: AtomicBool::new(false),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next calls get these answers, in this order, whatever they ask. After them comes the default behaviour.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script_for("*", answers);
    }

    /// The next calls of a route get these answers. A route is `POST /v1/chat/*`, `/v1/models` (any method) or `*`;
    /// a star stands for any characters.
    pub fn script_for(&self, route: &str, answers: impl IntoIterator<Item = Answer>) {
        self.add(Rule::for_route(route, answers));
    }

    /// The next calls for which the test says yes get these answers.
    pub fn script_when(
        &self,
        wanted: impl Fn(&Call) -> bool + Send + 'static,
        answers: impl IntoIterator<Item = Answer>,
    ) {
        self.add(Rule::when(wanted, answers));
    }

    /// Every call of a route gets this answer from now on.
    pub fn always(&self, route: &str, answer: Answer) {
        self.add(Rule::for_route(route, [answer]).forever());
    }

    /// Every call for which the test says yes gets this answer from now on.
    pub fn always_when(&self, wanted: impl Fn(&Call) -> bool + Send + 'static, answer: Answer) {
        self.add(Rule::when(wanted, [answer]).forever());
    }

    /// Every call gets the answer that is made for it from now on.
    pub fn answers_by(&self, make: impl Fn(&Call) -> Answer + Send + 'static) {
        self.add(Rule::made_by(make));
    }

    /// Dies as a killed process does: its port refuses, its connections are reset in the middle of what they carry. Gives the
    /// port, so that another can come back on it.
    pub async fn kill(mut self) -> u16 {
        self.shared.killed.store(true, Ordering::Release);
        self.accepting.abort();
        // The port is closed when the task is gone.
        let _ = (&mut self.accepting).await;
        self.port()
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.log.all()
    }

    /// The one call that came; fails the test if there were none or several.
    pub fn only_call(&self) -> Call {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "the fake provider expected one call and heard {calls:#?}");
        calls.remove(0)
    }

    /// Waits until so many calls have arrived.
    pub async fn wait_for_calls(&self, count: usize) -> Vec<Call> {
        self.shared.log.wait_until(&format!("{count} calls"), |calls| calls.len() >= count).await
    }

    /// Waits until a call matches, for example one whose client has left.
    pub async fn wait_until(&self, what: &str, wanted: impl Fn(&Call) -> bool) -> Call {
        let calls = self.shared.log.wait_until(what, |calls| calls.iter().any(&wanted)).await;
        match calls.into_iter().find(|call| wanted(call)) {
            Some(call) => call,
            None => panic!("the fake provider stopped before {what}"),
        }
    }

    fn add(&self, rule: Rule) {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner).add(rule);
    }
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        // The connections live in a set inside this task and end with it.
        self.accepting.abort();
    }
}

impl Shared {
    /// The scripted answer for a call, or what a real provider would say.
    fn answer(&self, number: usize, call: &Call) -> Answer {
        let scripted = self.script.lock().unwrap_or_else(PoisonError::into_inner).next(call);
        scripted.unwrap_or_else(|| defaults::answer(number, call, self.key.as_deref()))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection::serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}
