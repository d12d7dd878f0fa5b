//! What instances tell each other of their deployments, through Redis: a worker tells and hears every so often, and no
//! call ever waits for it (ADR 0008).

mod spending;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tollgate_kv::{Kv, KvError, Script, State};
use tollgate_router::{Claim, Counts, Deployment, Others, Share, Told};
use tollgate_wire::clock::Clock;

use crate::{
    gateway::Gateway,
    limits::{LimitSharing, Shared},
};

/// How long one telling may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the start waits to hear of the others.
const FIRST: Duration = Duration::from_millis(500);
/// An instance that was not heard for so long, or for ten tellings, is gone.
const LIVES: Duration = Duration::from_secs(2);
/// For so long what an instance did in its last minute counts after it was last heard.
const COUNTS: Duration = Duration::from_secs(62);
/// After Redis was away, for so long nobody takes more than its part, as the others may not be back yet.
const RETURN: Duration = Duration::from_secs(3);
/// Rests that end so close to each other are one.
const SAME: Duration = Duration::from_millis(50);
/// Deployments in one script, so that it never keeps Redis from others for long.
const AT_ONCE: usize = 64;
/// Numbers that come back for each.
const WIDTH: usize = 9;

/// What is needed to share.
pub struct Sharing {
    kv: Kv,
    interval: Duration,
    namespace: String,
    script: Script,
    spending: Script,
    live: AtomicU64,
    /// What limits of keys are held through, until the gateway has it.
    limits: Option<(Kv, LimitSharing, Arc<dyn Clock>)>,
}

/// How sharing goes, for those who look after the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharingState {
    redis: State,
    /// Instances that were last heard, this one included.
    pub instances: u64,
}

impl SharingState {
    /// Since when, after 1970, Redis has not answered. `None`: it does.
    #[must_use]
    pub fn redis_away_since(&self) -> Option<Duration> {
        match self.redis {
            State::Connected => None,
            State::Away { since } => Some(since),
        }
    }
}

impl Sharing {
    /// Sharing through this Redis, told every `interval`, under keys that begin with `namespace`.
    #[must_use]
    pub fn new(kv: Kv, interval: Duration, namespace: String) -> Self {
        let interval = interval.clamp(Duration::from_millis(10), Duration::from_secs(5));
        let [script, spending] = [include_str!("sharing.lua"), include_str!("sharing/spending.lua")].map(Script::new);
        Self { kv, interval, namespace, script, spending, live: AtomicU64::new(1), limits: None }
    }

    /// Limits of keys are those of all instances together, through a connection of their own: calls wait for it, so it is given
    /// up sooner.
    #[must_use]
    pub fn with_limits(mut self, kv: Kv, settings: LimitSharing, clock: Arc<dyn Clock>) -> Self {
        self.limits = Some((kv, settings, clock));
        self
    }

    pub(crate) fn take_limits(&mut self, process: u64) -> Option<Shared> {
        let (kv, settings, clock) = self.limits.take()?;
        Some(Shared::new(kv, self.namespace.clone(), settings, process, clock))
    }

    fn state(&self) -> SharingState {
        SharingState { redis: self.kv.state(), instances: self.live.load(Relaxed) }
    }
}

/// What the worker remembers from one telling to the next.
#[derive(Default)]
struct Memory {
    others: HashMap<String, Others>,
    /// Rests that were told or heard.
    rests: HashMap<String, Duration>,
    away: bool,
    /// Until when not all of the others may have come back.
    returning: Duration,
}

impl Gateway {
    /// How sharing goes; `None`: nothing is shared.
    #[must_use]
    pub fn sharing(&self) -> Option<SharingState> {
        self.sharing.as_ref().map(Sharing::state)
    }

