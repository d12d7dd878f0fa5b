//! Limits a minute and at one time: of a key, those above it, one model for them, a customer, a tag, the whole gateway. All that
//! hold for a call are taken together or not at all; the minute is a sliding one of whole seconds, so that a limit holds in
//! every minute.

use std::collections::HashMap;

use tollgate_wire::window::{Counts, Window};

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// The key's.
    Key,
    /// The key's for one model.
    KeyModel,
    /// All keys of its user.
    User,
    /// All keys of its team.
    Team,
    /// Its user's in the team.
    Member,
    /// All keys of the organisation.
    Organization,
    /// All keys of the project.
    Project,
    /// All keys of its team, for one model.
    TeamModel,
    /// All keys of the organisation, for one model.
    OrganizationModel,
    /// All keys of the project, for one model.
    ProjectModel,
    /// The customer for whom the call is made.
    Customer,
    /// All calls with the tag.
    Tag,
    /// All calls that come in here.
    Gateway,
}

impl LimitScope {
    /// `LiteLLM`'s name, in refusals and headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "api_key",
            Self::KeyModel => "model_per_key",
            Self::User => "user",
            Self::Team => "team",
            Self::Member => "team_member",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::TeamModel => "model_per_team",
            Self::OrganizationModel => "model_per_organization",
            Self::ProjectModel => "model_per_project",
            Self::Customer => "end_user",
            Self::Tag => "tag",
            Self::Gateway => "global",
        }
    }
}

/// How much there may be; none: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute, input and output.
    pub tpm: Option<u64>,
    /// Calls at one time.
    pub parallel: Option<u64>,
}

impl Most {
    /// Nothing is limited.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A limit that holds for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whose.
    pub scope: LimitScope,
    /// Which of them: a digest, an id.
    pub id: String,
    /// For this model only, where it is one model's.
    pub model: Option<String>,
    /// How much.
    pub most: Most,
}

/// What is in use of a limit, and what of it stopped a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The limit.
    pub limit: Limit,
    /// What of it.
    pub what: What,
    /// Requests of the last minute.
    pub requests: u64,
    /// Tokens of the last minute.
    pub tokens: u64,
    /// Calls at this time.
    pub running: u64,
    /// Seconds until there may be room; none: when a call ends.
    pub wait: Option<u64>,
}

/// What of a limit stopped a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Calls at one time.
    Parallel,
}

impl What {
    /// `LiteLLM`'s name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Parallel => "max_parallel_requests",
        }
    }
}

/// What is left of a limit, for headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests in this minute.
    pub requests: Option<u64>,
    /// Tokens in this minute.
    pub tokens: Option<u64>,
    /// Seconds until the oldest that counts no longer does.
    pub reset: u64,
}

/// What a call has taken, and gives back or settles.
#[derive(Debug)]
pub struct Taken {
    places: Vec<Place>,
    /// The second in which it was counted.
    second: u64,
    /// Tokens that were expected.
    expected: u64,
}

type Place = (LimitScope, String, Option<String>);

#[derive(Debug, Default)]
struct InUse {
    window: Window,
    running: u64,
    seen: u64,
}

/// What is in use of all limits.
#[derive(Debug, Default)]
pub struct Limiter {
    in_use: HashMap<Place, InUse>,
    swept: u64,
}

/// Seconds after which what nobody uses is forgotten: longer than a minute counts.
const IDLE: u64 = 120;

fn place(limit: &Limit) -> Place {
    (limit.scope, limit.id.clone(), limit.model.clone())
}

impl Limiter {
    /// Takes a place under all these limits for a call that is expected to use so many tokens, at this second.
    ///
    /// # Errors
    /// The first limit under which there is no room; nothing is taken then.
    pub fn take(&mut self, limits: &[Limit], expected: u64, second: u64) -> Result<Taken, Box<Reached>> {
        self.sweep(second);
        for limit in limits {
            if let Some(reached) = self.reached(limit, expected, second) {
                return Err(Box::new(reached));
            }
        }
        let places: Vec<Place> = limits.iter().map(place).collect();
        for place in &places {
            let in_use = self.in_use.entry(place.clone()).or_default();
            in_use.window.add(second, &Counts { requests: 1, tokens: expected, ..Counts::default() });
            in_use.running += 1;
            in_use.seen = second;
        }
        Ok(Taken { places, second, expected })
    }

    fn reached(&mut self, limit: &Limit, expected: u64, second: u64) -> Option<Reached> {
        let in_use = self.in_use.entry(place(limit)).or_default();
        in_use.seen = second;
        let counts = in_use.window.at(second);
        let most = &limit.most;
        let is_over =
            |most: Option<u64>, used: u64, more: u64| most.is_some_and(|most| used.saturating_add(more) > most);
        let what = if is_over(most.parallel, in_use.running, 1) {
            What::Parallel
        } else if is_over(most.rpm, counts.requests, 1) {
            What::Requests
        } else if is_over(most.tpm, counts.tokens, expected.max(1)) {
            What::Tokens
        } else {
            return None;
        };
        let wait = (what != What::Parallel).then(|| in_use.window.until_room(second));
        let (requests, tokens, running) = (counts.requests, counts.tokens, in_use.running);
        Some(Reached { limit: limit.clone(), what, requests, tokens, running, wait })
    }

