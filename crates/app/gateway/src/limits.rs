//! The limits of keys, of those above them, of customers and tags, as calls meet them: taken before the first attempt, settled
//! with what was used when the call is over, given back where nobody was asked. Each process holds them exactly; with Redis all
//! instances hold them together (`shared.rs`).

pub(crate) mod of_rows;
mod shared;
mod telling;

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use tollgate_policy::{Caller, Key, Limit, LimitScope, Limiter, Most, Taken};
use tollgate_router::{Group, Plan};
use tollgate_wire::{Failure, FailureKind, Usage, clock::Clock};

pub(crate) use self::shared::Shared;
use self::shared::{Counted, NoPlace, is_shared};
pub use self::shared::{LimitSharing, LimitSharingState};
use crate::{dispatch::Ask, gateway::Gateway, meter::Meter, routing::prompt_tokens, snapshot::Snapshot};

/// What the configuration says of limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LimitRules {
    /// Without Redis calls under limits are refused (`fail_closed_rate_limit_enforcement`).
    pub(crate) fail_closed: bool,
    /// Calls at one time, all clients together (`global_max_parallel_requests`).
    pub(crate) parallel: Option<u64>,
    /// What counts as tokens (`token_rate_limit_type`).
    pub(crate) counts: TokensCounted,
}

/// What counts toward limits of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokensCounted {
    /// Input and output.
    #[default]
    Total,
    /// What is sent.
    Input,
    /// What comes back.
    Output,
}

impl TokensCounted {
    /// `LiteLLM`'s spelling; whatever else it is counts all.
    pub(crate) fn of(text: Option<&str>) -> Self {
        match text {
            Some("input") => Self::Input,
            Some("output") => Self::Output,
            _ => Self::Total,
        }
    }

    fn used(self, usage: &Usage) -> u64 {
        match self {
            Self::Total => usage.total(),
            Self::Input => usage.input,
            Self::Output => usage.output,
        }
    }

    /// Of what is known of a call before it goes out.
    fn expected(self, prompt: u64) -> u64 {
        if self == Self::Output { 0 } else { prompt }
    }
}

/// What is in use of all limits.
pub(crate) struct Limits {
    limiter: Mutex<Limiter>,
    clock: Arc<dyn Clock>,
    shared: Option<Arc<Shared>>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Limits")
    }
}

/// A place under all limits that hold for a call.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<Limits>,
    taken: Vec<Taken>,
    /// The same in Redis.
    counted: Vec<Counted>,
    /// What held for the call, for its answer's headers.
    held: Vec<Limit>,
    rules: LimitRules,
}

impl Limits {
    pub(crate) fn new(clock: Arc<dyn Clock>, shared: Option<Shared>) -> Arc<Self> {
        Arc::new(Self { limiter: Mutex::default(), clock, shared: shared.map(Arc::new) })
    }

    /// What is shared with other instances, and how that goes.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Takes a place under all of these limits, or under none of them; none where nothing limits the call.
    ///
    /// # Errors
    /// 429 naming the limit, with the time after which there may be room; 503 where Redis has to be asked and is away.
    pub(crate) async fn take(
        self: &Arc<Self>,
        held: Vec<Limit>,
        expected: u64,
        rules: LimitRules,
    ) -> Result<Option<Permit>, Failure> {
        if held.is_empty() {
            return Ok(None);
        }
        let mut permit =
            Permit { limits: Arc::clone(self), taken: Vec::new(), counted: Vec::new(), held: Vec::new(), rules };
        permit.take(held, expected).await?;
        Ok(Some(permit))
    }

    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second(&self) -> u64 {
        self.clock.monotonic().as_secs()
    }
}

impl Permit {
    /// Takes a place under these limits, too.
    ///
    /// # Errors
    /// As [`Limits::take`]; what was held before is held still.
    async fn take(&mut self, more: Vec<Limit>, expected: u64) -> Result<(), Failure> {
        let limits = Arc::clone(&self.limits);
        // This process alone refuses whoever it can, so that Redis is not asked for them.
        let taken = limits.limiter().take(&more, expected, limits.second());
        self.taken.push(taken.map_err(|reached| limits.refusal(&reached))?);
        if let Some(shared) = &limits.shared {
            self.take_shared(shared, &more, expected).await?;
        }
        self.held.extend(more);
        Ok(())
    }

    async fn take_shared(&mut self, shared: &Shared, more: &[Limit], expected: u64) -> Result<(), Failure> {
        let of_all: Vec<Limit> = more.iter().filter(|limit| is_shared(limit)).cloned().collect();
        if of_all.is_empty() {
            return Ok(());
        }
        // Whoever is dropped while he waits has it corrected.
        self.counted.push(shared.begin(&of_all, expected));
        let Some(counted) = self.counted.last_mut() else { return Ok(()) };
        let refused = match shared.take(counted, &of_all).await {
            Ok(()) => return Ok(()),
            Err(NoPlace::Late) if !self.rules.fail_closed => return Ok(()),
            Err(why) => why,
        };
        if let Some(nothing) = self.counted.pop_if(|_| !matches!(refused, NoPlace::Late)) {
            shared.forget(&nothing);
        }
        let failure = match refused {
            NoPlace::Away if !self.rules.fail_closed => return Ok(()),
            NoPlace::Reached(reached) => self.limits.refusal(&reached),
            NoPlace::Away | NoPlace::Late => unheld(),
        };
        if let Some(taken) = self.taken.pop() {
            self.limits.limiter().give_back(&taken);
        }
        Err(failure)
    }

