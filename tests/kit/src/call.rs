//! What the fake provider heard: every call, whole, with how it ended.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How long a test waits for something that should happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request as it was received.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method, as written.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query without the question mark; empty if there was none.
    pub query: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unchunked.
    pub body: Vec<u8>,
    /// When the last byte of it was read.
    pub arrived: Instant,
    /// What became of it.
    pub ending: Ending,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The answer is still being written.
    Running,
    /// The answer was written to its end.
    Answered,
    /// The script ended the connection before the end of the answer.
    Cut,
    /// The client closed the connection before it had the whole answer.
    ClientLeft {
        /// How long after the arrival it was noticed.
        after: Duration,
        /// How many bytes of the body had been written by then.
        body_bytes: usize,
    },
}

impl Call {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the client closed the connection before it had the whole answer.
    pub fn client_left(&self) -> bool {
        matches!(self.ending, Ending::ClientLeft { .. })
    }
}

/// Calls as a JSON document, for tests in other languages.
pub(crate) fn document_of(calls: &[Call]) -> Value {
    let document = |call: &Call| {
        json!({
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "headers": call.headers,
            "json": call.json(),
            "text": call.text(),
            "client_left": call.client_left(),
        })
    };
    calls.iter().map(document).collect()
}

/// All calls so far, and a bell that rings at each change.
#[derive(Debug)]
pub(crate) struct CallLog {
    calls: Mutex<Vec<Call>>,
    bell: watch::Sender<()>,
}

impl CallLog {
    pub(crate) fn new() -> Self {
        Self { calls: Mutex::new(Vec::new()), bell: watch::Sender::new(()) }
    }

    /// Writes a call down and gives its number.
    pub(crate) fn begin(&self, call: Call) -> usize {
        let number = {
            let mut calls = self.lock();
            calls.push(call);
            calls.len() - 1
        };
        self.bell.send_replace(());
        number
    }

    pub(crate) fn end(&self, number: usize, ending: Ending) {
        if let Some(call) = self.lock().get_mut(number) {
            call.ending = ending;
        }
        self.bell.send_replace(());
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Waits until the calls are as wanted.
    pub(crate) async fn wait_until(&self, what: &str, wanted: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let mut bell = self.bell.subscribe();
        let waiting = async {
            loop {
                let calls = self.all();
                if wanted(&calls) {
                    return calls;
                }
                if bell.changed().await.is_err() {
                    return calls;
                }
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(calls) => calls,
            Err(_) => panic!("the fake provider waited in vain for {what}; it heard {:#?}", self.all()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        // A test that panicked while holding the lock has failed already; the log is still true.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
