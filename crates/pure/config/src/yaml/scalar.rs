//! What a plain (unquoted) scalar means, by the rules of Python's YAML 1.1 loader.

use serde_json::Number;

use super::Value;

/// The meaning of the plain scalar `text`.
///
/// Dates stay texts, unlike in Python: `api_version: 2023-05-15` is meant as one.
pub(crate) fn meaning(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Flag(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Flag(false),
        _ => {}
    }
    match whole(text).or_else(|| float(text)) {
        Some(number) => Value::Number(number, text.to_owned()),
        None => Value::Text(text.to_owned()),
    }
}

/// Integers: decimal, `0b`, `0x`, octal by a leading zero, `_` anywhere between digits. Base 60 (`1:30`) stays text.
fn whole(text: &str) -> Option<Number> {
    let (negative, digits) = sign(text);
    let (radix, digits) = match digits.strip_prefix("0b") {
        Some(rest) => (2, rest),
        None => match digits.strip_prefix("0x") {
            Some(rest) => (16, rest),
            None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
            None => (10, digits),
        },
    };
    if digits.starts_with('_') && radix == 10 {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let size = i128::from_str_radix(&digits, radix).ok()?;
    let value = if negative { -size } else { size };
    u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from)).ok()
}

/// Floats: a dot is a must, an exponent needs a sign. So `1e3` is a text, as it is for Python.
/// `1e-7` is read nevertheless: nobody who writes a price that way means a text.
fn float(text: &str) -> Option<Number> {
    let (_, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
            return None;
        }
    }
    if exponent.is_none() && !mantissa.contains('.') {
        return None;
    }
    let plain = |c: char| c.is_ascii_digit() || c == '_' || c == '.';
    let starts_well = mantissa.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts_well || !mantissa.chars().all(plain) || !mantissa.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.replace('_', "").parse::<f64>().ok().and_then(Number::from_f64)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match meaning(text) {
            Value::Null => "null".to_owned(),
            Value::Flag(flag) => flag.to_string(),
            Value::Number(number, written) => {
                assert_eq!(written, text);
                number.to_string()
            }
            Value::Text(text) => format!("text {text}"),
            Value::List(_) | Value::Map(_) => "no scalar".to_owned(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        for text in ["True", "true", "TRUE", "yes", "Yes", "on", "ON"] {
            check(text, "true");
        }
        for text in ["False", "no", "NO", "off"] {
            check(text, "false");
        }
        for text in ["y", "n", "tRUE", "yEs"] {
            check(text, &format!("text {text}"));
        }
    }

    #[test]
    fn an_empty_value_is_not_set() {
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, "null");
        }
        check("None", "text None");
    }

    #[test]
    fn numbers_are_those_of_yaml_1_1() {
        check("12_000", "12000");
        check("0777", "511");
        check("0x1F", "31");
        check("0b11", "3");
        check("+5", "5");
        check("-7", "-7");
        check("0", "0");
        check(".5", "0.5");
        check("1.", "1.0");
        check("1_0.5_0", "10.5");
        check("1.5e+3", "1500.0");
        check("1e-7", "1e-7");
        check("18446744073709551615", "18446744073709551615");
    }

    #[test]
    fn what_only_looks_like_a_number_is_a_text() {
        for text in
            ["08", "0o17", "1:30", "1e3", "1.5e3", "2023-05-15", "1.2.3.4", "-", ".", "_1", ".inf", ".nan", "1_x"]
        {
            check(text, &format!("text {text}"));
        }
    }
}
