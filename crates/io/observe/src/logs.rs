//! Log lines on their way out: formatted by the task that writes them, put into one bounded buffer, written by one
//! thread. A reader that stands still (a full pipe) costs lines, which are counted, never a call.

use std::{
    io::Write,
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Most bytes of log lines that wait to be written; what does not fit is dropped and counted.
pub const BUFFER_BYTES: usize = 1 << 20;
/// How long the writer waits for more lines before it writes.
const GATHER: Duration = Duration::from_millis(5);

/// How lines look and which are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSettings {
    /// One JSON object a line.
    pub json: bool,
    /// What the providers' calls look like, too.
    pub verbosity: Verbosity,
}

/// Which lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only (`LITELLM_LOG=ERROR`).
    Errors,
    /// One line per call, and what is wrong.
    #[default]
    Calls,
    /// `--detailed_debug`: everything of ours.
    Detailed,
}

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();
/// Whether each call has a line, and whether lines are JSON.
static CALL_LINES: OnceLock<Option<bool>> = OnceLock::new();

/// Whether each call's line is wanted (`Some`), and as JSON.
pub(crate) fn call_lines() -> Option<bool> {
    CALL_LINES.get().copied().flatten()
}

#[derive(Default)]
struct Queue {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    dropped: u64,
    writing: bool,
}

/// Starts logging to standard error. Only the first call of a process has an effect.
pub fn start(settings: LogSettings) {
    let queue = Arc::new(Queue::default());
    if QUEUE.set(Arc::clone(&queue)).is_err() {
        return;
    }
    let wanted = (settings.verbosity != Verbosity::Errors).then_some(settings.json);
    let _ = CALL_LINES.set(wanted);
    let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&queue));
    if let Err(error) = spawned {
        // Without the thread lines are dropped; this one says so.
        let _ = writeln!(std::io::stderr(), "no thread for log lines: {error}");
    }
    let filter = match settings.verbosity {
        Verbosity::Errors => EnvFilter::new("error"),
        Verbosity::Calls => EnvFilter::new("info,hyper=warn,rustls=warn"),
        Verbosity::Detailed => EnvFilter::new("debug,hyper=info,rustls=info"),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(|| LineWriter);
    let lines = if settings.json { lines.json().flatten_event(true).boxed() } else { lines.with_ansi(false).boxed() };
    // Fails only if a test has set a subscriber of its own.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// Writes `text` as it is, without time or level: for what a person asked to see (`--debug`).
pub fn print_raw(text: &str) {
    push(text.as_bytes());
    push(b"\n");
}

/// Waits until everything pushed so far is written, at most `patience`.
pub fn flush(patience: Duration) {
    let Some(queue) = QUEUE.get() else { return };
    let step = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while waited < patience {
        let lines = queue.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.waiting.is_empty() && !lines.writing {
            return;
        }
        drop(lines);
        std::thread::sleep(step);
        waited += step;
    }
}

struct LineWriter;

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn push(bytes: &[u8]) {
    let Some(queue) = QUEUE.get() else { return };
    let mut lines = queue.lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.waiting.len() + bytes.len() > BUFFER_BYTES {
        lines.dropped += 1;
        return;
    }
    let was_empty = lines.waiting.is_empty();
    lines.waiting.extend_from_slice(bytes);
    drop(lines);
    if was_empty {
        queue.more.notify_one();
    }
}

fn write_lines(queue: &Queue) {
    let mut out = Vec::new();
    loop {
        let mut lines = queue.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.writing = false;
        while lines.waiting.is_empty() {
            lines = queue.more.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        drop(lines);
        std::thread::sleep(GATHER);
        let mut lines = queue.lines.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut lines.waiting, &mut out);
        let dropped = std::mem::take(&mut lines.dropped);
        lines.writing = true;
        drop(lines);
        let mut stderr = std::io::stderr().lock();
        // A closed standard error is nobody's loss but the log's.
        let _ = stderr.write_all(&out);
        if dropped > 0 {
            let _ = writeln!(stderr, "{dropped} log lines were dropped: whoever reads them is too slow");
        }
        out.clear();
    }
}
