//! What a call's attempts may cost, and the money that is set aside for them before they go out (HOUSE: ledger rule 3). Who the
//! money is, `budgets` knows; what a request asks for, is read here.

use tollgate_ledger::estimate::{Asked, Watch};
use tollgate_providers::{Target, params::with_defaults, translate::Operation};
use tollgate_wire::{Failure, FailureKind, RawBody, Usage};

use crate::{
    budgets::{NotReserved, Payers, Size, Stake, Wanted},
    dispatch::{Ask, Attempt},
    gateway::Gateway,
    inbound::Route,
    meter::Meter,
    snapshot::Snapshot,
    terms::Terms,
};

/// The longest answer of a model of which nobody says how long its answers are, tokens.
const LONGEST: u64 = 32_768;
/// So often windows may begin between two tries; each try takes less than a second.
const TRIES: usize = 3;

/// Where a request says how long its answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// In one of these members, the first of which is written where none is there.
    In(&'static [&'static str]),
    /// In `generationConfig`.
    Inside,
    /// Nowhere: its answer is no text.
    Nowhere,
}

fn says(route: Route) -> Says {
    match route {
        Route::ChatCompletions => Says::In(&["max_tokens", "max_completion_tokens"]),
        Route::Completions | Route::Messages => Says::In(&["max_tokens"]),
        Route::Responses | Route::ResponsesCompact => Says::In(&["max_output_tokens"]),
        Route::GenerateContent | Route::StreamGenerateContent => Says::Inside,
        _ => Says::Nowhere,
    }
}

/// How many answers are asked for at once. Some providers take numbers in quotes and with a point.
fn choices(body: &RawBody) -> u64 {
    let count = |value: &serde_json::Value| -> Option<u64> {
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a count can be")]
        let whole = number.ceil().clamp(1.0, 1e6) as u64;
        Some(whole)
    };
    let config: Option<serde_json::Value> = body.typed("generationConfig");
    let inside = config.as_ref().and_then(|config| count(config.get("candidateCount")?));
    let counts = ["n", "best_of"].into_iter().filter_map(|name| count(&body.typed(name)?));
    counts.chain(inside).max().unwrap_or(1)
}

/// How long Claude is to think, which is part of its answer and must be less than all of it.
fn thoughts(body: &RawBody) -> Option<u64> {
    body.typed::<serde_json::Value>("thinking")?.get("budget_tokens")?.as_u64()
}

/// The longest answer that the request itself allows: by the largest word, where there are several.
fn stated(says: Says, body: &RawBody) -> Option<u64> {
    let tokens = |value: serde_json::Value| -> Option<u64> {
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| *number >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a length can be")]
        let whole = number.ceil().min(1e15) as u64;
        Some(whole)
    };
    match says {
        Says::In(names) => names.iter().filter_map(|name| tokens(body.typed(name)?)).max(),
        Says::Inside => tokens(body.typed::<serde_json::Value>("generationConfig")?.get("maxOutputTokens")?.clone()),
        Says::Nowhere => None,
    }
}

/// Whether whoever configured the deployment has the last word on how long answers are, so that nothing can be made shorter.
fn is_settled(says: Says, target: &Target) -> bool {
    let names: &[&str] = match says {
        Says::In(names) => names,
        Says::Inside => &["generationConfig"],
        Says::Nowhere => return true,
    };
    let dropped = |name: &&str| target.params.additional_drop_params.iter().any(|path| path.starts_with(*name));
    names.iter().any(|name| target.extra_body.contains_key(*name) || dropped(name))
}

