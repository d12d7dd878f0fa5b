//! Decimal text to scaled integers and back, exactly: no float on the way.

use std::fmt;

/// More significant digits than this only matter for rounding.
const SIGNIFICANT_DIGITS: u32 = 30;

/// Reads `-12.5e-6` as an integer of 10^-`places`, rounded half to even; `None` if it is no decimal number.
/// What is too large saturates.
pub(crate) fn parse(text: &str, places: i32) -> Option<i128> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (digits, digits_exponent, more) = read_mantissa(mantissa)?;
    let magnitude = scale(digits, exponent.saturating_add(digits_exponent).saturating_add(places), more);
    Some(if negative { -magnitude } else { magnitude })
}

/// The significant digits, the power of ten of the last one, and whether digits other than zero were left off.
fn read_mantissa(mantissa: &str) -> Option<(i128, i32, bool)> {
    let (mut digits, mut exponent, mut more) = (0_i128, 0_i32, false);
    let (mut kept, mut seen, mut after_point) = (0_u32, false, false);
    for sign in mantissa.chars() {
        if sign == '.' && !after_point {
            after_point = true;
            continue;
        }
        let digit = sign.to_digit(10)?;
        seen = true;
        if kept < SIGNIFICANT_DIGITS {
            digits = digits * 10 + i128::from(digit);
            kept += u32::from(digits != 0);
            exponent = exponent.saturating_sub(i32::from(after_point));
        } else {
            more |= digit != 0;
            exponent = exponent.saturating_add(i32::from(!after_point));
        }
    }
    seen.then_some((digits, exponent, more))
}

/// `digits` times ten to the power of `exponent`; `more`: a little above it.
fn scale(digits: i128, exponent: i32, more: bool) -> i128 {
    if digits == 0 {
        return 0;
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    match (exponent >= 0, power) {
        (true, Some(power)) => digits.saturating_mul(power),
        (true, None) => i128::MAX,
        (false, Some(power)) => divide_half_even(digits, power, more),
        (false, None) => 0,
    }
}

/// A quotient of non-negative numbers, rounded half to even; `more`: the dividend is a little above what is given.
pub(crate) fn divide_half_even(dividend: i128, divisor: i128, more: bool) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => more || quotient % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

fn write_small(out: &mut fmt::Formatter<'_>, negative: bool, magnitude: u64, unit: u64, places: u32) -> fmt::Result {
    if negative {
        out.write_str("-")?;
    }
    let (whole, mut fraction) = (magnitude / unit, magnitude % unit);
    write!(out, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let mut width = places as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    write!(out, ".{fraction:0width$}")
}

/// Writes an integer of 10^-`places` as plain decimal text: no exponent, no zeros at the end.
pub(crate) fn write(out: &mut fmt::Formatter<'_>, value: i128, places: u32) -> fmt::Result {
    // Nearly every amount fits into 64 bits, where division and printing are ten times cheaper.
    if let (Ok(magnitude), Some(unit)) = (u64::try_from(value.unsigned_abs()), 10_u64.checked_pow(places)) {
        return write_small(out, value < 0, magnitude, unit, places);
    }
    let unit = 10_u128.pow(places);
    let magnitude = value.unsigned_abs();
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    let sign = if value < 0 { "-" } else { "" };
    if fraction == 0 {
        return write!(out, "{sign}{whole}");
    }
    let fraction = format!("{fraction:0width$}", width = places as usize);
    write!(out, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

/// Serialises plain decimal text as a JSON number, digit for digit (for `serde_json`, which has raw values).
pub(crate) fn serialize<S: serde::Serializer>(number: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = serde_json::value::RawValue::from_string(number.to_string()).map_err(serde::ser::Error::custom)?;
    serde::Serialize::serialize(&raw, serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_becomes_whole_units_without_float_noise() {
        let check = |text: &str, expected| assert_eq!(parse(text, 12), Some(expected), "{text}");
        check("2.5e-6", 2_500_000);
        check("0.0000025", 2_500_000);
        check("1.5000020000000002e-05", 15_000_020);
        check("9.499999999999999E-7", 950_000);
        check("-1", -1_000_000_000_000);
        check("+.5", 500_000_000_000);
        check("3.", 3_000_000_000_000);
        check("0e999999999", 0);
        check("1e-999999999", 0);
        check("1e999999999", i128::MAX);
        check("1234567890123456789012345678901.5e-30", 1_234_567_890_123);
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        let check = |text: &str, expected| assert_eq!(parse(text, 0), Some(expected), "{text}");
        check("0.5", 0);
        check("1.5", 2);
        check("2.5", 2);
        check("2.50000000000000000000000000000000000001", 3);
        check("2.49999999999999999999999999999999999999", 2);
    }

    #[test]
    fn what_is_no_decimal_number_is_refused() {
        for text in ["", "-", ".", "e5", "1e", "1.2.3", "1,5", "NaN", "inf", "0x10", "1e5e5", " 1"] {
            assert_eq!(parse(text, 12), None, "{text:?}");
        }
    }
}
