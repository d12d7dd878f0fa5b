//! The configuration read again: at `SIGHUP`, when a file has changed, and when the gateway is asked to.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_config::Severity;
use tollgate_gateway::{Gateway, Snapshot, SnapshotSettings, Source};

use crate::{args::Options, config, environment};

/// How often files are looked at, where nobody says otherwise.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files of the command line.
struct Files {
    options: Options,
    debug: bool,
    /// What was read last.
    read: Mutex<Vec<PathBuf>>,
}

impl Source for Files {
    fn read(&self) -> Result<(Snapshot, Vec<String>), String> {
        // What the process was started with stays; `.env` may have changed.
        let mut environment = environment::of_process();
        let mut findings = environment::add_dotenv(&mut environment, Path::new(""));
        let loaded = config::load(&self.options, environment).map_err(|error| format!("{error:#}"))?;
        let told = loaded.findings.iter().filter(|finding| finding.severity < Severity::Note);
        findings.extend(told.map(ToString::to_string));
        self.remember(loaded.files);
        let settings = SnapshotSettings { answers_everything: loaded.answers_everything, debug: self.debug };
        Ok((Snapshot::build(&loaded.config, Arc::new(loaded.environment), settings), findings))
    }
}

impl Files {
    fn remember(&self, files: Vec<PathBuf>) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// What tells a change: when each file was written, and how long it is. A file that is not there has neither.
    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stamp = |path: &PathBuf| {
            let facts = fs::metadata(path).ok()?;
            Some((facts.modified().ok()?, facts.len()))
        };
        files.iter().map(stamp).collect()
    }
}

/// Has the gateway read its configuration again from now on.
///
/// # Errors
/// When the signal cannot be heard.
pub(crate) fn start(
    gateway: &Arc<Gateway>,
    options: &Options,
    debug: bool,
    read: Vec<PathBuf>,
    interval: Option<Duration>,
) -> anyhow::Result<()> {
    let has_files = !read.is_empty();
    let files = Arc::new(Files { options: options.clone(), debug, read: Mutex::new(read) });
    if !has_files {
        // A terminal that is closed ends a gateway that has nothing to read.
        return Ok(());
    }
    gateway.reloads_from(Arc::<Files>::clone(&files));
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be heard")?;
    let reloading = Arc::clone(gateway);
    gateway.workers().spawn_loop(async move {
        while hangup.recv().await.is_some() {
            // What came of it is in the log.
            let _ = reloading.reload().await;
        }
    });
    let interval = interval.unwrap_or(INTERVAL);
    if !interval.is_zero() {
        let watching = Arc::clone(gateway);
        gateway.workers().spawn_loop(async move { watch(&watching, &files, interval).await });
    }
    Ok(())
}

/// Reloads when files have changed, and have stayed as they are for a look: an editor may be writing still.
async fn watch(gateway: &Gateway, files: &Files, interval: Duration) {
    let mut known = files.stamps();
    let mut before = known.clone();
    loop {
        tokio::time::sleep(interval).await;
        let now = files.stamps();
        if now != known && now == before {
            // A file that cannot be used is told of once, in the log, until it changes again.
            let _ = gateway.reload().await;
            // What was written while it was read is seen at the next look; other includes are other stamps.
            let after = files.stamps();
            known = if after.len() == now.len() { now } else { after };
            before.clone_from(&known);
        } else {
            before = now;
        }
    }
}