    /// Tells the others of this instance and hears of them, once now and then as often as configured.
    pub async fn start_sharing(self: &Arc<Self>) {
        let Some(sharing) = &self.sharing else { return };
        let interval = sharing.interval;
        let mut memory = Memory::default();
        if tokio::time::timeout(FIRST, self.share(sharing, &mut memory)).await.is_err() {
            self.go_alone(sharing, &mut memory, &KvError::Late(FIRST));
        }
        let gateway = Arc::downgrade(self);
        self.workers.spawn_loop(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(gateway) = gateway.upgrade() else { return };
                let Some(sharing) = &gateway.sharing else { return };
                gateway.share(sharing, &mut memory).await;
            }
        });
    }

    /// Tells the others that this instance ends: what it claims and did not use is theirs.
    pub async fn stop_sharing(&self) {
        let Some(sharing) = &self.sharing else { return };
        if let Err(why) = self.told(sharing, &mut Memory::default(), false).await {
            tracing::debug!(target: "tollgate::sharing", %why, "the others are not told of this instance's end");
        }
    }

    async fn share(&self, sharing: &Sharing, memory: &mut Memory) {
        match self.told(sharing, memory, true).await {
            Ok(()) if memory.away => {
                memory.away = false;
                tracing::info!(target: "tollgate::sharing", instances = sharing.live.load(Relaxed), "redis is back");
            }
            Ok(()) => {}
            Err(why) => self.go_alone(sharing, memory, &why),
        }
    }

    /// Each deployment's limits, by as many instances as were last heard.
    fn go_alone(&self, sharing: &Sharing, memory: &mut Memory, why: &KvError) {
        let live = sharing.live.load(Relaxed);
        if !std::mem::replace(&mut memory.away, true) {
            tracing::warn!(target: "tollgate::sharing", %why, instances = live, "redis is away; limits are shared evenly");
        }
        memory.others.clear();
        for one in self.snapshot().fleet.deployments() {
            one.vitals.alone(&Share::equal(&one.limits(), live));
        }
    }

    async fn told(&self, sharing: &Sharing, memory: &mut Memory, stays: bool) -> Result<(), KvError> {
        sharing.kv.connect().await?;
        let snapshot = self.snapshot();
        let before = sharing.live.load(Relaxed);
        let mut live = before;
        if memory.away {
            memory.returning = self.clock.monotonic() + RETURN;
        }
        let returning = self.clock.monotonic() < memory.returning;
        // Without deployments there still is an instance that lives.
        let deployments = snapshot.fleet.deployments();
        let chunks = deployments.chunks(AT_ONCE).chain(deployments.is_empty().then_some(deployments));
        for chunk in chunks {
            let (keys, arguments) = self.telling(sharing, memory, chunk, stays, returning.then_some(before));
            let numbers = sharing.kv.run(&sharing.script, &keys, &arguments, PATIENCE).await?;
            let Some((heard, rows)) = numbers.split_first() else { continue };
            live = positive(*heard).max(1);
            if stays {
                let live = if returning { live.max(before) } else { live };
                let rows = rows.chunks_exact(WIDTH);
                chunk.iter().zip(rows).for_each(|(one, row)| self.heard(memory, one, row, live));
            }
        }
        sharing.live.store(if returning { live.max(before) } else { live }, Relaxed);
        // What others hold less of is room here.
        self.lines.ring_all();
        self.tell_spending(sharing, &snapshot).await
    }

    /// Keys and arguments of the script.
    fn telling(
        &self,
        sharing: &Sharing,
        memory: &mut Memory,
        chunk: &[Deployment],
        stays: bool,
        most: Option<u64>,
    ) -> (Vec<String>, Vec<String>) {
        // One place of a cluster holds all of it.
        let key = |what: &str| format!("{{{}}}:{what}", sharing.namespace);
        let lives = LIVES.max(sharing.interval * 10);
        let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
        let mut keys = vec![key("instances")];
        let mut arguments =
            vec![self.instance.clone(), flag(stays), lives.as_millis().to_string(), COUNTS.as_millis().to_string()];
        for one in chunk {
            let now = self.clock.monotonic();
            let others = memory.others.get(&one.id).copied().unwrap_or_default();
            let mut told = one.vitals.tell(now, &one.limits(), &others, most);
            if !stays {
                told = last(told);
            }
            keys.push(key(&format!("deployment:{}", one.id)));
            let rest = new_rest(memory, one, now);
            arguments.extend(numbers(&told, rest).map(|number| number.to_string()));
        }
        (keys, arguments)
    }

    /// One deployment's row of the answer.
    fn heard(&self, memory: &mut Memory, one: &Deployment, row: &[i64], live: u64) {
        let &[flying, requests, tokens, successes, failures, want, granted, granted_tokens, rest] = row else { return };
        let counts = [requests, tokens, successes, failures].map(positive);
        let [requests, tokens, successes, failures] = counts;
        let others = Others {
            live,
            minute: Counts { requests, successes, failures, tokens },
            in_flight: u32::try_from(flying).unwrap_or_default(),
            want: want > 0,
        };
        let (now, limits) = (self.clock.monotonic(), one.limits());
        let held = |limit: Option<u64>, granted: i64| limit.map(|_| positive(granted));
        one.vitals.hear(now, &limits, &others, held(limits.rpm, granted), held(limits.tpm, granted_tokens));
        match memory.others.get_mut(&one.id) {
            Some(known) => *known = others,
            None => {
                memory.others.insert(one.id.clone(), others);
            }
        }
        let until = now + Duration::from_millis(positive(rest));
        let own = one.vitals.resting_until().unwrap_or_default();
        // What was told or heard before is no news: its cause may be gone here since (another key, no rests any more).
        let known = memory.rests.get(&one.id).copied().unwrap_or_default().max(own);
        if rest > 0 && until > known + SAME && !self.snapshot().fleet.rules().rest.disabled {
            one.vitals.rest(until);
            memory.rests.insert(one.id.clone(), until);
            let seconds = until.saturating_sub(now).as_secs_f64();
            tracing::info!(target: "tollgate::sharing", deployment = %one.id, seconds, "another instance lets a deployment rest");
        }
    }
}

/// How long a deployment rests from now on, if the others have not been told. Told again and again it would grow by the
/// way there and back.
fn new_rest(memory: &mut Memory, one: &Deployment, now: Duration) -> Option<Duration> {
    let until = one.vitals.resting_until().filter(|until| *until > now)?;
    let known = memory.rests.get(&one.id).copied().unwrap_or_default();
    if until <= known + SAME {
        return None;
    }
    memory.rests.insert(one.id.clone(), until);
    Some(until - now)
}

/// What an instance leaves behind: what it used.
fn last(mut told: Told) -> Told {
    let used = |claim: Option<Claim>, used: u64| claim.map(|claim| Claim { kept: used, asked: used, ..claim });
    told.requests = used(told.requests, told.minute.requests);
    told.tokens = used(told.tokens, told.minute.tokens);
    Told { in_flight: 0, want: false, ..told }
}

/// In the order in which the script takes them.
fn numbers(told: &Told, rest: Option<Duration>) -> impl Iterator<Item = i64> {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let claim = |claim: Option<Claim>| {
        claim.map_or([0, 0, -1], |claim| [whole(claim.kept), whole(claim.asked), whole(claim.limit)])
    };
    let minute = told.minute;
    let rest = rest.map_or(0, |rest| i64::try_from(rest.as_millis()).unwrap_or(i64::MAX));
    let counts = [minute.requests, minute.tokens, minute.successes, minute.failures].map(whole);
    std::iter::once(i64::from(told.in_flight))
        .chain(counts)
        .chain([i64::from(told.want)])
        .chain(claim(told.requests))
        .chain(claim(told.tokens))
        .chain([rest])
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
