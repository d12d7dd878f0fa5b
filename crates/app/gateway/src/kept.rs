//! Answers of models whose provider keeps none, for clients that continue them by `previous_response_id` or ask for them
//! again: in memory, for an hour, within bounds of number and bytes. The oldest go first.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How much is kept, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptBounds {
    pub(crate) most: usize,
    pub(crate) bytes: usize,
    pub(crate) ttl: Duration,
}

/// One answer: JSON of the items that it answered, and of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    pub(crate) input: Arc<str>,
    pub(crate) response: Arc<str>,
}

impl KeptAnswer {
    fn bytes(&self) -> usize {
        self.input.len() + self.response.len()
    }
}

/// All of them, by our own ids.
#[derive(Default)]
pub(crate) struct KeptAnswers {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    by_id: HashMap<String, (KeptAnswer, Duration)>,
    /// Ids, the oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl KeptAnswers {
    /// Keeps an answer from `now` (monotonic) on. One that is larger than the bound is not kept.
    pub(crate) fn put(&self, id: String, answer: KeptAnswer, now: Duration, bounds: KeptBounds) {
        let mut shelf = self.shelf();
        shelf.drop_old(now);
        if answer.bytes() > bounds.bytes || bounds.most == 0 || shelf.by_id.contains_key(&id) {
            return;
        }
        while shelf.by_id.len() >= bounds.most || shelf.bytes + answer.bytes() > bounds.bytes {
            let Some(oldest) = shelf.order.front().cloned() else { break };
            shelf.remove(&oldest);
        }
        shelf.bytes += answer.bytes();
        shelf.order.push_back(id.clone());
        shelf.by_id.insert(id, (answer, now.saturating_add(bounds.ttl)));
    }

    /// The answer, if it is still there.
    pub(crate) fn get(&self, id: &str, now: Duration) -> Option<KeptAnswer> {
        let mut shelf = self.shelf();
        shelf.drop_old(now);
        shelf.by_id.get(id).map(|(answer, _)| answer.clone())
    }

    /// Forgets an answer; says whether it was there.
    pub(crate) fn remove(&self, id: &str, now: Duration) -> bool {
        let mut shelf = self.shelf();
        shelf.drop_old(now);
        shelf.remove(id)
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn drop_old(&mut self, now: Duration) {
        while let Some(oldest) = self.order.front() {
            if self.by_id.get(oldest).is_some_and(|(_, until)| *until > now) {
                break;
            }
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        if self.order.front().is_some_and(|oldest| oldest == id) {
            self.order.pop_front();
        } else {
            self.order.retain(|known| known != id);
        }
        let removed = self.by_id.remove(id);
        self.bytes -= removed.as_ref().map_or(0, |(answer, _)| answer.bytes());
        removed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: KeptBounds = KeptBounds { most: 2, bytes: 20, ttl: Duration::from_secs(10) };

    fn answer(length: usize) -> KeptAnswer {
        KeptAnswer { input: "x".repeat(length).into(), response: "".into() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_makes_room_by_number_and_by_bytes() {
        let kept = KeptAnswers::default();
        for id in ["a", "b", "c"] {
            kept.put(id.to_owned(), answer(5), at(0), BOUNDS);
        }
        assert_eq!((kept.get("a", at(0)), kept.get("c", at(0))), (None, Some(answer(5))));
        kept.put("d".to_owned(), answer(18), at(0), BOUNDS);
        assert_eq!((kept.get("b", at(0)), kept.get("c", at(0))), (None, None));
        kept.put("e".to_owned(), answer(21), at(0), BOUNDS);
        assert_eq!((kept.get("e", at(0)), kept.get("d", at(0))), (None, Some(answer(18))));
    }

    #[test]
    fn an_answer_lives_as_long_as_it_may_or_until_it_is_deleted() {
        let kept = KeptAnswers::default();
        kept.put("a".to_owned(), answer(5), at(0), BOUNDS);
        kept.put("b".to_owned(), answer(5), at(5), BOUNDS);
        assert_eq!((kept.get("a", at(10)), kept.get("b", at(10))), (None, Some(answer(5))));
        assert!(kept.remove("b", at(10)) && !kept.remove("b", at(10)));
        assert_eq!(kept.shelf().bytes, 0);
        assert!(kept.shelf().order.is_empty());
    }
}
