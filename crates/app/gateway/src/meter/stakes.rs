//! What is set aside for the attempts of a call, and how far it reaches.

use std::{pin::Pin, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_catalog::tokens::Tokenizer;
use tollgate_ledger::{Nanos, estimate::Step};
use tollgate_policy::BudgetOf;
use tollgate_wire::Failure;

use super::Meter;
use crate::{
    budgets::{Payers, Stake, Topped},
    words::Words,
};

/// How far an attempt is written down at least this often (HOUSE: ledger rule 4).
const TELL_EVERY: Duration = Duration::from_secs(10);

static KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
static KEY_BUDGET: HeaderName = HeaderName::from_static("x-litellm-key-max-budget");
/// Our own: `LiteLLM` never makes an answer shorter.
static MAX_TOKENS: HeaderName = HeaderName::from_static("x-tollgate-max-tokens");

/// Other vocabularies than the one at hand make up to a quarter more of the same text.
fn with_margin(tokens: u64) -> u64 {
    tokens.saturating_add(tokens / 4)
}

/// More money, on its way.
pub(crate) type Raising = Pin<Box<dyn Future<Output = Result<More, Failure>> + Send>>;

/// What came of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// More is set aside.
    Held,
    /// What was said can be counted now.
    Counted,
}

/// What is set aside for the attempt that runs.
#[derive(Debug)]
pub(super) struct Staked {
    pub(super) stake: Stake,
    /// Tokens that the answer has come to.
    said: u64,
    /// It has come as far as its money reaches.
    is_short: bool,
    told: Duration,
}

impl Staked {
    pub(super) fn new(stake: Stake, now: Duration) -> Self {
        Self { stake, said: 0, is_short: false, told: now }
    }
}

impl Meter {
    /// What is set aside for the attempt that goes out next.
    pub(crate) fn stakes(&mut self, stake: Stake) {
        self.lowered = stake.lowered;
        self.stake = Some(Box::new(stake));
    }

    /// The budgets that hold where a model of these names is asked, in their windows of now.
    pub(crate) fn payers(&self, models: &[&str]) -> Payers {
        let snapshot = self.gateway.snapshot();
        let own = self.caller.key().into_iter().flat_map(|key| key.budgets.iter());
        let all = own.chain(&self.others).chain(snapshot.budget.as_ref());
        self.gateway.budgets.payers(all.filter(|budget| budget.holds_for(models)))
    }

    /// The budgets that hold where a model of these names is asked are used up.
    pub(crate) fn is_spent(&self, models: &[&str]) -> bool {
        self.gateway.is_spent(&self.payers(models))
    }

    /// What the key has spent and may spend, and how long the answer may be where that was cut, in the answer's headers
    /// (surface chapter 5.1).
    pub(crate) fn tell_money(&self, headers: &mut HeaderMap) {
        let usd = |nanos: i64| HeaderValue::from_str(&crate::admin::usd(nanos).to_string()).ok();
        if let Some(key) = self.caller.key() {
            let own = key.budgets.iter().find(|budget| matches!(budget.of, BudgetOf::Key(_)));
            headers.extend(usd(key.spending.spent()).map(|spent| (KEY_SPEND.clone(), spent)));
            headers.extend(own.and_then(|own| usd(own.most)).map(|most| (KEY_BUDGET.clone(), most)));
        }
        if let Some(most) = self.lowered {
            headers.insert(MAX_TOKENS.clone(), HeaderValue::from(most));
        }
    }

    /// What is set aside where nobody has set anything aside before.
    pub(super) fn takes_stake(&mut self, models: &[&str]) -> Stake {
        match self.stake.take() {
            Some(stake) => *stake,
            None => Stake::nothing(self.gateway.uuid_v7(), self.payers(models)),
        }
    }

    /// The answer has come this far: more is set aside before it is used.
    pub(super) fn reaches(&mut self) {
        let now = self.gateway.clock.monotonic();
        let Some(open) = &mut self.open else { return };
        let Staked { stake, said, told, is_short } = &mut open.staked;
        let Some(reach) = &mut stake.reach else { return };
        let stated = open.progress.usage.map_or(0, |usage| usage.output).max(open.progress.pieces);
        *said = open.progress.output_bytes.saturating_mul(stake.per_byte).div_ceil(1000).max(stated);
        let mut has_more = false;
        if let Step::TopUp { amount, tokens } = reach.at(*said) {
            let topped = match &stake.hold {
                Some(_) => self.gateway.budgets.top_up(stake.attempt, &stake.payers, amount),
                None => Topped::Held,
            };
            match topped {
                Topped::Held => {
                    reach.topped_up(tokens);
                    stake.amount = stake.amount.plus(amount);
                    has_more = true;
                }
                Topped::Later | Topped::Away | Topped::Refused(_) => {
                    // Where there is not more, it pays to look closer at how much is used.
                    if reach.refused(*said) == Step::End
                        && let Some(exact) = open.words.as_ref().and_then(Words::said_at_once)
                    {
                        *said = with_margin(exact).min(*said).max(stated);
                        stake.per_byte = said.saturating_mul(1000).div_ceil(open.progress.output_bytes.max(1));
                    }
                    *is_short = reach.refused(*said) == Step::End;
                }
            }
        }
        if has_more || now.saturating_sub(*told) >= TELL_EVERY {
            *told = now;
            self.tells_progress();
        }
    }

    /// Writes down how far the attempt is.
    fn tells_progress(&mut self) {
        let Some(open) = &mut self.open else { return };
        let stake = &open.staked.stake;
        let usage = open.progress.usage.unwrap_or_default();
        let said = stake.reach.as_ref().map_or(Nanos::ZERO, |reach| reach.cost_of(open.staked.said));
        self.gateway.ledger.progress(&mut open.reservation, stake.amount, stake.input.plus(said), usage);
    }

    /// The stream cannot go on without more money.
    pub(crate) fn is_short(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.staked.is_short)
    }

    /// Waits for more money.
    pub(crate) fn raise(&self) -> Option<Raising> {
        let staked = self.open.as_ref().map(|open| &open.staked)?;
        let Step::TopUp { amount, .. } = staked.stake.reach.as_ref()?.at(staked.said) else { return None };
        let encoding = self.open.as_ref()?.words.as_ref()?.encoding;
        if Tokenizer::loaded(encoding).is_none() {
            let workers = self.gateway.workers.clone();
            return Some(Box::pin(async move {
                let read = workers.compute(move || Tokenizer::get(encoding)).await;
                read.map(|_| More::Counted).ok_or_else(|| Failure::bug("the vocabulary cannot be read"))
            }));
        }
        let budgets = Arc::clone(&self.gateway.budgets);
        let raised = budgets.raise(staked.stake.attempt, staked.stake.payers.clone(), amount);
        Some(Box::pin(async move { raised.await.map(|()| More::Held) }))
    }

    /// There is more, or how much is used can be told better.
    pub(crate) fn raised(&mut self, more: More) {
        if more == More::Counted {
            return self.reaches();
        }
        let Some(staked) = self.open.as_mut().map(|open| &mut open.staked) else { return };
        staked.is_short = false;
        let said = staked.said;
        if let Some(reach) = &mut staked.stake.reach
            && let Step::TopUp { amount, tokens } = reach.at(said)
        {
            reach.topped_up(tokens);
            staked.stake.amount = staked.stake.amount.plus(amount);
        }
        self.tells_progress();
    }
}
