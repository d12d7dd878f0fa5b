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
    /// Part of `cache_read` that was audio.
    pub cache_read_audio: u64,
    /// Part of `input` that was pictures.
    pub image_input: u64,
    /// Part of `output` that was pictures.
    pub image_output: u64,
    /// Searches, which rerankers are priced by; no tokens.
    pub searches: u64,
    /// Searches of the web that the provider made for the answer; no tokens.
    pub web_searches: u64,
    /// How much of what they found was read.
    pub search_size: SearchSize,
    /// Pictures that were made, where they are paid one by one; no tokens.
    pub pictures: u64,
    /// Picture elements of one of them.
    pub pixels: u64,
    /// How long the provider worked, where that is what is paid, in milliseconds.
    pub worked_millis: u64,
    /// How the provider served it.
    pub tier: ServiceTier,
    /// It was served within the United States alone (Anthropic's `inference_geo`).
    pub in_us: bool,
    /// It was served in the faster mode (Anthropic's `speed`).
    pub fast: bool,
    /// What the provider says the call cost, in nano-dollars, if it says so (`OpenRouter`).
    pub stated_cost_nanos: Option<i64>,
}

impl Usage {
    /// Nothing.
    pub const NONE: Self = Self {
        input: 0,
        output: 0,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        reasoning: 0,
        audio_input: 0,
        audio_output: 0,
        cache_read_audio: 0,
        image_input: 0,
        image_output: 0,
        searches: 0,
        web_searches: 0,
        search_size: SearchSize::Medium,
        pictures: 0,
        pixels: 0,
        worked_millis: 0,
        tier: ServiceTier::Unsaid,
        in_us: false,
        fast: false,
        stated_cost_nanos: None,
    };

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
            cache_read_audio: self.cache_read_audio.saturating_add(other.cache_read_audio),
            image_input: self.image_input.saturating_add(other.image_input),
            image_output: self.image_output.saturating_add(other.image_output),
            searches: self.searches.saturating_add(other.searches),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            search_size: self.search_size.max(other.search_size),
            pictures: self.pictures.saturating_add(other.pictures),
            pixels: self.pixels.max(other.pixels),
            worked_millis: self.worked_millis.saturating_add(other.worked_millis),
            tier: self.tier.max(other.tier),
            in_us: self.in_us || other.in_us,
            fast: self.fast || other.fast,
            stated_cost_nanos: stated.reduce(i64::saturating_add),
        }
    }

    /// The same, served as this word says (`service_tier` of an answer).
    #[must_use]
    pub fn served(self, word: Option<&str>) -> Self {
        Self { tier: word.map(ServiceTier::named).unwrap_or_default().or(self.tier), ..self }
    }

    /// Nothing was counted at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input == 0 && self.output == 0 && self.searches == 0 && self.web_searches == 0 && self.pictures == 0
    }
}

/// How a provider serves a request, which prices depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceTier {
    /// Nobody says.
    #[default]
    Unsaid,
    /// As usual.
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Between them (`balanced`).
    Balanced,
    /// Faster and dearer.
    Priority,
    /// Fastest (`ultrafast`).
    Ultrafast,
}

impl ServiceTier {
    /// The tier that a word of a request or an answer names: `OpenAI`'s and Anthropic's `service_tier`, Vertex's
    /// `trafficType` (`ON_DEMAND_PRIORITY`). `auto` leaves it to the provider, so it says nothing.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let word = word.to_ascii_lowercase();
        match word.strip_prefix("on_demand_").unwrap_or(&word) {
            "flex" => Self::Flex,
            "balanced" => Self::Balanced,
            "priority" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            "default" | "standard" | "scale" | "on_demand" | "standard_only" => Self::Standard,
            _ => Self::Unsaid,
        }
    }

    /// This, if it says something, else the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Unsaid { other } else { self }
    }
}

/// How much of what a search of the web finds is read (`search_context_size`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchSize {
    /// Little.
    Low,
    /// What providers take where nobody says.
    #[default]
    Medium,
    /// Much.
    High,
}

impl SearchSize {
    /// The size of that name, if it is one.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            _ => return None,
        })
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

    #[test]
    fn how_an_answer_was_served_is_in_whosever_words() {
        let served = |word| Usage::default().served(word).tier;
        assert_eq!(served(Some("priority")), ServiceTier::Priority);
        assert_eq!(served(Some("ON_DEMAND_FLEX")), ServiceTier::Flex);
        assert_eq!(served(Some("default")), ServiceTier::Standard);
        assert_eq!((served(Some("auto")), served(None)), (ServiceTier::Unsaid, ServiceTier::Unsaid));
        let asked = Usage { tier: ServiceTier::Flex, ..Usage::default() };
        assert_eq!(
            (asked.served(None).tier, asked.served(Some("default")).tier),
            (ServiceTier::Flex, ServiceTier::Standard)
        );
    }
}
