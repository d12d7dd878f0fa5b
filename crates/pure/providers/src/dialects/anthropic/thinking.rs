//! How much Claude is to think: a budget of tokens for the older models, an effort for the newer.

use serde_json::{Value, json};
use tollgate_wire::{Failure, chat::ChatRequest};

use crate::target::Target;

/// Longest answer where neither the client nor the catalog says one, tokens.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// What a request says about thinking.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Thinking {
    /// The `thinking` parameter.
    pub(crate) parameter: Option<Value>,
    /// `output_config.effort`.
    pub(crate) effort: Option<&'static str>,
}

impl Thinking {
    /// # Errors
    /// When the effort is no word that is known.
    pub(crate) fn of(request: &ChatRequest, target: &Target) -> Result<Self, Failure> {
        if let Some(parameter) = request.extra("thinking") {
            return Ok(Self { parameter: Some(parameter.clone()), effort: None });
        }
        let Some(word) = request.reasoning_effort.as_deref() else { return Ok(Self::default()) };
        if matches!(word, "none" | "disable" | "") {
            return Ok(Self::default());
        }
        let unknown = || {
            Failure::invalid(format!("`reasoning_effort` is none of none, low, medium, high …: '{word}'"))
                .with_param("reasoning_effort")
        };
        if target.facts.adaptive_thinking {
            // Unless asked for, the newer models keep their thoughts to themselves.
            let parameter = json!({"type": "adaptive", "display": "summarized"});
            let effort = effort(word, target).ok_or_else(unknown)?;
            return Ok(Self { parameter: Some(parameter), effort: Some(effort) });
        }
        let tokens = budget(word).ok_or_else(unknown)?;
        Ok(Self { parameter: Some(json!({"type": "enabled", "budget_tokens": tokens})), effort: None })
    }

    /// The model will think, or may.
    pub(crate) fn is_on(&self) -> bool {
        let kind = self.parameter.as_ref().and_then(|parameter| parameter.get("type")).and_then(Value::as_str);
        kind.is_some_and(|kind| kind != "disabled")
    }

    /// The longest answer, which Anthropic wants to be told. Thoughts count as answer.
    pub(crate) fn max_tokens(&self, request: &ChatRequest, target: &Target) -> u64 {
        let budget = self.parameter.as_ref().and_then(|parameter| parameter.get("budget_tokens"));
        request
            .max_output_tokens
            .or_else(|| budget.and_then(Value::as_u64).map(|budget| budget.saturating_add(DEFAULT_MAX_TOKENS)))
            .or(target.facts.max_output_tokens)
            .unwrap_or(DEFAULT_MAX_TOKENS)
    }
}

/// Tokens to think with; below 1024 Anthropic refuses.
fn budget(word: &str) -> Option<u64> {
    Some(match word {
        "minimal" | "low" => 1024,
        "medium" => 2048,
        "high" => 4096,
        "xhigh" | "max" => 8192,
        _ => return None,
    })
}

fn effort(word: &str, target: &Target) -> Option<&'static str> {
    Some(match word {
        "minimal" | "low" => "low",
        "medium" => "medium",
        "xhigh" if target.facts.xhigh_effort => "xhigh",
        "max" if target.facts.max_effort => "max",
        "high" | "xhigh" | "max" => "high",
        _ => return None,
    })
}
