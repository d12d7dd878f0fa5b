//! Percent-encoding (RFC 3986, section 2.1), as addresses and forms have it.

/// Everything but the unreserved characters, encoded: safe as a segment of a path, as a value of a query or of a form.
#[must_use]
pub fn encoded(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS.get(usize::from(half)).map_or('0', |digit| char::from(*digit));
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// What was encoded. A percent sign that no two digits follow stands for itself.
#[must_use]
pub fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = if *first == b'%' { code(after) } else { None };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    out
}

/// What was encoded, if every percent sign begins a code and the whole is text.
#[must_use]
pub fn decoded_text(text: &str) -> Option<String> {
    let is_whole = text.split('%').skip(1).all(|after| code(after.as_bytes()).is_some());
    is_whole.then(|| String::from_utf8(decoded(text)).ok()).flatten()
}

/// The byte that these two digits stand for.
fn code(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(0)? << 4 | digit(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_found_again() {
        assert_eq!(encoded("a-Z.0_9~/ ?&=+%ü"), "a-Z.0_9~%2F%20%3F%26%3D%2B%25%C3%BC");
        let all: String = (0..=0x7FF_u32).filter_map(char::from_u32).collect();
        assert_eq!(decoded_text(&encoded(&all)), Some(all));
    }

    #[test]
    fn what_is_no_code_stands_for_itself_or_is_none() {
        for (text, lenient) in [("100%", "100%"), ("%zz%41", "%zzA"), ("%4", "%4"), ("%%41", "%A"), ("%+1", "%+1")] {
            assert_eq!(decoded(text), lenient.as_bytes(), "{text}");
            assert_eq!(decoded_text(text), None, "{text}");
        }
        assert_eq!(decoded_text("%FF"), None);
        assert_eq!((decoded("%fF"), decoded_text("a%2fb+c").as_deref()), (vec![0xFF], Some("a/b+c")));
    }
}
