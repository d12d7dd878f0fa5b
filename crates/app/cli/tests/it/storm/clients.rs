//! The clients of a storm: each asks one call after the other, in all ways there are, and is not astonished when the gateway dies.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::bank::{Asked, KINDS, Kind, words_in};

/// Nothing takes so long, even where the machine has little time for tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// What all clients know.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    next: AtomicU64,
    /// Words that clients have had of calls whose stream they left, or that was cut.
    had: Mutex<HashMap<String, u64>>,
}

impl Crowd {
    /// Words that a client has had of a call.
    pub(crate) fn had(&self, marker: &str) -> u64 {
        self.had.lock().unwrap_or_else(PoisonError::into_inner).get(marker).copied().unwrap_or_default()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// So many clients that go on until it is over.
    pub(crate) fn gather(
        self: &Arc<Self>,
        count: u64,
        address: &str,
        keys: &[String],
        over: &Arc<AtomicBool>,
    ) -> JoinSet<()> {
        let mut clients = JoinSet::new();
        for client in 0..count {
            let (crowd, over, address) = (Arc::clone(self), Arc::clone(over), address.to_owned());
            let key = keys.iter().cycle().nth(usize::try_from(client).unwrap_or_default()).cloned().unwrap_or_default();
            clients.spawn(async move {
                while !over.load(Relaxed) {
                    let number = crowd.next.fetch_add(1, Relaxed);
                    let kind = KINDS.iter().cycle().nth(usize::try_from(number % 10).unwrap_or_default());
                    let asked = Asked { kind: *kind.unwrap_or(&Kind::Whole), number: number / 10 };
                    let heard = timeout(PATIENCE, ask(&address, &key, asked)).await;
                    let Ok(heard) = heard else { panic!("{asked:?} did not end within {PATIENCE:?}") };
                    let Some(words) = heard else {
                        // The gateway is dead, or about to be.
                        tokio::task::yield_now().await;
                        continue;
                    };
                    crowd.had.lock().unwrap_or_else(PoisonError::into_inner).insert(asked.marker(), words);
                }
            });
        }
        clients
    }
}

/// Asks a call and gives the words that came of its stream; none if nobody is there.
async fn ask(address: &str, key: &str, asked: Asked) -> Option<u64> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let (marker, body) = (asked.marker(), asked.body().to_string());
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n\
         x-litellm-call-id: {marker}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let most = match asked.kind {
        Kind::Leaves => asked.some_words(),
        // It has hardly asked, and goes.
        Kind::LeavesWhole => 0,
        _ => u64::MAX,
    };
    let (mut bytes, mut words) = (Vec::new(), 0);
    while words < most {
        match stream.read_buf(&mut bytes).await {
            Ok(read) if read > 0 => words = words_in(&String::from_utf8_lossy(&bytes)),
            _ => break,
        }
    }
    Some(words)
}