impl Ask {
    /// Sets aside what the attempt may cost; gives the longest answer that can be paid for, where that is shorter than what is
    /// asked for.
    ///
    /// # Errors
    /// 400 `budget_exceeded`, 429 where the money is merely held by others, 503 where the store does not answer.
    pub(crate) async fn stake(&self, attempt: &Attempt<'_>, meter: &mut Meter) -> Result<Option<u64>, Failure> {
        let place = &attempt.place;
        // As it goes out: what is added to a request and taken out of it counts.
        let body = with_defaults(self.body.clone(), &place.target, &self.options.params);
        let size = self.size();
        let wanted = self.wanted(attempt, &body);
        let asked = self.gateway.budgets.learned.asked(&place.model, &size, &wanted, &place.price);
        let models = [attempt.group, attempt.label, self.context.alias.as_str()];
        let stake = self.gateway.stake(meter, &models, &asked, (&place.model, &size)).await;
        let mut stake = stake.map_err(|failure| refusal(failure, &self.snapshot))?;
        // What is no text cannot be made shorter, and goes out as it is.
        if says(self.route) == Says::Nowhere || self.form.is_some() {
            stake.lowered = None;
        }
        let lowered = stake.lowered.map(|most| most / choices(&body));
        stake.lowered = lowered;
        if lowered == Some(0) {
            let words = "Budget has been exceeded! What is left does not pay for as many answers as `n` asks for";
            return Err(refusal(Failure::new(FailureKind::BudgetExceeded, words).with_param("n"), &self.snapshot));
        }
        if lowered.is_some() && is_settled(says(self.route), &place.target) {
            let words =
                "Budget has been exceeded! What is left does not pay for an answer as long as this deployment's may be";
            return Err(refusal(Failure::new(FailureKind::BudgetExceeded, words), &self.snapshot));
        }
        if lowered.is_some_and(|most| thoughts(&body).is_some_and(|thoughts| thoughts >= most)) {
            let words = "Budget has been exceeded! What is left does not pay for as many thoughts as `thinking.budget_tokens` asks for";
            return Err(refusal(
                Failure::new(FailureKind::BudgetExceeded, words).with_param("thinking"),
                &self.snapshot,
            ));
        }
        meter.stakes(stake);
        Ok(lowered)
    }

    fn size(&self) -> Size {
        match (&self.form, self.route) {
            // Sound and pictures are not counted by their bytes.
            (Some(_), _) | (None, Route::Speech) => Size::default(),
            (None, _) => Size::of(&self.body),
        }
    }

    fn wanted(&self, attempt: &Attempt<'_>, body: &RawBody) -> Wanted {
        let target = &attempt.place.target;
        let (says, facts) = (says(self.route), &target.facts);
        let most = if says == Says::Nowhere {
            0
        } else {
            let most = stated(says, body).or(facts.max_output_tokens).unwrap_or(LONGEST);
            most.saturating_mul(choices(body))
        };
        // What a model thinks is billed, and few show all of it.
        let is_visible =
            self.context.stream && !(facts.reasoning && may_think(body, &target.model, facts.rests_by_default));
        Wanted {
            most,
            watch: if is_visible { Watch::Visible } else { Watch::Hidden },
            searches: u64::from(self.route.operation() == Operation::Rerank),
            terms: Terms::expected(body, self.route.operation() == Operation::Images),
        }
    }

    /// The request, with a shorter answer. What is to be added to it and taken out of it is in it and out of it already.
    pub(crate) fn shortened(&self, attempt: &Attempt<'_>, most: u64) -> RawBody {
        let mut body = with_defaults(self.body.clone(), &attempt.place.target, &self.options.params);
        match says(self.route) {
            Says::In(names) => {
                let present: Vec<&str> = names.iter().copied().filter(|name| body.has(name)).collect();
                // OpenAI's thinking models know only the newer word, and few others know it.
                let thinks = attempt.place.target.facts.reasoning;
                let fallback = if thinks { names.last() } else { names.first() };
                let present = if present.is_empty() { fallback.copied().into_iter().collect() } else { present };
                for name in present {
                    body.set(name, &most.into());
                }
            }
            Says::Inside => {
                let mut config: serde_json::Map<String, serde_json::Value> =
                    body.typed("generationConfig").unwrap_or_default();
                config.insert("maxOutputTokens".to_owned(), most.into());
                body.set("generationConfig", &config.into());
            }
            Says::Nowhere => {}
        }
        body
    }
}

/// Whether a model that can think may do so for this request. Claude and some others have to be asked to.
fn may_think(body: &RawBody, model: &str, rests: bool) -> bool {
    let asks = ["thinking", "reasoning", "reasoning_effort", "generationConfig"];
    !(rests || model.contains("claude")) || asks.into_iter().any(|name| body.has(name))
}

