//! What a call cost: usage times price, in whole pico-dollars, rounded once.

use crate::adjust::Adjustment;
use crate::decimal;
use crate::money::Money;
use crate::price::{PicoPrice, Price, Rates};
use std::fmt;
use tollgate_wire::Usage;

const PICO_PER_NANO: i128 = 1000;
const PICO_PER_USD: f64 = 1e12;

/// An amount that is exact to the pico-dollar, for headers and answers (a cheap call costs less than a nano-dollar),
/// and that is booked as [`Money`]. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    pico: i128,
}

impl Cost {
    /// So many pico-dollars; a negative amount is none.
    #[must_use]
    pub fn from_pico(pico: i128) -> Cost {
        Cost { pico: pico.max(0) }
    }

    /// The exact amount in pico-dollars.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.pico
    }

    /// The amount to book: rounded half to even to nano-dollars, saturating.
    #[must_use]
    pub fn money(self) -> Money {
        Money::from_pico(self.pico)
    }

    /// US dollars as the nearest float, for answers that carry one.
    #[must_use]
    pub fn usd_f64(self) -> f64 {
        self.pico as f64 / PICO_PER_USD
    }

    /// The sum; saturates.
    #[must_use]
    pub const fn saturating_add(self, other: Cost) -> Cost {
        Cost { pico: self.pico.saturating_add(other.pico) }
    }
}

/// US dollars as plain decimal text without exponent, at most 12 decimals: `0.0000000005`.
impl fmt::Display for Cost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write(out, self.pico, 12)
    }
}

/// US dollars as a JSON number, written digit for digit. For `serde_json` only: it needs raw values.
impl serde::Serialize for Cost {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal::serialize(self, serializer)
    }
}

/// Where the cost of a call comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Input that no cache had part in: text, audio, pictures; and searches of a reranker.
    pub input: Cost,
    /// Input read from the provider's prompt cache.
    pub cache_read: Cost,
    /// Input written to the provider's prompt cache, for 5 minutes or 1 hour.
    pub cache_write: Cost,
    /// Output: text, reasoning, audio, pictures; and a provider's work where that is what is paid.
    pub output: Cost,
    /// The part of `output` that was thought and not said.
    pub reasoning: Cost,
    /// Searches of the web.
    pub tools: Cost,
    /// Exactly the sum of the parts, or what the provider stated, which has no parts.
    pub original: Cost,
    /// What was taken off that.
    pub discount: Cost,
    /// What was put on top.
    pub margin: Cost,
    /// What is booked.
    pub total: Cost,
    /// By what the two were reckoned.
    pub adjustment: Adjustment,
    /// The provider stated the total; the parts are zero.
    pub stated: bool,
}

impl Breakdown {
    /// As rows of spend tell it, under `LiteLLM`'s names. US dollars.
    #[must_use]
    pub fn told(&self) -> serde_json::Value {
        let usd = |cost: Cost| serde_json::Value::from(cost.usd_f64());
        serde_json::json!({
            "input_cost": usd(self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)),
            "output_cost": usd(self.output),
            "tool_usage_cost": usd(self.tools),
            "original_cost": usd(self.original),
            "discount_percent": self.adjustment.discount.as_f64(),
            "discount_amount": usd(self.discount),
            "margin_percent": self.adjustment.margin.as_f64(),
            "margin_fixed_amount": self.adjustment.fixed.pico() as f64 / PICO_PER_USD,
            "margin_total_amount": usd(self.margin),
            "total_cost": usd(self.total),
        })
    }
}

/// What a call cost. A cost that the provider states wins over any price.
#[must_use]
pub fn cost(usage: &Usage, price: &Price) -> Cost {
    cost_breakdown(usage, price).total
}

/// What a call cost, in parts.
///
/// Details that add up to more than the total are cut, in this order: cache read, cache written, audio, pictures; reasoning,
/// audio, pictures. So the tokens that are paid for are never more than the total says. A discount and a margin come last.
#[must_use]
pub fn cost_breakdown(usage: &Usage, price: &Price) -> Breakdown {
    let parts = original(usage, price);
    let adjusted = price.adjustment.apply(parts.original);
    Breakdown {
        discount: adjusted.discount,
        margin: adjusted.margin,
        total: adjusted.total,
        adjustment: price.adjustment,
        ..parts
    }
}

