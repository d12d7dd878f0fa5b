//! What an attempt may cost: its request by its bytes, as usage has taught for each model; its answer by the longest one that is
//! asked for, or for so much of it as is held at a time (HOUSE: ledger rule 3). No tokenizer is on the way of a request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use tollgate_catalog::{Cost, Price, cost, tokens::skim};
use tollgate_ledger::{
    Nanos,
    estimate::{self, Asked, Media, Reach, TokenPrice, TokensPerByte, Watch},
};
use tollgate_wire::{RawBody, Usage};
use uuid::Uuid;

use super::{Hold, Payers};

/// A longer text is looked through for pictures and the like, whose bytes are no words.
const SHORT: usize = 16 << 10;
/// Models of which it is remembered how many tokens a byte makes.
const MOST_MODELS: usize = 10_000;
/// A price for a token of output is worked out over so many.
const MANY: u64 = 1_000_000;

/// How large a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes of text.
    pub(crate) text: u64,
    media: Media,
    /// It asks the provider to remember its beginning, which costs more than reading it.
    is_cached: bool,
}

impl Size {
    /// Of a request's document.
    pub(crate) fn of(body: &RawBody) -> Self {
        let mut size = Self::default();
        for (_, value) in body.iter() {
            size.add(value);
        }
        size
    }

    /// Of a body that nobody has looked into.
    pub(crate) fn of_bytes(body: &Bytes) -> Self {
        let mut size = Self::default();
        size.add(body);
        size
    }

    fn add(&mut self, value: &Bytes) {
        let has = |needle: &[u8]| value.windows(needle.len()).any(|window| window == needle);
        let length = value.len() as u64;
        self.is_cached |= length > 64 && has(b"cache_control");
        if value.len() <= SHORT {
            self.text += length;
            // An address of a picture is short, and what stands there is not.
            if length > 64 && (has(b"image_url") || has(b"input_image") || has(b"\"image\"")) {
                self.media.images += 1;
            }
            return;
        }
        let skimmed = skim(value, 0);
        let data = length.saturating_sub(skimmed.bytes);
        self.text += skimmed.bytes;
        if has(b"application/pdf") {
            self.media.documents += data;
        } else if has(b"input_audio") || has(b"audio/") {
            self.media.sound += data;
        } else if has(b"video/") {
            self.media.film += data;
        } else {
            self.media.images += skimmed.media;
        }
    }
}

/// What is asked of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The longest answer, tokens, all choices together.
    pub(crate) most: u64,
    pub(crate) watch: Watch,
    /// Searches, by which rerankers are paid.
    pub(crate) searches: u64,
}

/// Tokens per byte of requests and answers, by model.
#[derive(Default)]
pub(crate) struct Learned(RwLock<HashMap<Arc<str>, Arc<Mutex<Ratios>>>>);

#[derive(Default)]
struct Ratios {
    asked: TokensPerByte,
    answered: TokensPerByte,
}

impl Learned {
    fn ratios<T>(&self, model: &str, read: impl FnOnce(&Ratios) -> T) -> T {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        match own {
            Some(ratios) => read(&ratios.lock().unwrap_or_else(PoisonError::into_inner)),
            None => read(&Ratios::default()),
        }
    }

    /// What the provider said of a request of so many bytes of text, and of its answer.
    pub(crate) fn learn(&self, model: &Arc<str>, asked: u64, answered: u64, usage: &Usage) {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        let own = own.or_else(|| {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            (all.len() < MOST_MODELS).then(|| Arc::clone(all.entry(Arc::clone(model)).or_default()))
        });
        let Some(ratios) = own else { return };
        let mut ratios = ratios.lock().unwrap_or_else(PoisonError::into_inner);
        ratios.asked.learn(asked, usage.input);
        ratios.answered.learn_answer(answered, usage.output.saturating_sub(usage.reasoning));
    }

    /// Thousandths of a token for each byte of an answer.
    fn of_answers(&self, model: &str) -> u64 {
        self.ratios(model, |ratios| ratios.answered.high_of_answers())
    }

    /// What a request may cost, and each token of its answer.
    pub(crate) fn asked(&self, model: &str, size: &Size, wanted: &Wanted, price: &Price) -> Asked {
        let nothing = size.text == 0 && size.media == Media::default();
        let tokens = if nothing {
            0
        } else {
            self.ratios(model, |ratios| estimate::input_tokens(size.text, &size.media, &ratios.asked))
        };
        let read = Usage { input: tokens, searches: wanted.searches, ..Usage::default() };
        let mut input = cost(&read, price);
        if size.is_cached {
            let written = |usage| cost(&usage, price);
            let short = written(Usage { cache_write: tokens, ..read });
            let long = written(Usage { cache_write_1h: tokens, ..read });
            input = [input, short, long].into_iter().max_by_key(|cost| cost.pico()).unwrap_or(input);
        }
        let said = Usage { output: MANY, ..read };
        let of = |usage: &Usage| (cost(usage, price).pico() - cost(&read, price).pico()).max(0);
        let dearest = of(&said).max(of(&Usage { reasoning: MANY, ..said }));
        let each = i64::try_from(dearest.div_euclid(i128::from(MANY))).unwrap_or(i64::MAX);
        Asked { input: up(input), output: TokenPrice(each), most: wanted.most, watch: wanted.watch }
    }
}