impl Gateway {
    /// Sets aside what an attempt may cost, in the windows of now.
    async fn stake(&self, meter: &Meter, models: &[&str], asked: &Asked, of: (&str, &Size)) -> Result<Stake, Failure> {
        for _ in 0..TRIES {
            let payers = meter.payers(models);
            match self.budgets.stake(self.uuid_v7(), payers, asked, of).await {
                Ok(stake) => return Ok(stake),
                Err(NotReserved::Refused(failure)) => return Err(failure),
                Err(NotReserved::Moved) => {}
            }
        }
        Err(Failure::new(
            FailureKind::Overloaded,
            "the windows of the budget change too fast; look at the clocks of the instances",
        ))
    }

    /// Sets aside what a request may cost that is passed on as it is.
    ///
    /// # Errors
    /// As [`Ask::stake`].
    pub(crate) async fn stake_passage(
        &self,
        meter: &mut Meter,
        place: &crate::deployment::Place,
        size: &Size,
    ) -> Result<(), Failure> {
        let wanted = Wanted { most: LONGEST, watch: Watch::Hidden, searches: 0, terms: Usage::NONE };
        let asked = self.budgets.learned.asked(&place.model, size, &wanted, &place.price);
        let stake = self.stake(meter, &[&place.model], &asked, (&place.model, size)).await;
        let mut stake = stake.map_err(|failure| refusal(failure, &self.snapshot()))?;
        // Nothing of it can be made shorter.
        stake.lowered = None;
        meter.stakes(stake);
        Ok(())
    }

    /// Whether there is any money left for a call whose cost shows as it goes, such as a socket's.
    ///
    /// # Errors
    /// As [`Ask::stake`].
    pub(crate) async fn admits_spending(&self, meter: &Meter, models: &[&str]) -> Result<(), Failure> {
        let least = Asked {
            input: tollgate_ledger::Nanos::new(1),
            output: tollgate_ledger::estimate::TokenPrice(0),
            most: 0,
            watch: Watch::Hidden,
        };
        let stake = self.stake(meter, models, &least, ("", &Size::default())).await;
        // It is not kept: what is used is taken as it is used.
        stake.map(drop).map_err(|failure| refusal(failure, &self.snapshot()))
    }

    /// These budgets are used up, as far as is known here.
    pub(crate) fn is_spent(&self, payers: &Payers) -> bool {
        self.budgets.is_spent(payers)
    }
}

/// With the status that is configured for it (decision 7).
fn refusal(mut failure: Failure, snapshot: &Snapshot) -> Failure {
    if failure.kind == FailureKind::BudgetExceeded && snapshot.budget_status != 400 {
        failure.status = Some(snapshot.budget_status);
    }
    failure
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &serde_json::Value) -> RawBody {
        RawBody::from_map(value.as_object().unwrap())
    }

    #[test]
    fn a_request_says_how_long_its_answers_may_be_and_how_many_there_are() {
        let of = |route, value| (stated(says(route), &body(&value)), choices(&body(&value)));
        assert_eq!(of(Route::ChatCompletions, json!({"max_tokens": 7, "n": 3})), (Some(7), 3));
        assert_eq!(of(Route::ChatCompletions, json!({"max_completion_tokens": 5, "max_tokens": 9})), (Some(9), 1));
        assert_eq!(of(Route::Responses, json!({"max_output_tokens": 11, "max_tokens": 3})), (Some(11), 1));
        let inside = json!({"generationConfig": {"maxOutputTokens": 4, "candidateCount": 2}});
        assert_eq!(of(Route::GenerateContent, inside), (Some(4), 2));
        assert_eq!(of(Route::Completions, json!({"best_of": 4, "n": 2})), (None, 4));
        assert_eq!(of(Route::ChatCompletions, json!({"n": "10", "max_tokens": 7.5})), (Some(8), 10));
        assert_eq!(of(Route::ChatCompletions, json!({"n": 10.0, "max_tokens": "12"})), (Some(12), 10));
        assert_eq!(of(Route::Embeddings, json!({"max_tokens": 4})), (None, 1));
    }
}
