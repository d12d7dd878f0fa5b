//! What is taken off a cost and put on top of it before it is booked: `cost_discount_config`, then `cost_margin_config`.

use crate::cost::Cost;
use crate::decimal;
use crate::price::PicoPrice;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A share, in thousand-millionths: 0.05 is 50,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share(u64);

/// The whole.
const WHOLE: i128 = 1_000_000_000;

impl Share {
    /// Reads a share as `LiteLLM` writes it (0.05: five of a hundred); `None` if it is no number or negative.
    #[must_use]
    pub fn read(value: &Value) -> Option<Share> {
        let text =
            value.as_str().map_or_else(|| value.is_number().then(|| value.to_string()), |text| Some(text.into()))?;
        u64::try_from(decimal::parse(text.trim(), 9)?).ok().map(Share)
    }

    /// The share as a number: 0.05.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Its part of an amount, rounded half to even.
    pub(crate) fn of(self, pico: i128) -> i128 {
        match pico.checked_mul(i128::from(self.0)) {
            Some(product) => decimal::divide_half_even(product, WHOLE, false),
            // Beyond any money there is; what is too large saturates in the end.
            None => (pico / WHOLE).saturating_mul(i128::from(self.0)),
        }
    }
}

/// What a provider's costs are changed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// Taken off; at most all of it.
    pub discount: Share,
    /// Put on top of what is left.
    pub margin: Share,
    /// Put on top of that for each call, where it costs something.
    pub fixed: PicoPrice,
}

/// A cost before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjusted {
    /// Before.
    pub original: Cost,
    /// What was taken off.
    pub discount: Cost,
    /// What was put on top.
    pub margin: Cost,
    /// After both: what is booked.
    pub total: Cost,
    /// How.
    pub by: Adjustment,
}

impl Adjustment {
    /// Changes a cost. What is free stays free: an answer of a mock or a free model is not sold.
    #[must_use]
    pub fn apply(self, original: Cost) -> Adjusted {
        if original == Cost::default() {
            return Adjusted { by: self, ..Adjusted::default() };
        }
        let discount = self.discount.of(original.pico()).min(original.pico());
        let left = original.pico() - discount;
        let margin = self.margin.of(left).saturating_add(i128::from(self.fixed.pico()));
        Adjusted {
            original,
            discount: Cost::from_pico(discount),
            margin: Cost::from_pico(margin),
            total: Cost::from_pico(left.saturating_add(margin)),
            by: self,
        }
    }

    /// It changes nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The adjustments of all providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments {
    discounts: BTreeMap<String, Share>,
    margins: BTreeMap<String, (Share, PicoPrice)>,
}

/// The name that stands for every provider.
const EVERYONE: &str = "global";

impl Adjustments {
    /// Reads `{provider: share}` and `{provider: share or {percentage, fixed_amount}}`; `global` stands for those that are not
    /// named. What cannot be read is passed over: configurations are checked elsewhere.
    #[must_use]
    pub fn read(discounts: &Map<String, Value>, margins: &Map<String, Value>) -> Adjustments {
        let margin = |value: &Value| match value {
            Value::Object(both) => {
                let share = both.get("percentage").and_then(Share::read).unwrap_or_default();
                let fixed = both.get("fixed_amount").and_then(PicoPrice::from_usd).unwrap_or_default();
                Some((share, fixed))
            }
            share => Some((Share::read(share)?, PicoPrice::default())),
        };
        Adjustments {
            discounts: discounts.iter().filter_map(|(name, value)| Some((name.clone(), Share::read(value)?))).collect(),
            margins: margins.iter().filter_map(|(name, value)| Some((name.clone(), margin(value)?))).collect(),
        }
    }

    /// What holds for a provider.
    #[must_use]
    pub fn of(&self, provider: &str) -> Adjustment {
        let discount = self.discounts.get(provider).or_else(|| self.discounts.get(EVERYONE));
        let margin = self.margins.get(provider).or_else(|| self.margins.get(EVERYONE)).copied().unwrap_or_default();
        Adjustment { discount: discount.copied().unwrap_or_default(), margin: margin.0, fixed: margin.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    #[test]
    fn a_discount_comes_first_and_a_margin_on_what_is_left() {
        let adjustments = Adjustments::read(
            &map(json!({"openai": 0.05, "global": "0.1"})),
            &map(json!({"openai": {"percentage": 0.1, "fixed_amount": 0.001}, "anthropic": 0.2})),
        );
        let adjusted = adjustments.of("openai").apply(Cost::from_pico(10_000_000_000));
        assert_eq!(adjusted.discount.pico(), 500_000_000);
        assert_eq!(adjusted.margin.pico(), 950_000_000 + 1_000_000_000);
        assert_eq!(adjusted.total.pico(), 9_500_000_000 + 1_950_000_000);
        let anthropic = adjustments.of("anthropic").apply(Cost::from_pico(1_000));
        assert_eq!((anthropic.discount.pico(), anthropic.margin.pico(), anthropic.total.pico()), (100, 180, 1_080));
        assert_eq!(adjustments.of("groq").apply(Cost::from_pico(1_000)).total.pico(), 900);
        assert!(Adjustments::default().of("groq").is_none());
    }

    #[test]
    fn what_is_free_is_not_sold_and_more_than_all_is_not_taken_off() {
        let all = Adjustments::read(&map(json!({"p": 3})), &map(json!({"p": {"fixed_amount": 1}})));
        assert_eq!(all.of("p").apply(Cost::default()).total, Cost::default());
        let taken = all.of("p").apply(Cost::from_pico(7));
        assert_eq!((taken.discount.pico(), taken.total.pico()), (7, 1_000_000_000_000));
        assert_eq!(Share::read(&json!(-0.5)), None);
    }

    proptest! {
        #[test]
        fn an_adjusted_cost_is_never_negative_and_never_wraps(
            pico in prop_oneof![0..i128::from(u64::MAX), Just(i128::MAX)], discount in 0..3_000_000_000_u64,
            margin in any::<u64>(), fixed in any::<u64>(),
        ) {
            let by = Adjustment { discount: Share(discount), margin: Share(margin), fixed: PicoPrice::new(fixed) };
            let adjusted = by.apply(Cost::from_pico(pico));
            prop_assert!(adjusted.total.pico() >= 0 && adjusted.discount <= adjusted.original);
            let sum = (adjusted.original.pico() - adjusted.discount.pico()).saturating_add(adjusted.margin.pico());
            prop_assert_eq!(adjusted.total.pico(), sum);
        }
    }
}
