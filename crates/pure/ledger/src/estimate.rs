//! What a call may cost before it is made, and how much of it is held at a time (rule 3 of the ledger).
//!
//! No text is read for it: bytes, and tokens per byte as usage has taught for each model.

use crate::Nanos;

/// Tokens of a request that no byte of its texts explains: roles, marks, what a provider adds.
const OVERHEAD: u64 = 24;
/// Tokens of a picture: Anthropic counts at most about 1,600, `OpenAI` 1,445 in high detail, Gemini 258 for each tile.
const IMAGE: u64 = 1_600;
/// Bytes of sound for a second, at 16 kbit/s, below which speech is hardly sent; and its tokens (Gemini's count).
const SOUND_BYTES: u64 = 2_000;
const SOUND: u64 = 32;
/// Bytes of film for a second, at 300 kbit/s; and its tokens (Gemini's count).
const FILM_BYTES: u64 = 37_500;
const FILM: u64 = 300;
/// Bytes of a page in a scanned or set document; and its tokens (Anthropic's upper count).
const PAGE_BYTES: u64 = 30_000;
const PAGE: u64 = 3_000;

/// What a visible stream gets at a time, at most and at least, in tokens.
const SLICE_MOST: u64 = 512;
const SLICE_LEAST: u64 = 16;
/// A lowered answer that is shorter says nothing.
const USEFUL: u64 = 16;

/// A price for one token, in pico-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenPrice(pub i64);

impl TokenPrice {
    /// What so many tokens cost, rounded up: less is never held than is charged.
    #[must_use]
    pub fn times(self, tokens: u64) -> Nanos {
        let pico = i128::from(self.0.max(0)) * i128::from(tokens);
        Nanos::new(i64::try_from((pico + 999) / 1000).unwrap_or(i64::MAX))
    }

    /// How many tokens can be had for so much; as many as one likes, if they are free.
    #[must_use]
    pub fn tokens_for(self, money: Nanos) -> u64 {
        if self.0 <= 0 {
            return u64::MAX;
        }
        u64::try_from(i128::from(money.get().max(0)) * 1000 / i128::from(self.0)).unwrap_or(u64::MAX)
    }
}

/// Where buckets of tokens per byte begin, in thousandths: each an eighth above the one before.
const FIRST_BUCKET: u64 = 20;
const BUCKETS: usize = 48;
/// Before so many requests the guess counts as well.
const ENOUGH: u32 = 50;
/// Before usage has taught anything: texts in all scripts stay below it.
const GUESS: u64 = 600;
/// With so many, all counts are halved: what is new counts more.
const FULL: u32 = 4_096;

/// How many tokens a byte of a model's requests makes, as its usage has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensPerByte {
    buckets: [u32; BUCKETS],
    seen: u32,
}

impl Default for TokensPerByte {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], seen: 0 }
    }
}

impl TokensPerByte {
    /// A request of so many bytes of text turned out to have so many tokens. Requests with media, and short ones, teach nothing.
    pub fn learn(&mut self, bytes: u64, tokens: u64) {
        if bytes < 64 || tokens == 0 {
            return;
        }
        let thousandths = tokens.saturating_sub(OVERHEAD).saturating_mul(1000) / bytes;
        let place = bounds().position(|bound| thousandths < bound).unwrap_or(BUCKETS - 1);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
            self.seen += 1;
        }
        if self.seen >= FULL {
            self.buckets.iter_mut().for_each(|bucket| *bucket /= 2);
            self.seen = self.buckets.iter().sum();
        }
    }

    /// The same of an answer, in which nothing but its text counts.
    pub fn learn_answer(&mut self, bytes: u64, tokens: u64) {
        self.learn(bytes, tokens.saturating_add(OVERHEAD));
    }

    /// Thousandths of a token for each byte of a request: 99 of 100 had less.
    #[must_use]
    pub fn high(&self) -> u64 {
        self.above(GUESS)
    }

    /// The same for answers. Nothing has more tokens than bytes, and before usage has taught better an answer is held for
    /// so many: nobody can say beforehand what a model will write.
    #[must_use]
    pub fn high_of_answers(&self) -> u64 {
        self.above(1000)
    }

    fn above(&self, guess: u64) -> u64 {
        let above = self.seen / 100;
        let mut rest = self.seen;
        let bound = bounds().zip(&self.buckets).find_map(|(bound, count)| {
            rest = rest.saturating_sub(*count);
            (rest <= above).then_some(bound)
        });
        let learned = bound.unwrap_or(guess);
        if self.seen < ENOUGH { learned.max(guess) } else { learned }
    }
}

/// The upper ends of the buckets.
fn bounds() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(FIRST_BUCKET), |bound| Some(bound + (bound / 8).max(1))).skip(1).take(BUCKETS)
}

