//! Amounts of money: whole nano-dollars.

use std::{fmt, iter::Sum};

/// An amount in nano-dollars (10^-9 USD). Arithmetic saturates; there is no way from or to a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(i64);

impl Nanos {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// More than anybody has.
    pub const MAX: Self = Self(i64::MAX);

    /// So many nano-dollars.
    #[must_use]
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// So many whole dollars.
    #[must_use]
    pub const fn dollars(dollars: i64) -> Self {
        Self(dollars.saturating_mul(1_000_000_000))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, which may be negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The difference, or nothing where it would be negative.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.minus(other).max(Self::ZERO)
    }

    /// This part of it, rounded down.
    #[must_use]
    pub fn part(self, numerator: i64, denominator: i64) -> Self {
        let part = i128::from(self.0) * i128::from(numerator) / i128::from(denominator.max(1));
        Self(i64::try_from(part).unwrap_or(if part < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// US dollars with all nine decimals: `0.000012000`. For logs; what clients see is written elsewhere.
impl fmt::Display for Nanos {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(out, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_saturate_and_are_written_in_full() {
        assert_eq!(Nanos::MAX.plus(Nanos::new(1)), Nanos::MAX);
        assert_eq!(
            (Nanos::new(3).minus(Nanos::new(5)), Nanos::new(3).less(Nanos::new(5))),
            (Nanos::new(-2), Nanos::ZERO)
        );
        assert_eq!(Nanos::dollars(10).part(2, 100), Nanos::new(200_000_000));
        assert_eq!(Nanos::new(-1_500_000_012).to_string(), "-1.500000012");
        assert_eq!(Nanos::MAX.part(3, 1), Nanos::MAX);
    }
}
