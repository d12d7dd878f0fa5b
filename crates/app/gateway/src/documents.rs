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
/// How long what could not be had is not asked for again: a hub that was away comes back.
const REST: Duration = Duration::from_secs(300);
/// Most texts that are kept.
const MOST: usize = 256;

/// Texts by URL.
#[derive(Default)]
pub(crate) struct Documents {
    known: Mutex<HashMap<String, Known>>,
}

/// A text, or since when it is known that there is none.
enum Known {
    Text(Arc<str>),
    Missing(Duration),
}

impl Documents {
    /// The text at this URL, if there is one, at this monotonic time. The URLs are the rows' own, never a client's.
    pub(crate) async fn find(&self, url: &str, client: &Client, now: Duration) -> Option<Arc<str>> {
        if let Some(known) = self.recall(url, now) {
            return known;
        }
        let found = fetch(url, client).await;
        self.keep(url, found.clone(), now);
        found
    }

    /// What is known of this URL: nothing, that there is a text, that there was none a moment ago.
    fn recall(&self, url: &str, now: Duration) -> Option<Option<Arc<str>>> {
        match self.known.lock().unwrap_or_else(PoisonError::into_inner).get(url)? {
            Known::Text(text) => Some(Some(Arc::clone(text))),
            Known::Missing(since) if now.saturating_sub(*since) < REST => Some(None),
            Known::Missing(_) => None,
        }
    }

    fn keep(&self, url: &str, found: Option<Arc<str>>, now: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(url.to_owned(), found.map_or(Known::Missing(now), Known::Text));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_for_again_after_a_while() {
        let documents = Documents::default();
        let early = Duration::from_secs(10);
        assert_eq!(documents.recall("a", early), None);

        documents.keep("a", None, early);
        assert_eq!(documents.recall("a", early + REST / 2), Some(None));
        assert_eq!(documents.recall("a", early + REST), None);

        documents.keep("a", Some("template".into()), early + REST);
        assert_eq!(documents.recall("a", early + REST * 9), Some(Some("template".into())));
    }

    #[test]
    fn only_so_many_texts_are_kept() {
        let documents = Documents::default();
        for count in 0..=MOST {
            documents.keep(&count.to_string(), None, Duration::ZERO);
        }
        assert!(documents.known.lock().unwrap().len() <= MOST);
    }
}
