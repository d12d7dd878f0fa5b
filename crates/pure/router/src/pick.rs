//! One deployment of a group, by the strategy, of those that may take the call. Nothing is allocated for a deployment.

use std::time::Duration;

use crate::{
    fleet::{Deployment, Fleet, Group},
    level::{Level, fraction, spread},
    look::{Look, Wants, Why},
    rules::Strategy,
};

/// What came of picking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// This one (an index into the fleet).
    One(usize),
    /// Nobody now; somebody may later.
    Later(Room),
    /// Nobody for this call.
    Nobody(Option<Why>),
}

/// When there may be room for a call that finds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// By itself, as far as that is known.
    pub(crate) until: Option<Duration>,
    /// Whenever another call is over.
    pub(crate) any_time: bool,
}

impl Room {
    pub(crate) fn of(reasons: impl Iterator<Item = Why>) -> Self {
        reasons.filter(Why::passes).fold(Self::default(), |room, why| match why.until() {
            Some(until) => Self { until: Some(room.until.map_or(until, |first| first.min(until))), ..room },
            None => Self { any_time: true, ..room },
        })
    }
}

/// Picks, of the lowest order that has somebody.
pub(crate) fn pick(
    fleet: &Fleet,
    group: &Group<'_>,
    wants: &Wants,
    failed: &[usize],
    now: Duration,
    seed: u64,
) -> Picked {
    let look = Look::new(fleet, group, wants, failed, now);
    let found = group.levels.iter().find_map(|level| {
        let at = choose(level, &look, seed)?;
        level.members.get(at)
    });
    // Between two looks others come and go: whoever is free now is better than to say that nobody is.
    let found = found.or_else(|| group.levels.iter().flat_map(|level| &level.members).find(|index| look.may(**index)));
    match found {
        Some(index) => Picked::One(*index),
        None => nobody(group, &look),
    }
}

fn nobody(group: &Group<'_>, look: &Look<'_>) -> Picked {
    let reasons = || group.members.iter().filter_map(|index| look.why(*index));
    if reasons().any(|why| why.passes()) {
        return Picked::Later(Room::of(reasons()));
    }
    // What a client can do something about comes before what it cannot.
    Picked::Nobody(reasons().max_by_key(|why| match why {
        Why::Window(_) => 3,
        Why::Tags => 2,
        Why::Region | Why::Schema => 1,
        _ => 0,
    }))
}

/// The position in the level of the one that is picked.
fn choose(level: &Level, look: &Look<'_>, seed: u64) -> Option<usize> {
    let rules = look.fleet.rules();
    if let Some(pinned) = look.wants.pinned {
        let at = level.members.iter().position(|index| *index == pinned)?;
        return look.may(pinned).then_some(at);
    }
    let now = look.now;
    match (rules.strategy, look.wants.affinity) {
        (Strategy::CacheAffinity, Some(key)) => affine(level, look, key),
        (_, Some(key)) if rules.affinity => affine(level, look, key),
        (Strategy::Shuffle | Strategy::CacheAffinity, _) => shuffle(level, look, seed),
        (Strategy::TwoChoices, _) => two_choices(level, look, seed),
        (Strategy::LeastBusy, _) => least(level, look, seed, 0.0, |one| f64::from(one.vitals.in_flight())),
        #[expect(clippy::cast_precision_loss, reason = "nobody uses 2^52 tokens a minute")]
        (Strategy::LeastUsed, _) => least(level, look, seed, 0.0, |one| one.vitals.last_minute(now).tokens as f64),
        (Strategy::Fastest, _) => {
            least(level, look, seed, rules.latency_buffer, |one| one.vitals.latency(now).unwrap_or(0.0))
        }
        // LiteLLM's price of a model that has none: 5.0 for each of the two.
        (Strategy::Cheapest, _) => least(level, look, seed, 0.0, |one| one.price.unwrap_or(10.0)),
    }
}

fn may(level: &Level, look: &Look<'_>, at: usize) -> bool {
    level.members.get(at).is_some_and(|index| look.may(*index))
}

fn deployment<'l>(level: &Level, look: &Look<'l>, at: usize) -> Option<&'l Deployment> {
    look.fleet.deployments().get(*level.members.get(at)?)
}

/// So many guesses are made in a large group before all of it is looked at.
const GUESSES: u64 = 8;
/// A group that is large.
const LARGE: usize = 16;

