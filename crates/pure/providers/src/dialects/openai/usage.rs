//! `OpenAI`'s usage object, both ways.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_wire::{Usage, usage::SearchSize};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// `DeepSeek`'s name for what it read from its cache.
    prompt_cache_hit_tokens: Option<u64>,
    /// `LiteLLM`'s and Anthropic's names, kept by gateways that stand before Anthropic.
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    /// `OpenRouter` states what the call cost, in dollars; Perplexity an object of its own.
    cost: Option<Value>,
    /// Perplexity's count of what it searched, and how much it read.
    num_search_queries: Option<u64>,
    search_context_size: Option<String>,
    /// Anthropic's, kept by gateways that stand before it.
    server_tool_use: Option<ServerTools>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CacheLives {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CachedDetails {
    audio_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    cache_creation_tokens: Option<u64>,
    image_tokens: Option<u64>,
    /// `LiteLLM`'s, of searches that the provider made.
    web_search_requests: Option<u64>,
    cache_creation_token_details: Option<CacheLives>,
    cached_tokens_details: Option<CachedDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

/// Reads a usage object; `None` when it is `null` or no usage.
#[must_use]
pub fn read(raw: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice::<Option<Wire>>(raw).ok()??;
    let input = wire.prompt_tokens?;
    let output = wire.completion_tokens.unwrap_or_else(|| wire.total_tokens.unwrap_or(input).saturating_sub(input));
    let input_details = wire.prompt_tokens_details.unwrap_or_default();
    let output_details = wire.completion_tokens_details.unwrap_or_default();
    let cached = input_details.cached_tokens.or(wire.prompt_cache_hit_tokens).or(wire.cache_read_input_tokens);
    let written = input_details.cache_creation_tokens.or(wire.cache_creation_input_tokens);
    let written = written.unwrap_or_default();
    let long = input_details.cache_creation_token_details.unwrap_or_default().ephemeral_1h_input_tokens;
    let long = long.unwrap_or_default().min(written);
    let of_tools = wire.server_tool_use.unwrap_or_default().web_search_requests;
    let searches = input_details.web_search_requests.or(of_tools).or(wire.num_search_queries);
    Some(Usage {
        input,
        output,
        cache_read: cached.unwrap_or_default(),
        cache_write: written - long,
        cache_write_1h: long,
        reasoning: output_details.reasoning_tokens.unwrap_or_default(),
        audio_input: input_details.audio_tokens.unwrap_or_default(),
        audio_output: output_details.audio_tokens.unwrap_or_default(),
        cache_read_audio: input_details.cached_tokens_details.unwrap_or_default().audio_tokens.unwrap_or_default(),
        image_input: input_details.image_tokens.unwrap_or_default(),
        image_output: output_details.image_tokens.unwrap_or_default(),
        web_searches: searches.unwrap_or_default(),
        search_size: wire.search_context_size.as_deref().and_then(SearchSize::named).unwrap_or_default(),
        stated_cost_nanos: wire.cost.as_ref().and_then(stated_nanos),
        ..Usage::default()
    })
}

/// A stated cost in dollars, as nano-dollars.
#[must_use]
pub fn stated_nanos(cost: &Value) -> Option<i64> {
    let dollars = cost.as_f64().or_else(|| cost.get("total_cost")?.as_f64())?;
    let nanos = (dollars * 1e9).round();
    // A cost that is no amount of money is no statement.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..1e18).contains(&nanos).then_some(nanos as i64)
}

/// Writes a usage object for an answer that was translated.
#[must_use]
pub fn write(usage: &Usage) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("completion_tokens".to_owned(), usage.output.into());
    out.insert("prompt_tokens".to_owned(), usage.input.into());
    out.insert("total_tokens".to_owned(), usage.total().into());
    if usage.reasoning > 0 || usage.audio_output > 0 {
        let text = usage.output.saturating_sub(usage.reasoning).saturating_sub(usage.audio_output);
        let mut details = json!({"reasoning_tokens": usage.reasoning, "text_tokens": text});
        if usage.audio_output > 0 {
            set(&mut details, "audio_tokens", usage.audio_output);
        }
        out.insert("completion_tokens_details".to_owned(), details);
    }
    let written = usage.cache_write + usage.cache_write_1h;
    if usage.cache_read > 0 || written > 0 || usage.audio_input > 0 {
        let mut details = json!({"cached_tokens": usage.cache_read});
        if written > 0 {
            set(&mut details, "cache_creation_tokens", written);
        }
        if usage.audio_input > 0 {
            set(&mut details, "audio_tokens", usage.audio_input);
        }
        out.insert("prompt_tokens_details".to_owned(), details);
    }
    out
}

fn set(details: &mut Value, name: &str, tokens: u64) {
    if let Some(details) = details.as_object_mut() {
        details.insert(name.to_owned(), tokens.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_and_vendor_spellings_are_read() {
        let usage = read(br#"{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50,"prompt_tokens_details":{"audio_tokens":20,"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#).unwrap();
        assert_eq!(
            (usage.input, usage.output, usage.cache_read, usage.reasoning, usage.audio_input),
            (30, 20, 4, 3, 20)
        );
        assert_eq!(
            read(br#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":5}"#).unwrap().cache_read,
            5
        );
        assert_eq!(
            read(br#"{"prompt_tokens":9,"completion_tokens":1,"cost":0.001}"#).unwrap().stated_cost_nanos,
            Some(1_000_000)
        );
        assert_eq!(read(br#"{"prompt_tokens":5,"total_tokens":5}"#).unwrap().output, 0);
    }

    #[test]
    fn what_is_paid_apart_is_read_apart() {
        let usage = read(br#"{"prompt_tokens":90,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":30,"image_tokens":7,
            "cached_tokens_details":{"audio_tokens":25},"cache_creation_tokens":12,"web_search_requests":2,
            "cache_creation_token_details":{"ephemeral_1h_input_tokens":9}},"completion_tokens_details":{"image_tokens":11}}"#)
        .unwrap();
        assert_eq!((usage.cache_read_audio, usage.image_input, usage.image_output), (25, 7, 11));
        assert_eq!((usage.cache_write, usage.cache_write_1h, usage.web_searches), (3, 9, 2));
        let searched =
            read(br#"{"prompt_tokens":1,"completion_tokens":1,"num_search_queries":3,"search_context_size":"high"}"#)
                .unwrap();
        assert_eq!((searched.web_searches, searched.search_size), (3, SearchSize::High));
    }

    #[test]
    fn what_is_no_usage_is_none() {
        assert_eq!(read(b"null"), None);
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(b"7"), None);
    }
}
