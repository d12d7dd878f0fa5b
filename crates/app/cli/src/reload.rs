//! The configuration read again: at `SIGHUP`, when a file has changed, and when the gateway is asked to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_catalog::Catalog;
use tollgate_config::Severity;
use tollgate_gateway::{Gateway, Snapshot, SnapshotSettings, Source};

use crate::{args::Options, config, environment, prices};

/// How often files are looked at, where nobody says otherwise.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files of the command line.
struct Files {
    options: Options,
    debug: bool,
    /// The price map that was fetched at the start: it is fetched once.
    prices: Option<Catalog>,
    /// What was read last, and what was looked for since in vain.
    read: Mutex<BTreeSet<PathBuf>>,
}

/// What a start has read.
pub(crate) struct Read {
    /// The configuration's files.
    pub(crate) files: Vec<PathBuf>,
    /// The price map, where it was fetched.
    pub(crate) prices: Option<Catalog>,
}

/// Files of up to so many bytes are compared by what is in them.
const SMALL: u64 = 256 << 10;

/// What tells one state of a file from another: an edit of the same length within the clock's tick is one, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    written: Option<SystemTime>,
    /// Seconds and nanoseconds of the last change of its entry, and which entry it is.
    entry: (i64, i64, u64),
    bytes: u64,
    /// Of the content of small files.
    hash: Option<u64>,
}

impl Stamp {
    /// Of the file at this path; `None`: there is none.
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        let content = (facts.len() <= SMALL && facts.is_file()).then(|| fs::read(path).ok()).flatten();
        let hash = content.map(|content| {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            hasher.finish()
        });
        let entry = (facts.ctime(), facts.ctime_nsec(), facts.ino());
        Some(Self { written: facts.modified().ok(), entry, bytes: facts.len(), hash })
    }
}

type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

impl Source for Files {
    fn read(&self) -> Result<(Snapshot, Vec<String>), String> {
        // What the process was started with stays; `.env` may have changed.
        let mut environment = environment::of_process();
        let mut findings = environment::add_dotenv(&mut environment, Path::new(""));
        let mut looked = Vec::new();
        let loaded = config::load_noting(&self.options, environment.clone(), &mut looked);
        looked.extend(prices::path(&self.options, &environment));
        // What could not be used may be mended where it was looked for.
        self.remember(looked, loaded.is_ok());
        let loaded = loaded.map_err(|error| format!("{error:#}"))?;
        let told = loaded.findings.iter().filter(|finding| finding.severity < Severity::Note);
        findings.extend(told.map(ToString::to_string));
        let settings = SnapshotSettings { answers_everything: loaded.answers_everything, debug: self.debug };
        let catalog = self.prices.clone().unwrap_or_else(|| prices::at_hand(&self.options, &loaded.environment));
        Ok((Snapshot::build_with(&loaded.config, Arc::new(loaded.environment), settings, catalog), findings))
    }
}

impl Files {
    fn remember(&self, files: Vec<PathBuf>, instead: bool) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if instead {
            read.clear();
        }
        read.extend(files);
    }

    fn stamps(&self) -> Stamps {
        let files = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        files.into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect()
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
    read: Read,
    interval: Option<Duration>,
) -> anyhow::Result<()> {
    let has_files = !read.files.is_empty();
    let mut looked: BTreeSet<PathBuf> = read.files.into_iter().collect();
    looked.extend(prices::path(options, &environment::of_process()));
    let files = Arc::new(Files { options: options.clone(), debug, prices: read.prices, read: Mutex::new(looked) });
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
        // Before anybody can know that the gateway is there, and change its files.
        let (watching, known) = (Arc::clone(gateway), files.stamps());
        gateway.workers().spawn_loop(async move { watch(&watching, &files, known, interval).await });
    }
    Ok(())
}

/// Reloads when files have changed, and have stayed as they are for a look: an editor may be writing still.
async fn watch(gateway: &Gateway, files: &Files, mut known: Stamps, interval: Duration) {
    let mut before = known.clone();
    loop {
        tokio::time::sleep(interval).await;
        let now = files.stamps();
        if now != known && now == before {
            // A file that cannot be used is told of once, in the log, until it changes again.
            let _ = gateway.reload().await;
            known = files.stamps();
            // What was written while it was read is seen at the next look.
            known.extend(now.into_iter().filter(|(path, _)| known.contains_key(path)).collect::<Stamps>());
            before.clone_from(&known);
        } else {
            before = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_of_the_same_length_at_the_same_time_is_seen() {
        let folder = tollgate_kit::TempFolder::new();
        let path = folder.path().join("config.yaml");
        let written = |text: &str| {
            fs::write(&path, text).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            Stamp { entry: (0, 0, 0), ..Stamp::of(&path).unwrap() }
        };
        let (first, second) = (written("num_retries: 1"), written("num_retries: 2"));
        assert_eq!((first.written, first.bytes), (second.written, second.bytes));
        assert_ne!(first, second);
        assert_eq!(written("num_retries: 1"), first);
        assert_eq!(Stamp::of(&folder.path().join("none.yaml")), None);
    }
}