    /// Takes what else limits the key where these models are asked.
    ///
    /// # Errors
    /// 429, as [`Limits::take`].
    pub(crate) async fn extend(&mut self, more: Vec<Limit>, expected: u64) -> Result<(), Failure> {
        let more: Vec<Limit> = more.into_iter().filter(|limit| !self.held.contains(limit)).collect();
        if more.is_empty() { Ok(()) } else { self.take(more, expected).await }
    }

    /// The call is over: what its attempts used counts. Nobody was asked: it counts as none.
    pub(crate) fn settle<'u>(mut self, attempts: impl ExactSizeIterator<Item = &'u Usage>) {
        let asked = attempts.len() > 0;
        let used = attempts.map(|usage| self.rules.counts.used(usage)).sum();
        self.end(asked.then_some(used));
    }

    fn end(&mut self, used: Option<u64>) {
        if let Some(shared) = &self.limits.shared {
            self.counted.drain(..).for_each(|counted| shared.correct(counted, used));
        }
        let all = std::mem::take(&mut self.taken);
        if all.is_empty() {
            return;
        }
        let second = self.limits.second();
        let mut limiter = self.limits.limiter();
        all.iter().for_each(|taken| match used {
            Some(used) => limiter.settle(taken, used, second),
            None => limiter.give_back(taken),
        });
    }
}

impl Drop for Permit {
    /// A call that ended without its meter: its place is free, its request counts.
    fn drop(&mut self) {
        self.end(Some(0));
    }
}

/// The refusal where limits have to be those of all instances together, and cannot be.
fn unheld() -> Failure {
    let words =
        "limits cannot be held now, as Redis does not answer (fail_closed_rate_limit_enforcement); try again shortly";
    let mut failure = Failure::new(FailureKind::Overloaded, words);
    failure.retry_after = Some(std::time::Duration::from_secs(1));
    failure
}

/// The limits of a key that hold where these models are asked.
pub(crate) fn of_key<'k>(key: &'k Key, models: &'k [&str]) -> impl Iterator<Item = &'k Limit> {
    key.limits.iter().filter(|limit| limit.model.as_deref().is_none_or(|only| models.contains(&only)))
}

impl LimitRules {
    /// The limit of the whole gateway.
    pub(crate) fn of_gateway(&self) -> Option<Limit> {
        let most = Most { parallel: Some(self.parallel?), ..Most::default() };
        Some(Limit { scope: LimitScope::Gateway, id: String::new(), model: None, most })
    }
}

impl Gateway {
    /// Holds limits with other instances, where Redis is configured.
    pub async fn start_limits(&self) {
        if let Some(shared) = self.limits.shared() {
            shared.start(&self.workers).await;
        }
    }

    /// How limits are shared with other instances; none: each holds its own.
    #[must_use]
    pub fn limit_sharing(&self) -> Option<LimitSharingState> {
        self.limits.shared().map(|shared| shared.state())
    }

    /// Takes a place for a call that is no [`Ask`]: under the limits of its key, and of the customer that its headers name, who
    /// pays for it, too.
    ///
    /// # Errors
    /// As [`Limits::take`], and what the customer is refused with.
    pub(crate) async fn take_place(
        &self,
        snapshot: &Snapshot,
        caller: &Caller,
        models: &[&str],
        headers: &HeaderMap,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        let named = snapshot.whom.customer(headers, None);
        meter.made_for(snapshot, named.as_deref(), headers);
        let customer = match named {
            Some(named) => self.customer(snapshot, &named).await?,
            None => None,
        };
        let (limit, budgets) = customer.map(|customer| (customer.limit, customer.budgets)).unwrap_or_default();
        meter.paid_by(budgets);
        let rules = snapshot.limits;
        let of_key = caller.key().into_iter().flat_map(|key| of_key(key, models)).cloned();
        meter.holds(self.limits.take(of_key.chain(limit).chain(rules.of_gateway()).collect(), 0, rules).await?);
        Ok(())
    }
}

impl Ask {
    /// Takes a place for the call under all of its limits.
    ///
    /// # Errors
    /// As [`Limits::take`].
    pub(crate) async fn take_place(&self, group: &Group<'_>, meter: &mut Meter) -> Result<(), Failure> {
        let rules = self.snapshot.limits;
        let mut held: Vec<Limit> = Vec::new();
        if let Some(key) = self.caller.key() {
            held.extend(of_key(key, &[group.name, group.label()]).cloned());
        }
        held.extend(self.limits_of_whom());
        held.extend(rules.of_gateway());
        let counts_tokens = held.iter().any(|limit| limit.most.tpm.is_some());
        let expected = if counts_tokens { rules.counts.expected(prompt_tokens(&self.body)) } else { 0 };
        meter.holds(self.gateway.limits.take(held, expected, rules).await?);
        Ok(())
    }

    /// Why the group whose turn it is may not be asked: as the call itself wishes, or as it is a fallback that the key is limited
    /// for, whose limits are taken, too.
    pub(crate) async fn refused_there(&self, plan: &Plan<'_>, meter: &mut Meter) -> Option<Failure> {
        if let Some(mocked) = self.options.mock_failure(plan) {
            return Some(mocked);
        }
        let key = self.caller.key().filter(|key| key.limits.iter().any(|limit| limit.model.is_some()))?;
        let group = plan.group().filter(|_| plan.fallbacks() > 0)?;
        let models = [group.name, group.label()];
        let more: Vec<Limit> = of_key(key, &models).filter(|limit| limit.model.is_some()).cloned().collect();
        meter
            .holds_more(
                &self.gateway.limits,
                more,
                self.snapshot.limits.counts.expected(prompt_tokens(&self.body)),
                self.snapshot.limits,
            )
            .await
            .err()
    }
}
