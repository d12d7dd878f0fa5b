//! Money: whole nano-dollars. Floats exist only where JSON is written.

use crate::decimal;
use std::fmt;
use std::iter::Sum;

/// An amount in nano-dollars (10^-9 USD), so at most 9.2 billion dollars. There is no conversion from a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// So many nano-dollars.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Money {
        Money(nanos)
    }

    /// Reads US dollars in decimal text, as in JSON or a header (`0.000012`, `1.2e-5`), rounded half to even.
    /// `None` if it is no number; what is too large saturates.
    #[must_use]
    pub fn from_usd_text(text: &str) -> Option<Money> {
        decimal::parse(text.trim(), 9).map(Money::saturated)
    }

    /// Non-negative pico-dollars, rounded half to even to nano-dollars.
    pub(crate) fn from_pico(pico: i128) -> Money {
        Money::saturated(decimal::divide_half_even(pico.max(0), 1000, false))
    }

    fn saturated(nanos: i128) -> Money {
        Money(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The amount in nano-dollars.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum; saturates.
    #[must_use]
    pub const fn saturating_add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    /// The difference; saturates, and may be negative.
    #[must_use]
    pub const fn saturating_sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Money::saturating_add)
    }
}

/// US dollars as plain decimal text without exponent, at most 9 decimals: `0.000012`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::write(out, self.0.into(), 9)
    }
}

/// US dollars as a JSON number, written digit for digit. For `serde_json` only: it needs raw values.
impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal::serialize(self, serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_written_without_exponent_or_noise() {
        let check = |nanos, expected: &str| {
            let money = Money::from_nanos(nanos);
            assert_eq!(money.to_string(), expected);
            assert_eq!(serde_json::to_string(&money).unwrap(), expected);
            assert_eq!(Money::from_usd_text(expected), Some(money));
        };
        check(12_000, "0.000012");
        check(1, "0.000000001");
        check(0, "0");
        check(3_000_000_000, "3");
        check(300_000_000, "0.3");
        check(-1_500_000_000, "-1.5");
        check(i64::MAX, "9223372036.854775807");
        check(i64::MIN, "-9223372036.854775808");
    }

    #[test]
    fn money_inside_a_json_value_is_a_number() {
        assert_eq!(serde_json::to_value(Money::from_nanos(12_000)).unwrap(), serde_json::json!(0.000_012));
    }

    #[test]
    fn sums_and_differences_saturate() {
        let most = Money::from_nanos(i64::MAX);
        assert_eq!([most, Money::from_nanos(1)].into_iter().sum::<Money>(), most);
        assert_eq!(Money::from_nanos(i64::MIN).saturating_sub(most), Money::from_nanos(i64::MIN));
        assert_eq!(Money::from_usd_text("1e30"), Some(most));
    }
}