/// What a request holds beside text, in bytes as they are sent, but for pictures, which are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Pictures.
    pub images: u64,
    /// Sound.
    pub sound: u64,
    /// Film.
    pub film: u64,
    /// Documents.
    pub documents: u64,
}

/// How many tokens a request is taken to have.
#[must_use]
pub fn input_tokens(text_bytes: u64, media: &Media, learned: &TokensPerByte) -> u64 {
    let text = text_bytes.saturating_mul(learned.high()).div_ceil(1000);
    let timed = |bytes: u64, each: u64, tokens: u64| bytes.div_ceil(each).saturating_mul(tokens);
    [
        OVERHEAD,
        text,
        media.images.saturating_mul(IMAGE),
        timed(media.sound, SOUND_BYTES, SOUND),
        timed(media.film, FILM_BYTES, FILM),
        timed(media.documents, PAGE_BYTES, PAGE),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

/// Whether what an answer costs can be seen while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// A stream of a model that says all that it bills.
    Visible,
    /// A whole answer, or hidden thoughts.
    Hidden,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What the request costs by itself.
    pub input: Nanos,
    /// What a token of the answer costs.
    pub output: TokenPrice,
    /// The longest answer: `max_tokens`, or the model's own bound.
    pub most: u64,
    /// Whether it can be watched.
    pub watch: Watch,
}

/// What is held for an attempt when it goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stake {
    /// So much.
    Holds {
        /// For request and answer.
        amount: Nanos,
        /// For so many tokens of the answer.
        tokens: u64,
        /// `max_tokens` is to be lowered to this, and the client told.
        lowered: Option<u64>,
    },
    /// There is not enough for a useful answer.
    TooDear {
        /// The least that would have been.
        needs: Nanos,
    },
}

/// How much to hold, of so much free money.
#[must_use]
pub fn stake(asked: &Asked, free: Nanos) -> Stake {
    let holds =
        |tokens: u64, lowered| Stake::Holds { amount: asked.input.plus(asked.output.times(tokens)), tokens, lowered };
    let useful = USEFUL.min(asked.most);
    let needs = asked.input.plus(asked.output.times(useful));
    if needs > free {
        return Stake::TooDear { needs };
    }
    let affordable = |money: Nanos| asked.output.tokens_for(money.less(asked.input));
    match asked.watch {
        // A hundredth of what is free, so that many calls at once find room.
        Watch::Visible => {
            let slice = asked.output.tokens_for(free.part(1, 100)).clamp(SLICE_LEAST, SLICE_MOST);
            holds(slice.min(asked.most).min(affordable(free)), None)
        }
        Watch::Hidden => {
            let half = affordable(free.part(1, 2));
            if asked.most <= half {
                return holds(asked.most, None);
            }
            // Half of it says nothing, but all of it does: better than no answer.
            let lowered = half.max(useful);
            holds(lowered, (lowered < asked.most).then_some(lowered))
        }
    }
}

/// What to do about a visible stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is enough for what comes next.
    GoOn,
    /// Hold so much more, for so many tokens, before they come.
    TopUp {
        /// The money.
        amount: Nanos,
        /// The tokens.
        tokens: u64,
    },
    /// What is held is used up.
    End,
}

/// How far a visible stream's money reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    price: TokenPrice,
    most: u64,
    slice: u64,
    /// Tokens that are paid for.
    tokens: u64,
}

impl Reach {
    /// Of a stream for which money for so many tokens is held.
    #[must_use]
    pub fn new(asked: &Asked, tokens: u64) -> Self {
        Self { price: asked.output, most: asked.most, slice: tokens.clamp(SLICE_LEAST, SLICE_MOST), tokens }
    }

    /// What to do when so many tokens have come. More is held when half of a slice is left.
    #[must_use]
    pub fn at(&self, said: u64) -> Step {
        // A provider that says more than it was asked for is paid, and so has to be held for.
        let is_whole = self.tokens >= self.most && said <= self.most;
        if self.price.0 <= 0 || is_whole || said.saturating_add(self.slice / 2) < self.tokens {
            return Step::GoOn;
        }
        let rest = if said <= self.most { self.most.saturating_sub(self.tokens) } else { u64::MAX };
        let tokens = self.slice.max(said.saturating_sub(self.tokens)).min(rest);
        Step::TopUp { amount: self.price.times(tokens), tokens }
    }

    /// What so many tokens of the answer cost.
    #[must_use]
    pub fn cost_of(&self, said: u64) -> Nanos {
        self.price.times(said)
    }

