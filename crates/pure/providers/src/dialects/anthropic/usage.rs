//! Anthropic's counts. They come in pieces over a stream, each a running total of what it names.

use serde_json::{Map, Value, json};
use tollgate_wire::{Usage, chat::Extras};

/// Members that clients see as Anthropic wrote them.
const PASSED: [&str; 4] = ["server_tool_use", "service_tier", "inference_geo", "speed"];

/// What Anthropic has counted so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    uncached: u64,
    output: u64,
    cache_read: u64,
    cache_written: u64,
    /// Of what was written: to live for 5 minutes, for 1 hour.
    lives: Option<(u64, u64)>,
    passed: Map<String, Value>,
}

impl Counts {
    /// Takes a `usage` object, the last word on each member it has.
    pub(super) fn take(&mut self, usage: &Value) {
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        let keep = |total: &mut u64, name: &str| {
            // The last event of some servers repeats the input as 0.
            if let Some(count) = count(name).filter(|count| *count > 0) {
                *total = count;
            }
        };
        keep(&mut self.uncached, "input_tokens");
        keep(&mut self.output, "output_tokens");
        keep(&mut self.cache_read, "cache_read_input_tokens");
        keep(&mut self.cache_written, "cache_creation_input_tokens");
        if let Some(lives) = usage.get("cache_creation").filter(|lives| lives.is_object()) {
            let tokens = |name: &str| lives.get(name).and_then(Value::as_u64).unwrap_or_default();
            let (short, long) = (tokens("ephemeral_5m_input_tokens"), tokens("ephemeral_1h_input_tokens"));
            self.lives = Some((short, long));
            self.cache_written = self.cache_written.max(short.saturating_add(long));
        }
        for name in PASSED {
            if let Some(value) = usage.get(name).filter(|value| !value.is_null()) {
                self.passed.insert(name.to_owned(), value.clone());
            }
        }
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.passed.get(name)?.as_str()
    }

    /// In our convention. Anthropic counts cached tokens apart from input tokens; our input includes them.
    pub(super) fn usage(&self) -> Usage {
        let long = self.lives.map_or(0, |(_, long)| long).min(self.cache_written);
        Usage {
            input: self.uncached.saturating_add(self.cache_read).saturating_add(self.cache_written),
            output: self.output,
            cache_read: self.cache_read,
            cache_write: self.cache_written.saturating_sub(long),
            cache_write_1h: long,
            web_searches: self
                .passed
                .get("server_tool_use")
                .and_then(|tools| tools.get("web_search_requests")?.as_u64())
                .unwrap_or_default(),
            in_us: self.word("inference_geo").is_some_and(|geo| geo.eq_ignore_ascii_case("us")),
            fast: self.word("speed") == Some("fast"),
            ..Usage::default()
        }
        .served(self.word("service_tier"))
    }

    /// What `LiteLLM`'s clients read beyond the three totals.
    pub(super) fn extras(&self) -> Extras {
        let mut input = json!({"cached_tokens": self.cache_read, "cache_creation_tokens": self.cache_written,
            "cache_write_tokens": self.cache_written, "text_tokens": self.uncached});
        if let (Some((short, long)), Some(members)) = (self.lives, input.as_object_mut()) {
            let lives = json!({"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long});
            members.insert("cache_creation_token_details".to_owned(), lives);
        }
        let mut out = Map::new();
        // Anthropic does not say how many of them were thoughts.
        let output = json!({"reasoning_tokens": 0, "text_tokens": self.output});
        out.insert("completion_tokens_details".to_owned(), output);
        out.insert("prompt_tokens_details".to_owned(), input);
        out.insert("cache_creation_input_tokens".to_owned(), self.cache_written.into());
        out.insert("cache_read_input_tokens".to_owned(), self.cache_read.into());
        out.extend(self.passed.clone());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(usages: &[Value]) -> Counts {
        let mut counts = Counts::default();
        usages.iter().for_each(|usage| counts.take(usage));
        counts
    }

    #[test]
    fn input_includes_what_was_read_and_written_of_either_life() {
        let usage = counts(&[json!({"input_tokens": 20, "output_tokens": 9, "cache_read_input_tokens": 3000,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10}})])
        .usage();
        assert_eq!((usage.input, usage.output, usage.cache_read), (3050, 9, 3000));
        assert_eq!((usage.cache_write, usage.cache_write_1h), (20, 10));
    }

    #[test]
    fn searches_and_how_it_was_served_are_read() {
        let usage =
            counts(&[json!({"input_tokens": 1, "output_tokens": 1, "inference_geo": "us", "speed": "fast"})]).usage();
        assert!(usage.in_us && usage.fast);
        let usage = counts(&[json!({"input_tokens": 1, "output_tokens": 1, "service_tier": "priority",
            "server_tool_use": {"web_search_requests": 3}})])
        .usage();
        assert_eq!((usage.web_searches, usage.tier), (3, tollgate_wire::usage::ServiceTier::Priority));
    }

    #[test]
    fn later_pieces_complete_earlier_ones() {
        let usage = counts(&[
            json!({"input_tokens": 20, "output_tokens": 1, "cache_creation_input_tokens": 50,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}),
            json!({"input_tokens": 0, "output_tokens": 15, "cache_creation_input_tokens": null}),
        ])
        .usage();
        assert_eq!((usage.input, usage.output, usage.cache_write), (70, 15, 50));
    }
}
