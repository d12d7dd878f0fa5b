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

    /// Nothing was counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input == 0 && self.output == 0 && self.searches == 0
    }
}
