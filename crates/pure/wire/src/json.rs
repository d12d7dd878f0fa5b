//! The lenient reader of decision 10: what old clients send that is nearly JSON becomes JSON.
//!
//! Seed curls end objects with a trailing comma (SEED-77), write `"stream": True` (SEED-78) and begin with a space
//! (SEED-76); 2023's server read bodies as Python literals, so single quotes and `None` worked as well.

/// Largest body that the lenient reader looks at, bytes.
pub const LENIENT_LIMIT: usize = 1 << 20;

/// `text` as strict JSON, if only these stand in the way: trailing commas, `True`/`False`/`None`, single quotes.
/// The result still has to be parsed: this only rewrites tokens.
#[must_use]
pub fn strict_from_lenient(text: &str) -> Option<String> {
    if text.len() > LENIENT_LIMIT {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' => copy_string(rest, first, &mut out)?,
            '}' | ']' => {
                drop_trailing_comma(&mut out);
                out.push(first);
                rest.get(1..)?
            }
            'A'..='Z' | 'a'..='z' | '_' => copy_word(rest, &mut out),
            _ => {
                out.push(first);
                rest.get(first.len_utf8()..)?
            }
        };
    }
    Some(out)
}

fn drop_trailing_comma(out: &mut String) {
    let kept = out.trim_end().len();
    if out.trim_end().ends_with(',') {
        out.truncate(kept - 1);
    }
}

fn copy_word<'t>(rest: &'t str, out: &mut String) -> &'t str {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    out.push_str(match word {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    });
    after
}

/// Copies a string with JSON's quotes and escapes; gives what follows it.
fn copy_string<'t>(rest: &'t str, quote: char, out: &mut String) -> Option<&'t str> {
    out.push('"');
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                '\'' => out.push('\''),
                escaped => {
                    out.push('\\');
                    out.push(escaped);
                }
            },
            c if c == quote => {
                out.push('"');
                return rest.get(at + 1..);
            }
            '"' => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(text: &str, expected: &Value) {
        let strict = strict_from_lenient(text).unwrap();
        assert_eq!(&serde_json::from_str::<Value>(&strict).unwrap(), expected, "{strict}");
    }

    #[test]
    fn the_seeds_bodies_are_read() {
        check(
            " {\"model\": \"a\", \"messages\": [{\"role\": \"user\",}, ],\n }\n",
            &json!({"model": "a", "messages": [{"role": "user"}]}),
        );
        check("{\"stream\": True, \"x\": None, \"y\": False}", &json!({"stream": true, "x": null, "y": false}));
        check("{'a': 'it\\'s \"ok\"', 'b': 1}", &json!({"a": "it's \"ok\"", "b": 1}));
    }

    #[test]
    fn strings_are_left_alone() {
        check(r#"{"a": "True, ] None,}", "b": "x\ny"}"#, &json!({"a": "True, ] None,}", "b": "x\ny"}));
    }

    #[test]
    fn an_open_string_is_no_json() {
        assert_eq!(strict_from_lenient("{\"a\": \"b"), None);
    }
}