/// Rounded up to whole nano-dollars.
fn up(cost: Cost) -> Nanos {
    Nanos::new(i64::try_from((cost.pico() + 999).div_euclid(1000)).unwrap_or(i64::MAX))
}

/// What is set aside for an attempt that has not gone out yet.
#[derive(Debug)]
pub(crate) struct Stake {
    pub(crate) attempt: Uuid,
    pub(crate) payers: Payers,
    /// None: nothing has to be held, as nobody's budget is touched.
    pub(crate) hold: Option<Hold>,
    /// What is held, or would be.
    pub(crate) amount: Nanos,
    /// What the request costs by itself.
    pub(crate) input: Nanos,
    /// How far that reaches in an answer that can be watched.
    pub(crate) reach: Option<Reach>,
    /// Bytes of text that are asked.
    pub(crate) text: u64,
    /// Thousandths of a token for each byte of the answer.
    pub(crate) per_byte: u64,
    /// The answer was made shorter, to so many tokens.
    pub(crate) lowered: Option<u64>,
}

impl Stake {
    /// Of something that costs nothing beforehand.
    pub(crate) fn nothing(attempt: Uuid, payers: Payers) -> Self {
        let (amount, input) = (Nanos::ZERO, Nanos::ZERO);
        Self { attempt, payers, hold: None, amount, input, reach: None, text: 0, per_byte: 1000, lowered: None }
    }
}

impl super::Budgets {
    /// Sets aside what an attempt may cost.
    ///
    /// # Errors
    /// As [`super::Budgets::reserve`]; `None` if windows have begun meanwhile, and its payers are to be named anew.
    pub(crate) async fn stake(
        self: &Arc<Self>,
        attempt: Uuid,
        payers: Payers,
        asked: &Asked,
        (model, size): (&str, &Size),
    ) -> Result<Stake, super::reserve::NotReserved> {
        let costs_nothing = asked.input == Nanos::ZERO && asked.output <= TokenPrice(0);
        let (hold, amount, tokens, lowered) = if payers.is_empty() || costs_nothing {
            match estimate::stake(asked, Nanos::MAX) {
                estimate::Stake::Holds { amount, tokens, .. } => (None, amount, tokens, None),
                estimate::Stake::TooDear { needs } => (None, needs, 0, None),
            }
        } else {
            let reserved = self.reserve(attempt, &payers, asked).await?;
            (Some(reserved.hold), reserved.amount, reserved.tokens, reserved.lowered)
        };
        Ok(Stake {
            attempt,
            payers,
            hold,
            amount,
            input: asked.input,
            reach: (asked.watch == Watch::Visible).then(|| Reach::new(asked, tokens)),
            text: size.text,
            per_byte: self.learned.of_answers(model),
            lowered,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn price(map: &serde_json::Value) -> Price {
        Price::from_map(map.as_object().unwrap())
    }

    fn size(body: &serde_json::Value) -> Size {
        Size::of(&RawBody::from_map(body.as_object().unwrap()))
    }

    const WANTED: Wanted = Wanted { most: 100, watch: Watch::Hidden, searches: 0 };

    #[test]
    fn pictures_are_not_words() {
        let data = "iVBORw0KGgo0".repeat(3_400);
        let url = format!("data:image/png;base64,{data}");
        let picture =
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
        let of = size(&picture);
        assert!(of.text < 1000 && of.media.images == 1, "{of:?}");
        let document = json!({"messages": [{"source": {"media_type": "application/pdf", "data": data}}]});
        assert!(size(&document).media.documents > 39_000);
        assert_eq!(size(&json!({"messages": [{"content": "hello"}]})).media, Media::default());
    }

    #[test]
    fn a_request_is_never_taken_for_cheaper_than_what_it_may_be_billed_as() {
        let learned = Learned::default();
        let price = price(&json!({
            "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "output_cost_per_reasoning_token": 5e-6,
            "cache_creation_input_token_cost": 1.25e-6, "cache_creation_input_token_cost_above_1hr": 2e-6,
        }));
        let text = "x".repeat(1000);
        let plain = learned.asked("m", &size(&json!({"messages": [{"content": text}]})), &WANTED, &price);
        let marked = json!({"messages": [{"content": text, "cache_control": {"type": "ephemeral"}}]});
        let marked = learned.asked("m", &size(&marked), &WANTED, &price);
        assert_eq!(plain.output, TokenPrice(5_000_000));
        assert!(marked.input.get() > plain.input.get() * 19 / 10, "{marked:?} {plain:?}");
    }

    #[test]
    fn what_usage_teaches_counts() {
        let (learned, model) = (Learned::default(), Arc::from("m"));
        let price = price(&json!({"input_cost_per_token": 1e-6}));
        let body = size(&json!({"messages": [{"content": "x".repeat(10_000)}]}));
        let before = learned.asked("m", &body, &WANTED, &price).input;
        let usage = Usage { input: 2_524, output: 250, ..Usage::default() };
        (0..200).for_each(|_| learned.learn(&model, 10_000, 1000, &usage));
        let after = learned.asked("m", &body, &WANTED, &price).input;
        assert!(after.get() * 2 < before.get(), "{after} {before}");
        assert!((250..300).contains(&learned.of_answers("m")) && learned.of_answers("other") == 1000);
    }

    #[test]
    fn what_has_no_price_costs_nothing() {
        let asked = Learned::default().asked("m", &Size::default(), &WANTED, &Price::default());
        assert_eq!((asked.input, asked.output), (Nanos::ZERO, TokenPrice(0)));
    }
}
