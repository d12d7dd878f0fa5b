//! How much a call used, in one convention for all providers.

/// Tokens of one attempt. **Input includes** cache reads, cache writes, audio and image tokens; **output includes**
/// reasoning and audio tokens. A dialect that counts them apart adds them when it reads the provider's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// All output tokens.
    pub output: u64,
    /// Part of `input` that was read from the provider's prompt cache.
    pub cache_read: u64,
    /// Part of `input` that was written to the provider's prompt cache with the short life (5 minutes).
    pub cache_write: u64,
    /// Part of `input` that was written to the provider's prompt cache with the long life (1 hour).
    pub cache_write_1h: u64,
    /// Part of `output` that the model thought but did not say.
    pub reasoning: u64,
    /// Part of `input` that was audio.
    pub audio_input: u64,
    /// Part of `output` that was audio.
    pub audio_output: u64,
    /// Searches, which rerankers are priced by; no tokens.
    pub searches: u64,
    /// What the provider says the call cost, in nano-dollars, if it says so (`OpenRouter`).
    pub stated_cost_nanos: Option<i64>,
}

impl Usage {
    /// Input and output together; saturates.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What two calls used together; saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let stated = [self.stated_cost_nanos, other.stated_cost_nanos].into_iter().flatten();
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            audio_input: self.audio_input.saturating_add(other.audio_input),
            audio_output: self.audio_output.saturating_add(other.audio_output),
            searches: self.searches.saturating_add(other.searches),
            stated_cost_nanos: stated.reduce(i64::saturating_add),
        }
    }

    /// Nothing was counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input == 0 && self.output == 0 && self.searches == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_calls_used_is_added_up_and_never_wraps() {
        let one = Usage { input: 3, output: 2, cache_read: 1, stated_cost_nanos: Some(7), ..Usage::default() };
        let other = Usage { input: u64::MAX, reasoning: 5, ..Usage::default() };
        let both = one.plus(other);
        assert_eq!((both.input, both.output, both.cache_read, both.reasoning), (u64::MAX, 2, 1, 5));
        assert_eq!((both.stated_cost_nanos, other.plus(other).stated_cost_nanos), (Some(7), None));
    }
}