/// By chance, in proportion to the weights.
fn shuffle(level: &Level, look: &Look<'_>, seed: u64) -> Option<usize> {
    if level.members.len() == 1 {
        return may(level, look, 0).then_some(0);
    }
    if level.members.len() > LARGE {
        let mut guesses = (0..GUESSES).filter_map(|guess| level.at(fraction(spread(seed.wrapping_add(guess)))));
        if let Some(at) = guesses.find(|at| may(level, look, *at)) {
            return Some(at);
        }
    }
    // Chance that no guess has used: the guesses that failed say where the open ones are not.
    let chance = fraction(spread(seed.wrapping_add(GUESSES)));
    let open = || (0..level.members.len()).filter(|at| may(level, look, *at));
    let (count, total) = open().fold((0_u32, 0.0), |(count, total), at| (count + 1, total + level.weight(at)));
    if total <= 0.0 {
        let chosen = chance * f64::from(count);
        return open().zip(1_u32..).find(|(_, nth)| f64::from(*nth) > chosen).map(|(at, _)| at);
    }
    let mut left = chance * total;
    let mut last = None;
    for at in open().filter(|at| level.weight(*at) > 0.0) {
        left -= level.weight(at);
        last = Some(at);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// By chance among those whose measure is the least, or within this share of it.
fn least(level: &Level, look: &Look<'_>, seed: u64, share: f64, measure: impl Fn(&Deployment) -> f64) -> Option<usize> {
    let measures = || {
        let all = 0..level.members.len();
        all.filter(|at| may(level, look, *at)).filter_map(|at| Some((at, measure(deployment(level, look, at)?))))
    };
    // One look at each: what is measured changes meanwhile.
    let mut least = Equals::default();
    let mut best = f64::INFINITY;
    for (at, measure) in measures() {
        if measure < best {
            (best, least) = (measure, Equals::default());
        }
        if measure <= best {
            least.add(at, seed);
        }
    }
    let bound = best + best.abs() * share;
    if bound > best {
        let mut near = Equals::default();
        measures().filter(|(_, measure)| *measure <= bound).for_each(|(at, _)| near.add(at, seed));
        return near.chosen.or(least.chosen);
    }
    least.chosen
}

/// One of equals by chance, of which nobody knows how many there are: the nth replaces the one before with a chance of 1 in n.
#[derive(Default)]
struct Equals {
    count: u32,
    chosen: Option<usize>,
}

impl Equals {
    fn add(&mut self, at: usize, seed: u64) {
        self.count += 1;
        let is_only = self.count == 1;
        if is_only || fraction(spread(seed.wrapping_add(u64::from(self.count)))) * f64::from(self.count) < 1.0 {
            self.chosen = Some(at);
        }
    }
}

/// Of two by chance, the one with less work before a new call is done.
fn two_choices(level: &Level, look: &Look<'_>, seed: u64) -> Option<usize> {
    let one = shuffle(level, look, seed)?;
    let other = shuffle(level, look, spread(seed ^ 0x5851_F42D_4C95_7F2D))?;
    let state = |at: usize| {
        let vitals = deployment(level, look, at).map(|one| &one.vitals);
        let flying = vitals.map_or(0.0, |vitals| f64::from(vitals.in_flight()));
        (flying + 1.0, vitals.and_then(|vitals| vitals.latency(look.now)))
    };
    let (first, second) = (state(one), state(other));
    // One whose latency nobody knows would draw every call until its first answer; then calls alone are compared.
    let (of_one, of_other) = match (first.1, second.1) {
        (Some(mine), Some(its)) => (first.0 * mine, second.0 * its),
        _ => (first.0, second.0),
    };
    Some(if of_other < of_one { other } else { one })
}

/// A deployment may have so many times its share of the work before the next one is taken.
const LOAD_BOUND: f64 = 1.25;
/// So many deployments tell what the share is.
const SAMPLE: usize = 64;
/// So many are considered, from the best on.
const BEST: usize = 8;

/// The highest number with the key, and whose it is, below this one. Marks and key are spread already: one multiplication
/// mixes them, and a thousand of them are a microsecond.
fn best_below(level: &Level, key: u64, before: (u64, usize)) -> Option<(u64, usize)> {
    let mut best = None;
    let mut highest = 0;
    for (at, mark) in level.marks.iter().enumerate() {
        let score = (mark ^ key).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if score >= highest && (score, at) < before {
            (best, highest) = (Some((score, at)), score);
        }
    }
    best
}

/// The one whose number with the key is the highest (rendezvous hashing), if it has work to spare: a deployment that
/// leaves takes its own keys with it, and no others.
fn affine(level: &Level, look: &Look<'_>, key: u64) -> Option<usize> {
    let sample = level.members.len().min(SAMPLE);
    let flying = (0..sample).filter_map(|at| deployment(level, look, at));
    let work: f64 = flying.map(|one| f64::from(one.vitals.in_flight())).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most a sample")]
    let most = (LOAD_BOUND * (work + 1.0) / sample.max(1) as f64).ceil();
    let key = spread(key);
    let mut before = (u64::MAX, usize::MAX);
    let mut spare = None;
    for _ in 0..level.members.len().min(BEST) {
        let Some(best) = best_below(level, key, before) else { break };
        before = best;
        if !may(level, look, best.1) {
            continue;
        }
        if deployment(level, look, best.1).is_some_and(|one| f64::from(one.vitals.in_flight()) < most) {
            return Some(best.1);
        }
        spare = spare.or(Some(best.1));
    }
    spare.or_else(|| shuffle(level, look, key))
}
