//! What may be spent in a window of time, by a provider's deployments, by one of them or under a tag. A purse that is used
//! up takes its deployments out until the window is over; it is a filter, no limit that is never passed: what runs when it is
//! used up is still paid.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Billionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl std::fmt::Display for Nanos {
    /// Dollars.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let short = text.trim_end_matches('0');
        f.write_str(if short.ends_with('.') { text.get(..=short.len()).unwrap_or(&text) } else { short })
    }
}

/// Whose purse it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// All deployments of a provider.
    Provider(String),
    /// One deployment.
    Deployment {
        /// Its id.
        id: String,
        /// Its group.
        group: String,
        /// Its model string as configured.
        model: String,
    },
    /// Calls with a tag.
    Tag(String),
}

/// A budget and what is spent of it.
#[derive(Debug)]
pub struct Purse {
    payer: Payer,
    limit: Nanos,
    /// From the first spending on; `None`: for good.
    window: Option<Duration>,
    spent: Mutex<Arc<Mutex<Spent>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// When the window began.
    began: Option<Duration>,
    nanos: u64,
    /// What of it no other instance has been told.
    untold: u64,
}

impl Purse {
    /// A purse with so much in it.
    #[must_use]
    pub fn new(payer: Payer, limit: Nanos, window: Option<Duration>) -> Self {
        Self { payer, limit, window, spent: Mutex::default() }
    }

    fn spent<T>(&self, now: Duration, with: impl FnOnce(&mut Spent) -> T) -> T {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Duration| self.window.is_some_and(|window| now >= began.saturating_add(window));
        if spent.began.is_some_and(is_over) {
            *spent = Spent::default();
        }
        with(&mut spent)
    }

    /// So much is spent.
    pub fn spend(&self, nanos: Nanos, now: Duration) {
        self.spent(now, |spent| {
            spent.began.get_or_insert(now);
            spent.nanos = spent.nanos.saturating_add(nanos.0);
            spent.untold = spent.untold.saturating_add(nanos.0);
        });
    }

    /// Whose it is, as a name of a shared key.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.payer {
            Payer::Provider(name) => format!("provider:{name}"),
            Payer::Deployment { id, .. } => format!("deployment:{id}"),
            Payer::Tag(tag) => format!("tag:{tag}"),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// What may be spent.
    #[must_use]
    pub fn limit(&self) -> Nanos {
        self.limit
    }

    /// What is spent of it, and for how long its window goes on; `None`: it has not begun, or does not end.
    #[must_use]
    pub fn state(&self, now: Duration) -> (Nanos, Option<Duration>) {
        self.spent(now, |spent| {
            let ends = spent.began.zip(self.window).map(|(began, window)| began.saturating_add(window));
            (Nanos(spent.nanos), ends.map(|ends| ends.saturating_sub(now)))
        })
    }

    /// How long its window is.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.window
    }

    /// What the other instances are to be told; counts as told from now on.
    #[must_use]
    pub fn tell(&self, now: Duration) -> Nanos {
        self.spent(now, |spent| Nanos(std::mem::take(&mut spent.untold)))
    }

    /// They could not be told: it is told the next time.
    pub fn was_not_told(&self, nanos: Nanos, now: Duration) {
        self.spent(now, |spent| spent.untold = spent.untold.saturating_add(nanos.0));
    }

    /// What all instances have spent together, and for how long their window goes on; `None`: it has not begun, or does not
    /// end.
    pub fn hear(&self, together: Nanos, left: Option<Duration>, now: Duration) {
        self.spent(now, |spent| {
            // What was spent meanwhile is not in it.
            spent.nanos = together.0.saturating_add(spent.untold);
            let began = left.zip(self.window).map(|(left, window)| (now + left).saturating_sub(window));
            spent.began = if spent.nanos == 0 { None } else { began.or(spent.began).or(Some(now)) };
        });
    }

    /// What is used up, in `LiteLLM`'s words; `None`: there is something left.
    #[must_use]
    pub fn used_up(&self, now: Duration) -> Option<String> {
        let spent = self.spent(now, |spent| Nanos(spent.nanos));
        if spent < self.limit {
            return None;
        }
        let limit = self.limit;
        Some(match &self.payer {
            Payer::Provider(name) => format!("Exceeded budget for provider {name}: {spent} >= {limit}"),
            Payer::Deployment { id, group, model } => format!(
                "Exceeded budget for deployment model_name: {group}, litellm_params.model: {model}, model_id: {id}: \
                 {spent} >= {limit}"
            ),
            Payer::Tag(tag) => {
                format!("Exceeded budget for tag='{tag}', tag_spend={spent}, tag_budget_limit={limit}")
            }
        })
    }

    /// Goes on with what a purse of the same payer has spent.
    fn inherit(&self, before: &Self) {
        let known = Arc::clone(&before.spent.lock().unwrap_or_else(PoisonError::into_inner));
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// All purses of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Purses {
    of: HashMap<Payer, Arc<Purse>>,
    /// By tag, for calls to be looked up by theirs.
    tags: HashMap<String, Arc<Purse>>,
}