    /// The call is over and has used so many tokens.
    pub fn settle(&mut self, taken: &Taken, used: u64, second: u64) {
        for place in &taken.places {
            let Some(in_use) = self.in_use.get_mut(place) else { continue };
            in_use.running = in_use.running.saturating_sub(1);
            in_use.seen = second;
            if used < taken.expected {
                let back = Counts { tokens: taken.expected - used, ..Counts::default() };
                in_use.window.give_back(taken.second, &back);
            } else if used > taken.expected {
                in_use.window.add(second, &Counts { tokens: used - taken.expected, ..Counts::default() });
            }
        }
    }

    /// The call was never made: it counts as none.
    pub fn give_back(&mut self, taken: &Taken) {
        for place in &taken.places {
            let Some(in_use) = self.in_use.get_mut(place) else { continue };
            in_use.running = in_use.running.saturating_sub(1);
            in_use.window.give_back(taken.second, &Counts { requests: 1, tokens: taken.expected, ..Counts::default() });
        }
    }

    /// What is left of a limit.
    #[must_use]
    pub fn left(&mut self, limit: &Limit, second: u64) -> Left {
        let Some(in_use) = self.in_use.get_mut(&place(limit)) else {
            return Left { requests: limit.most.rpm, tokens: limit.most.tpm, reset: 0 };
        };
        let counts = in_use.window.at(second);
        Left {
            requests: limit.most.rpm.map(|most| most.saturating_sub(counts.requests)),
            tokens: limit.most.tpm.map(|most| most.saturating_sub(counts.tokens)),
            reset: in_use.window.until_room(second),
        }
    }

    /// Places that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_use.len()
    }

    /// Nothing is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_use.is_empty()
    }

    fn sweep(&mut self, second: u64) {
        if second.saturating_sub(self.swept) < IDLE {
            return;
        }
        self.swept = second;
        self.in_use.retain(|_, in_use| in_use.running > 0 || second.saturating_sub(in_use.seen) < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(scope: LimitScope, id: &str, rpm: Option<u64>, tpm: Option<u64>, parallel: Option<u64>) -> Limit {
        Limit { scope, id: id.to_owned(), model: None, most: Most { rpm, tpm, parallel } }
    }

    #[test]
    fn a_limit_holds_in_every_minute() {
        let limits = [limit(LimitScope::Key, "k", Some(4), None, None)];
        let mut limiter = Limiter::default();
        let mut begun: Vec<u64> = Vec::new();
        for second in (0..400).flat_map(|second| [second; 3]) {
            if let Ok(taken) = limiter.take(&limits, 0, second) {
                limiter.settle(&taken, 10, second);
                begun.push(second);
            }
        }
        for at in &begun {
            let in_minute = begun.iter().filter(|other| (*at..at + 60).contains(*other)).count();
            assert!(in_minute <= 4, "{in_minute} in the minute from {at}");
        }
        assert!(begun.len() >= 4 * 6, "{}", begun.len());
    }

    #[test]
    fn all_limits_are_taken_or_none() {
        let (key, team) =
            (limit(LimitScope::Key, "k", Some(10), None, None), limit(LimitScope::Team, "t", Some(1), None, None));
        let mut limiter = Limiter::default();
        let both = [key.clone(), team];
        limiter.take(&both, 0, 0).unwrap();
        let reached = limiter.take(&both, 0, 1).unwrap_err();
        assert_eq!((reached.limit.scope, reached.what, reached.wait), (LimitScope::Team, What::Requests, Some(60)));
        assert_eq!(limiter.left(&key, 1).requests, Some(9), "nothing was taken of the key");
    }

    #[test]
    fn tokens_are_expected_and_then_known() {
        let limits = [limit(LimitScope::Key, "k", None, Some(200), None)];
        let mut limiter = Limiter::default();
        let taken = limiter.take(&limits, 150, 0).unwrap();
        assert_eq!(limiter.take(&limits, 60, 0).unwrap_err().what, What::Tokens);
        limiter.settle(&taken, 80, 5);
        assert_eq!(limiter.left(&limits[0], 5).tokens, Some(120));
        let taken = limiter.take(&limits, 100, 6).unwrap();
        limiter.settle(&taken, 130, 7);
        assert_eq!(limiter.left(&limits[0], 7).tokens, Some(0), "what was more than expected counts, too");
        assert_eq!(limiter.take(&limits, 0, 7).unwrap_err().tokens, 210);
    }

    #[test]
    fn a_place_is_free_when_its_call_is_over() {
        let limits = [limit(LimitScope::Key, "k", Some(3), None, Some(1))];
        let mut limiter = Limiter::default();
        let taken = limiter.take(&limits, 0, 0).unwrap();
        let reached = limiter.take(&limits, 0, 0).unwrap_err();
        assert_eq!((reached.what, reached.wait), (What::Parallel, None));
        limiter.give_back(&taken);
        let taken = limiter.take(&limits, 0, 0).unwrap();
        limiter.settle(&taken, 0, 0);
        assert_eq!(limiter.left(&limits[0], 0).requests, Some(2), "a call that was never made counts as none");
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut limiter = Limiter::default();
        for number in 0..1000 {
            let limits = [limit(LimitScope::Key, &number.to_string(), Some(1), None, None)];
            let taken = limiter.take(&limits, 0, 0).unwrap();
            limiter.settle(&taken, 0, 0);
        }
        assert_eq!(limiter.len(), 1000);
        let limits = [limit(LimitScope::Key, "x", Some(1), None, None)];
        limiter.take(&limits, 0, 500).unwrap();
        assert_eq!(limiter.len(), 1);
    }
}