fn original(usage: &Usage, price: &Price) -> Breakdown {
    if let Some(nanos) = usage.stated_cost_nanos {
        let original = Cost::from_pico(i128::from(nanos) * PICO_PER_NANO);
        return Breakdown { original, stated: true, ..Breakdown::default() };
    }
    let rates = Filled::from(price.rates_of(usage.tier, usage.input));

    let mut input = usage.input;
    let mut cached = take(&mut input, usage.cache_read);
    let cached_audio = take(&mut cached, usage.cache_read_audio);
    let written = rates.cache_write.times(take(&mut input, usage.cache_write));
    let written_1h = rates.cache_write_1h.times(take(&mut input, usage.cache_write_1h));
    // Cached sound is part of both.
    let heard = rates.audio_input.times(take(&mut input, usage.audio_input.saturating_sub(cached_audio)));
    let seen = rates.image_input.times(take(&mut input, usage.image_input));
    let read = rates.input.times(input);

    let mut output = usage.output;
    let reasoned = rates.reasoning.times(take(&mut output, usage.reasoning));
    let spoken = rates.audio_output.times(take(&mut output, usage.audio_output));
    let drawn = rates.image_output.times(take(&mut output, usage.image_output));
    let said = rates.output.times(output);

    let units = &price.units;
    // Pictures that are counted in tokens, and work that is, are not paid a second time.
    let pictures = if price.is_stated() && usage.output > 0 { 0 } else { units.pictures(usage.pictures, usage.pixels) };
    let worked = if price.is_stated() { 0 } else { units.worked(usage.worked_millis) };
    // Only tokens cost more where and how they are served.
    let tokens = |amounts: &[i128]| units.scaled(sum(amounts).pico(), usage);
    let parts = Breakdown {
        input: sum(&[tokens(&[read, heard, seen]), price.per_search().times(usage.searches)]),
        cache_read: sum(&[tokens(&[rates.cache_read.times(cached), rates.cache_read_audio.times(cached_audio)])]),
        cache_write: sum(&[tokens(&[written, written_1h])]),
        output: sum(&[tokens(&[said, reasoned, spoken, drawn]), pictures, worked]),
        reasoning: sum(&[tokens(&[reasoned])]),
        tools: sum(&[units.web(usage.web_searches, usage.search_size)]),
        ..Breakdown::default()
    };
    let others = [parts.cache_read, parts.cache_write, parts.output, parts.tools];
    Breakdown { original: others.into_iter().fold(parts.input, Cost::saturating_add), ..parts }
}

/// Rates with every silence filled.
struct Filled {
    input: PicoPrice,
    output: PicoPrice,
    cache_read: PicoPrice,
    cache_write: PicoPrice,
    cache_write_1h: PicoPrice,
    reasoning: PicoPrice,
    audio_input: PicoPrice,
    audio_output: PicoPrice,
    cache_read_audio: PicoPrice,
    image_input: PicoPrice,
    image_output: PicoPrice,
}

impl From<Rates> for Filled {
    fn from(rates: Rates) -> Filled {
        let input = rates.input.unwrap_or_default();
        let output = rates.output.unwrap_or_default();
        let cache_write = rates.cache_write.unwrap_or(input);
        let cache_read = rates.cache_read.unwrap_or(input);
        Filled {
            input,
            output,
            cache_read,
            cache_write,
            cache_write_1h: rates.cache_write_1h.unwrap_or(cache_write),
            reasoning: rates.reasoning.unwrap_or(output),
            audio_input: rates.audio_input.unwrap_or(input),
            audio_output: rates.audio_output.unwrap_or(output),
            cache_read_audio: rates.cache_read_audio.unwrap_or(cache_read),
            image_input: rates.image_input.unwrap_or(input),
            image_output: rates.image_output.unwrap_or(output),
        }
    }
}

/// Takes a detail out of what is left of the total.
fn take(left: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*left);
    *left -= taken;
    taken
}

fn sum(amounts: &[i128]) -> Cost {
    Cost::from_pico(amounts.iter().fold(0, |sum, amount| sum.saturating_add(*amount)))
}

#[cfg(test)]
mod tests;
