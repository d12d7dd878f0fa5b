//! Which ids the store has, by eight bytes of each one's hash: whoever is not among them need not be looked for. Read from the
//! store in the background, kept by its changes, and good only while it is complete.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use futures_util::future::BoxFuture;
use tollgate_store::StoreError;

/// Ids that are known at most: 16 MB. A store with more is asked for every id.
const MOST: usize = 2_000_000;
/// Ids that are new before they are sorted in.
const MOST_NEW: usize = 65_536;
/// Ids that one page has.
pub(crate) const PAGE: i64 = 10_000;

/// Whether an id is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was, when it was last heard of.
    Here,
    /// It was not when the store was last heard of.
    NotHere,
    /// Nobody knows.
    CannotTell,
}

/// Which ids there are.
#[derive(Debug, Default)]
pub(crate) struct KnownIds {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    sorted: Vec<u64>,
    new: HashSet<u64>,
    complete: bool,
}

impl KnownIds {
    /// Whether the id with this prefix is there.
    pub(crate) fn verdict(&self, prefix: u64) -> Verdict {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.new.contains(&prefix) || state.sorted.binary_search(&prefix).is_ok() {
            return Verdict::Here;
        }
        if state.complete { Verdict::NotHere } else { Verdict::CannotTell }
    }

    /// One is there now. Those that go stay known: they cost a look-up each.
    pub(crate) fn add(&self, prefix: u64) {
        let mut state = self.write();
        if state.sorted.binary_search(&prefix).is_ok() {
            return;
        }
        state.new.insert(prefix);
        if state.new.len() >= MOST_NEW {
            state.sort_in(Vec::new());
        }
    }

    /// Something may have been missed.
    pub(crate) fn doubt(&self) {
        self.write().complete = false;
    }

    /// Reads them all, by a page of ids that come behind the last one.
    ///
    /// # Errors
    /// The store does not answer; what was known is known still.
    pub(crate) async fn read<'p>(
        &self,
        page: impl Fn(String) -> BoxFuture<'p, Result<Vec<String>, StoreError>>,
        prefix: impl Fn(&str) -> Option<u64>,
    ) -> Result<Option<Vec<u64>>, StoreError> {
        let (mut all, mut last) = (Vec::new(), String::new());
        loop {
            let ids = page(last.clone()).await?;
            all.extend(ids.iter().filter_map(|id| prefix(id)));
            if all.len() > MOST {
                tracing::warn!(target: "tollgate::store", most = MOST, "there are more ids than are remembered; the store is asked for each");
                return Ok(None);
            }
            match ids.into_iter().next_back() {
                Some(id) => last = id,
                None => return Ok(Some(all)),
            }
        }
    }

    /// These are all of them, with those that were added meanwhile.
    pub(crate) fn complete(&self, all: Vec<u64>) {
        let mut state = self.write();
        state.sorted.clear();
        state.sort_in(all);
        state.complete = state.sorted.len() <= MOST;
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sort_in(&mut self, more: Vec<u64>) {
        self.sorted.extend(more);
        self.sorted.extend(self.new.drain());
        self.sorted.sort_unstable();
        self.sorted.dedup();
        self.sorted.shrink_to_fit();
        self.complete &= self.sorted.len() <= MOST;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn all_pages_are_read_and_what_comes_meanwhile_is_not_lost() {
        let known = KnownIds::default();
        let number = |text: &str| text.parse().ok();
        assert_eq!(known.verdict(1), Verdict::CannotTell);
        let page = |after: String| {
            known.add(77);
            let from = after.parse().map_or(10, |last: u64| last + 1);
            let ids = (from..(from + 3).min(18)).map(|id| id.to_string()).collect();
            std::future::ready(Ok(ids)).boxed()
        };
        let all = known.read(page, number).await.unwrap().unwrap();
        known.complete(all);
        assert!((10..18).chain([77]).all(|id| known.verdict(id) == Verdict::Here));
        assert_eq!((known.verdict(9), known.verdict(18)), (Verdict::NotHere, Verdict::NotHere));
        known.doubt();
        assert_eq!((known.verdict(9), known.verdict(12)), (Verdict::CannotTell, Verdict::Here));
    }

    #[test]
    fn a_million_ids_take_eight_megabytes() {
        let known = KnownIds::default();
        known.complete((0..1_000_000).map(|id: u64| id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect());
        for id in 2_000_000..2_070_000 {
            known.add(id);
        }
        let state = known.state.read().unwrap();
        let bytes = state.sorted.capacity() * size_of::<u64>() + state.new.capacity() * 2 * size_of::<u64>();
        assert!(bytes <= 16 << 20 && state.complete, "{bytes}");
    }

    #[test]
    fn more_than_are_remembered_are_not_taken_for_all() {
        let known = KnownIds::default();
        known.complete((0..MOST as u64).collect());
        assert_eq!(known.verdict(u64::MAX), Verdict::NotHere);
        (0..MOST_NEW as u64).for_each(|id| known.add(MOST as u64 + id));
        assert_eq!(known.verdict(u64::MAX), Verdict::CannotTell);
    }
}