    /// More is held.
    pub fn topped_up(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// More was refused: whether the stream can go on with what there is.
    #[must_use]
    pub fn refused(&self, said: u64) -> Step {
        if said < self.tokens { Step::GoOn } else { Step::End }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 15 USD for a million tokens.
    const PRICE: TokenPrice = TokenPrice(15_000_000);

    fn asked(most: u64, watch: Watch) -> Asked {
        Asked { input: Nanos::new(1_000_000), output: PRICE, most, watch }
    }

    #[test]
    fn house_13_3_input_is_bytes_times_what_usage_taught() {
        let mut learned = TokensPerByte::default();
        assert_eq!(input_tokens(1000, &Media::default(), &learned), 600 + OVERHEAD);
        for _ in 0..200 {
            learned.learn(1000, 250 + OVERHEAD);
        }
        let text = input_tokens(1000, &Media::default(), &learned) - OVERHEAD;
        assert!((250..=290).contains(&text), "{text}");
        // One in twenty has twice as many, so the high quantile follows them.
        for index in 0..400 {
            learned.learn(1000, if index % 20 == 0 { 500 } else { 250 } + OVERHEAD);
        }
        assert!(learned.high() >= 500, "{}", learned.high());
        let media = Media { images: 2, sound: 4_000, film: 1, documents: 1 };
        assert_eq!(input_tokens(0, &media, &learned), OVERHEAD + 2 * IMAGE + 2 * SOUND + FILM + PAGE);
    }

    #[test]
    fn house_13_3_what_is_learned_forgets_what_is_old() {
        let mut learned = TokensPerByte::default();
        (0..5_000).for_each(|_| learned.learn(1000, 900));
        (0..40_000).for_each(|_| learned.learn(1000, 250));
        assert!(learned.high() < 300, "{}", learned.high());
    }

    #[test]
    fn house_13_3_a_visible_stream_holds_a_slice_and_tops_it_up_before_it_is_used() {
        let stream = asked(100_000, Watch::Visible);
        let Stake::Holds { amount, tokens, lowered: None } = stake(&stream, Nanos::dollars(10)) else { panic!() };
        assert_eq!((tokens, amount), (512, Nanos::new(1_000_000 + 512 * 15_000)));
        let mut reach = Reach::new(&stream, tokens);
        assert_eq!(reach.at(255), Step::GoOn);
        assert_eq!(reach.at(256), Step::TopUp { amount: Nanos::new(512 * 15_000), tokens: 512 });
        reach.topped_up(512);
        assert_eq!(reach.at(700), Step::GoOn);
        assert_eq!((reach.refused(1023), reach.refused(1024)), (Step::GoOn, Step::End));
    }

    #[test]
    fn house_13_3_the_last_slice_ends_with_the_answer() {
        let stream = asked(600, Watch::Visible);
        let mut reach = Reach::new(&stream, 512);
        assert_eq!(reach.at(300), Step::TopUp { amount: Nanos::new(88 * 15_000), tokens: 88 });
        reach.topped_up(88);
        assert_eq!(reach.at(600), Step::GoOn);
    }

    #[test]
    fn house_13_3_a_hidden_answer_holds_max_tokens_or_half_and_then_max_tokens_is_lowered() {
        let free = Nanos::dollars(1);
        let whole = stake(&asked(1000, Watch::Hidden), free);
        assert_eq!(whole, Stake::Holds { amount: Nanos::new(16_000_000), tokens: 1000, lowered: None });
        let Stake::Holds { amount, lowered: Some(lowered), .. } = stake(&asked(1_000_000, Watch::Hidden), free) else {
            panic!("it is lowered")
        };
        assert_eq!(lowered, 33_266);
        assert!(amount <= free.part(1, 2));
    }

    #[test]
    fn house_13_3_no_refusal_before_95_percent_is_spent() {
        let budget = Nanos::dollars(10);
        for watch in [Watch::Visible, Watch::Hidden] {
            let (mut spent, mut calls) = (Nanos::ZERO, 0);
            // Each call uses all that is held for it.
            while let Stake::Holds { amount, .. } = stake(&asked(1_000_000, watch), budget.minus(spent)) {
                spent = spent.plus(amount);
                calls += 1;
                assert!(calls < 100_000);
            }
            assert!(spent >= budget.part(95, 100), "{watch:?}: refused after {spent}");
            assert!(spent <= budget);
        }
    }

    #[test]
    fn house_13_3_what_cannot_even_be_asked_is_too_dear() {
        let needs = Nanos::new(1_000_000 + 16 * 15_000);
        assert_eq!(stake(&asked(1000, Watch::Hidden), Nanos::new(1_000_000)), Stake::TooDear { needs });
        let free = Asked { input: Nanos::ZERO, output: TokenPrice(0), most: 1000, watch: Watch::Hidden };
        assert_eq!(stake(&free, Nanos::ZERO), Stake::Holds { amount: Nanos::ZERO, tokens: 1000, lowered: None });
    }

    #[test]
    fn a_price_is_rounded_up_and_never_wraps() {
        assert_eq!(TokenPrice(1).times(1), Nanos::new(1));
        assert_eq!(TokenPrice(i64::MAX).times(u64::MAX), Nanos::MAX);
        assert_eq!(TokenPrice(1500).tokens_for(Nanos::new(3)), 2);
    }
}
