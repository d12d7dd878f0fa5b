//! What holds in every run, whatever happens: read off the facts alone, by other means than the router's.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tollgate_router::Fleet;

use super::clockwork::{Fact, Try};

const MINUTE: Duration = Duration::from_secs(60);

/// All of them.
pub(crate) fn check(fleet: &Fleet, facts: &[Fact]) {
    once(facts);
    if let Some(rules) = &fleet.rules().hedging {
        hedges(facts, rules.max_share);
    }
    for (index, one) in fleet.deployments().iter().enumerate() {
        let own: Vec<&Fact> = facts.iter().filter(|fact| of(fact) == Some(index)).collect();
        rests(&own);
        if let Some(most) = one.parallel {
            parallel(&own, most);
        }
        if let Some(most) = one.rpm {
            requests(&own, most);
        }
        if let Some(most) = one.tpm {
            tokens(&own, most);
        }
    }
}

fn of(fact: &Fact) -> Option<usize> {
    match fact {
        Fact::Began(one) | Fact::Answered(one) | Fact::Ended { of: one, .. } => Some(one.deployment),
        Fact::Rested { deployment, .. } => Some(*deployment),
        Fact::Arrived | Fact::Done { .. } => None,
    }
}

fn began<'f>(own: &'f [&Fact]) -> impl Iterator<Item = Try> + 'f {
    own.iter().filter_map(|fact| if let Fact::Began(one) = fact { Some(*one) } else { None })
}

/// Every attempt that began has ended, once.
fn once(facts: &[Fact]) {
    let mut flying = HashSet::new();
    for fact in facts {
        match fact {
            Fact::Began(one) => assert!(flying.insert(one.number), "{} began twice", one.number),
            Fact::Ended { of, .. } => assert!(flying.remove(&of.number), "{} ended twice", of.number),
            _ => {}
        }
    }
    assert!(flying.is_empty(), "{flying:?} never ended");
}

/// At no time were there more hedges than the share of the calls until then.
fn hedges(facts: &[Fact], share: f64) {
    let (mut calls, mut hedges) = (0.0, 0.0);
    for fact in facts {
        match fact {
            Fact::Arrived => calls += 1.0,
            Fact::Began(one) if one.beside => hedges += 1.0,
            _ => {}
        }
        assert!(hedges <= calls * share + 1e-6, "{hedges} hedges of {calls} calls");
    }
}

/// Nobody is asked while it rests; after that one call, until it is answered.
fn rests(own: &[&Fact]) {
    let (mut rest, mut probe) = (None::<Duration>, None::<usize>);
    for fact in own {
        match fact {
            Fact::Began(one) => {
                if let Some(until) = rest {
                    assert!(one.at >= until, "asked at {:?}, and it rests until {until:?}", one.at);
                    assert_eq!(probe, None, "a second call before the first has shown that it is back");
                    probe = Some(one.call);
                }
            }
            Fact::Answered(one) if probe == Some(one.call) => (rest, probe) = (None, None),
            Fact::Ended { of, .. } if probe == Some(of.call) => probe = None,
            Fact::Rested { until, .. } => rest = rest.max(Some(*until)),
            _ => {}
        }
    }
}

fn parallel(own: &[&Fact], most: u64) {
    let mut flying = 0;
    for fact in own {
        match fact {
            Fact::Began(_) => flying += 1,
            Fact::Ended { .. } => flying -= 1,
            _ => {}
        }
        assert!(flying <= most, "{flying} at one time, {most} are allowed");
    }
}

/// In no minute, wherever it begins, do more calls begin.
fn requests(own: &[&Fact], most: u64) {
    let times: Vec<Duration> = began(own).map(|one| one.at).collect();
    let most = usize::try_from(most).unwrap();
    for pair in times.windows(most + 1) {
        assert!(pair[most] - pair[0] >= MINUTE, "{} calls within {:?}", most + 1, pair[most] - pair[0]);
    }
}

/// What was used in the last minute and what is expected of those on their way leaves room for every call that begins, unless
/// nothing at all is used. What calls really use, any minute, is above the limit by no more than what those that were on
/// their way when the last of them began used beyond what was expected: one call, where one flies at a time.
fn tokens(own: &[&Fact], most: u64) {
    let mut flying: HashMap<usize, u64> = HashMap::new();
    let mut used: Vec<(Duration, u64)> = Vec::new();
    let mut last: Option<(Try, Vec<usize>)> = None;
    let mut beyond: HashMap<usize, u64> = HashMap::new();
    for fact in own {
        match fact {
            Fact::Began(one) => {
                let counted = sum(&used, one.at) + flying.values().sum::<u64>();
                assert!(counted == 0 || counted + one.guess <= most, "{counted} used, {} more, of {most}", one.guess);
                flying.insert(one.call, one.guess);
                last = Some((*one, flying.keys().copied().collect()));
            }
            Fact::Ended { of, at, used: spent } => {
                flying.remove(&of.call);
                let spent = spent.unwrap_or_default();
                used.push((*at, spent));
                beyond.insert(of.call, spent.saturating_sub(of.guess));
                let Some((last, with)) = &last else { continue };
                let alone = last.guess.saturating_sub(most);
                let over: u64 = with.iter().filter_map(|call| beyond.get(call)).sum();
                let total = sum(&used, *at);
                assert!(total <= most + over + alone, "{total} used in a minute, of {most}, {over} beyond");
            }
            _ => {}
        }
    }
}

fn sum(used: &[(Duration, u64)], now: Duration) -> u64 {
    used.iter().rev().take_while(|(at, _)| now - *at < MINUTE).map(|(_, tokens)| tokens).sum()
}