impl Purses {
    /// Adds a purse; the first one of a payer stays.
    pub fn add(&mut self, purse: Purse) -> Arc<Purse> {
        let payer = purse.payer.clone();
        let purse = Arc::clone(self.of.entry(payer.clone()).or_insert_with(|| Arc::new(purse)));
        if let Payer::Tag(tag) = payer {
            self.tags.insert(tag, Arc::clone(&purse));
        }
        purse
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Purse>> {
        self.of.values()
    }

    /// The purses of a call's tags.
    pub(crate) fn of_tags<'t>(&'t self, tags: &'t [String]) -> impl Iterator<Item = &'t Arc<Purse>> {
        tags.iter().filter_map(|tag| self.tags.get(tag))
    }

    /// A reload forgets nothing that was spent.
    pub(crate) fn inherit(&self, before: &Self) {
        for (payer, purse) in &self.of {
            if let Some(before) = before.of.get(payer) {
                purse.inherit(before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn openai(limit: u64) -> Purse {
        Purse::new(Payer::Provider("openai".to_owned()), Nanos(limit), Some(at(60)))
    }

    #[test]
    fn a_purse_is_used_up_until_its_window_is_over() {
        let purse = openai(1_000);
        purse.spend(Nanos(999), at(10));
        assert_eq!(purse.used_up(at(11)), None);
        purse.spend(Nanos(1), at(30));
        let words = "Exceeded budget for provider openai: 0.000001 >= 0.000001";
        assert_eq!(purse.used_up(at(69)).as_deref(), Some(words));
        assert_eq!(purse.state(at(69)), (Nanos(1_000), Some(at(1))));
        assert_eq!(purse.used_up(at(70)), None, "the window began with the first spending");
        assert_eq!(purse.state(at(70)), (Nanos(0), None));
        purse.spend(Nanos(5_000), at(200));
        assert!(purse.used_up(at(259)).is_some() && purse.used_up(at(260)).is_none());
    }

    #[test]
    fn nothing_may_be_spent_of_nothing_and_a_purse_without_a_window_stays_used_up() {
        assert!(openai(0).used_up(at(1)).is_some());
        let purse = Purse::new(Payer::Tag("t".to_owned()), Nanos(2_500_000_000), None);
        purse.spend(Nanos(3_000_000_000), at(1));
        let words = "Exceeded budget for tag='t', tag_spend=3.0, tag_budget_limit=2.5";
        assert_eq!(purse.used_up(at(1_000_000_000)).as_deref(), Some(words));
    }

    #[test]
    fn what_instances_spend_together_counts_once() {
        let (mine, its) = (openai(100), openai(100));
        mine.spend(Nanos(40), at(10));
        its.spend(Nanos(50), at(10));
        let told = mine.tell(at(11));
        assert_eq!((told, mine.tell(at(11))), (Nanos(40), Nanos(0)));
        mine.was_not_told(told, at(12));
        assert_eq!(mine.tell(at(13)), Nanos(40), "nothing is lost when nobody listens");
        mine.spend(Nanos(9), at(13));
        mine.hear(Nanos(90), Some(at(57)), at(13));
        assert_eq!(mine.used_up(at(13)), None);
        mine.spend(Nanos(1), at(14));
        assert!(mine.used_up(at(69)).is_some() && mine.used_up(at(70)).is_none(), "the window is that of all");
        mine.hear(Nanos(0), None, at(71));
        assert_eq!(mine.tell(at(71)), Nanos(0));
    }

    #[test]
    fn another_configuration_goes_on_with_what_was_spent() {
        let (mut before, mut after) = (Purses::default(), Purses::default());
        let (old, new) = (before.add(openai(10)), after.add(openai(20)));
        old.spend(Nanos(15), at(1));
        after.inherit(&before);
        assert!(new.used_up(at(2)).is_none());
        // A call that began under the old one settles while the new one holds.
        old.spend(Nanos(5), at(3));
        assert!(new.used_up(at(4)).is_some());
    }
}
