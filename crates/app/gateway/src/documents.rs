//! Texts that dialects want to see before they write a request: chat templates of models. Fetched once and kept; what is
//! not there is not asked for again for a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use tollgate_net::{Bounds, Client};
use tollgate_wire::http::Outgoing;

/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest text, bytes. The largest `tokenizer_config.json` in use is under 1 MiB.
const MAX_BYTES: usize = 4 << 20;
/// Most texts that are kept.
const MOST: usize = 256;

/// Texts by URL; `None` where there is none.
#[derive(Default)]
pub(crate) struct Documents {
    known: Mutex<HashMap<String, Option<Arc<str>>>>,
}

impl Documents {
    /// The text at this URL, if there is one. The URLs are the rows' own, never a client's.
    pub(crate) async fn find(&self, url: &str, client: &Client) -> Option<Arc<str>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned();
        if let Some(known) = known {
            return known;
        }
        let found = fetch(url, client).await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(url.to_owned(), found.clone());
        found
    }
}

async fn fetch(url: &str, client: &Client) -> Option<Arc<str>> {
    let outgoing = Outgoing { method: Method::GET, url: url.to_owned(), headers: HeaderMap::new(), body: Bytes::new() };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: MAX_BYTES };
    let response = client.send(&outgoing, &bounds).await.ok()?;
    if !response.status.is_success() {
        return None;
    }
    let body = response.collect().await.ok()?;
    std::str::from_utf8(&body).ok().map(Arc::from)
}
