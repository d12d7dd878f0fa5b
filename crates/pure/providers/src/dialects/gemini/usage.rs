//! Gemini's counts.

use serde_json::{Map, Value, json};
use tollgate_wire::{Usage, chat::Extras};

/// What Gemini has counted: each report is a running total.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts<'v>(pub(super) &'v Value);

impl Counts<'_> {
    fn count(self, name: &str) -> u64 {
        self.0.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    fn word<'w>(self, name: &str) -> Option<&'w str>
    where
        Self: 'w,
    {
        self.0.get(name)?.as_str()
    }

    fn given(self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    /// Tokens of this modality in one of the lists, if it is there.
    fn of(self, list: &str, modality: &str) -> Option<u64> {
        let entries = self.0.get(list)?.as_array()?;
        let fits = |entry: &&Value| {
            let named = entry.get("modality").and_then(Value::as_str).unwrap_or_default();
            // Documents are read as text.
            named.eq_ignore_ascii_case(modality) || (modality == "TEXT" && named.eq_ignore_ascii_case("DOCUMENT"))
        };
        let counts: Vec<u64> =
            entries.iter().filter(fits).filter_map(|entry| entry.get("tokenCount")?.as_u64()).collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }

    fn thoughts(self) -> Option<u64> {
        self.given("thoughtsTokenCount")
    }

    /// Thoughts are counted beside the answer, unless the total says that they are in it.
    fn output(self) -> u64 {
        let said = self.count("candidatesTokenCount").max(self.count("responseTokenCount"));
        let within = self.count("promptTokenCount").saturating_add(said) == self.count("totalTokenCount");
        if within { said } else { said.saturating_add(self.thoughts().unwrap_or_default()) }
    }

    /// In our convention, with so many searches of the web.
    pub(super) fn with(self, searches: Option<u64>) -> Usage {
        Usage { web_searches: searches.unwrap_or_default(), ..self.usage() }
    }

    /// In our convention.
    pub(super) fn usage(self) -> Usage {
        let output = self.output();
        let input = self.count("promptTokenCount").saturating_add(self.count("toolUsePromptTokenCount"));
        Usage {
            input,
            output,
            cache_read: self.count("cachedContentTokenCount").min(input),
            reasoning: self.thoughts().unwrap_or_default().min(output),
            audio_input: self.of("promptTokensDetails", "AUDIO").unwrap_or_default().min(input),
            audio_output: self.of("candidatesTokensDetails", "AUDIO").unwrap_or_default().min(output),
            cache_read_audio: self.of("cacheTokensDetails", "AUDIO").unwrap_or_default(),
            image_input: self.of("promptTokensDetails", "IMAGE").unwrap_or_default().min(input),
            image_output: self.of("candidatesTokensDetails", "IMAGE").unwrap_or_default().min(output),
            ..Usage::default()
        }
        .served(self.word("trafficType").or_else(|| self.word("serviceTier")))
    }

    /// What `LiteLLM`'s clients read beyond the three totals. Streams always say how many were thoughts.
    pub(super) fn extras(self, searches: Option<u64>, streamed: bool) -> Extras {
        let mut out = Map::new();
        if let Some(total) = self.given("totalTokenCount").filter(|total| *total > 0) {
            out.insert("total_tokens".to_owned(), total.into());
        }
        out.insert("completion_tokens_details".to_owned(), self.output_details(streamed));
        out.insert("prompt_tokens_details".to_owned(), self.input_details(searches));
        if let Some(cached) = self.given("cachedContentTokenCount") {
            out.insert("cache_read_input_tokens".to_owned(), cached.into());
        }
        out
    }

    fn output_details(self, streamed: bool) -> Value {
        let mut details = Map::new();
        if let Some(thoughts) = self.thoughts().or_else(|| streamed.then_some(0)) {
            details.insert("reasoning_tokens".to_owned(), thoughts.into());
        }
        let mut others = 0;
        for (modality, name) in [("AUDIO", "audio_tokens"), ("IMAGE", "image_tokens"), ("VIDEO", "video_tokens")] {
            if let Some(tokens) = self.of("candidatesTokensDetails", modality) {
                others += tokens;
                details.insert(name.to_owned(), tokens.into());
            }
        }
        let said = self.count("candidatesTokenCount");
        let text = self.of("candidatesTokensDetails", "TEXT");
        if let Some(text) = text.or_else(|| (said > 0).then(|| said.saturating_sub(others))) {
            details.insert("text_tokens".to_owned(), text.into());
        }
        details.into()
    }

    fn input_details(self, searches: Option<u64>) -> Value {
        let mut details = Map::new();
        let cached = self.given("cachedContentTokenCount");
        if let Some(cached) = cached {
            details.insert("cached_tokens".to_owned(), cached.into());
        }
        let has_lists = self.0.get("cacheTokensDetails").is_some();
        for (modality, name) in
            [("AUDIO", "audio_tokens"), ("TEXT", "text_tokens"), ("IMAGE", "image_tokens"), ("VIDEO", "video_tokens")]
        {
            let Some(all) = self.of("promptTokensDetails", modality) else { continue };
            // Without a list of its own what came from the cache was text.
            let unlisted = if modality == "TEXT" && !has_lists { cached } else { None };
            let from_cache = self.of("cacheTokensDetails", modality).or(unlisted).unwrap_or_default();
            let fresh = i64::try_from(all).unwrap_or(i64::MAX) - i64::try_from(from_cache).unwrap_or(i64::MAX);
            details.insert(name.to_owned(), fresh.into());
        }
        if let Some(searches) = searches {
            details.insert("web_search_requests".to_owned(), searches.into());
        }
        json!(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_output_wherever_they_are_counted() {
        let beside =
            json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 22});
        assert_eq!((Counts(&beside).usage().output, Counts(&beside).usage().reasoning), (12, 7));
        let within =
            json!({"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 15});
        assert_eq!((Counts(&within).usage().output, Counts(&within).usage().reasoning), (5, 3));
    }

    #[test]
    fn cached_tokens_are_part_of_the_input() {
        let counts = json!({"promptTokenCount": 100, "cachedContentTokenCount": 90, "totalTokenCount": 100,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}]});
        let usage = Counts(&counts).usage();
        assert_eq!((usage.input, usage.cache_read), (100, 90));
        assert_eq!(
            Counts(&counts).extras(None, false)["prompt_tokens_details"],
            json!({"cached_tokens": 90, "text_tokens": 10})
        );
    }
}
