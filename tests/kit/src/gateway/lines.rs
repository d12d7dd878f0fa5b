//! The lines that a process writes, collected as they come.

use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// All lines so far of both outputs, in the order of arrival.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    written: Arc<Mutex<Vec<String>>>,
    bell: watch::Receiver<()>,
}

impl Lines {
    /// Takes the outputs of a child and reads them to their ends.
    pub(super) fn of(child: &mut Child) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (ring, bell) = watch::channel(());
        let ring = Arc::new(ring);
        if let Some(output) = child.stdout.take() {
            collect(output, Arc::clone(&written), Arc::clone(&ring));
        }
        if let Some(output) = child.stderr.take() {
            collect(output, Arc::clone(&written), ring);
        }
        Self { written, bell }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Waits for a line that contains a text; `None` if the outputs end without it, or the time is over.
    pub(super) async fn wait_for(&self, text: &str, at_most: Duration) -> Option<String> {
        let mut bell = self.bell.clone();
        let waiting = async {
            loop {
                let found = self.all().into_iter().find(|line| line.contains(text));
                if found.is_some() || bell.changed().await.is_err() {
                    return found;
                }
            }
        };
        timeout(at_most, waiting).await.ok().flatten()
    }

    /// Waits until both outputs are closed, or so long.
    pub(super) async fn wait_for_end(&self, at_most: Duration) {
        let mut bell = self.bell.clone();
        let _ = timeout(at_most, async { while bell.changed().await.is_ok() {} }).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn collect(output: impl Read + Send + 'static, written: Arc<Mutex<Vec<String>>>, ring: Arc<watch::Sender<()>>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            written.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            ring.send_replace(());
            line.clear();
        }
    });
}
