//! The head of a part: its name, and what must not stand there.

use bytes::Bytes;

use super::FormError;

/// The name of a part with this head, and whether it is a file.
pub(super) fn read(head: &[u8]) -> Result<(String, bool), FormError> {
    let text = std::str::from_utf8(head).map_err(|_| FormError::Head)?;
    let mut found = None;
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(FormError::Head)?;
        if name.is_empty() || name.ends_with([' ', '\t']) || name.contains(['\r', '\n']) || value.contains(['\r', '\n'])
        {
            return Err(FormError::Head);
        }
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => found = Some(disposition(value)?),
            "content-type" if value.trim().to_ascii_lowercase().starts_with("multipart/") => {
                return Err(FormError::Nested);
            }
            "content-transfer-encoding" if !is_plain(value.trim()) => return Err(FormError::Encoded),
            _ => {}
        }
    }
    found.ok_or(FormError::NoName)
}

fn disposition(value: &str) -> Result<(String, bool), FormError> {
    let (kind, rest) = value.split_once(';').ok_or(FormError::NoName)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(FormError::Head);
    }
    let name = parameter(rest, "name").filter(|name| !name.is_empty()).ok_or(FormError::NoName)?;
    let is_file = parameter(rest, "filename").is_some() || parameter(rest, "filename*").is_some();
    Ok((name, is_file))
}

fn is_plain(encoding: &str) -> bool {
    ["binary", "8bit", "7bit"].iter().any(|plain| encoding.eq_ignore_ascii_case(plain))
}

/// The parameter of that name in what follows a header's first `;`. Quotes are taken off.
pub(super) fn parameter(rest: &str, wanted: &str) -> Option<String> {
    let mut rest = rest;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, left) = value(after)?;
        if name.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = left;
    }
}

/// A parameter's value, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (bare, left) = text.split_once(';').unwrap_or((text, ""));
        return Some((bare.trim().to_owned(), left));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default().trim_start().trim_start_matches(';'))),
            // Only a quote or a backslash is escaped: some clients send paths of Windows as they are.
            '\\' if matches!(quoted.as_bytes().get(at + 1), Some(b'"' | b'\\')) => {
                value.extend(characters.next().map(|(_, escaped)| escaped));
            }
            other => value.push(other),
        }
    }
    None
}

/// A name as it may stand between quotes (the form encoding of the WHATWG).
pub(super) fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The head with another name; everything else as it was.
pub(super) fn renamed(head: &Bytes, to: &str) -> Bytes {
    let text = String::from_utf8_lossy(head);
    let mut out = String::with_capacity(text.len() + to.len());
    for line in text.split_inclusive("\r\n") {
        let of_name = line.get(..19).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition"));
        // `filename=` ends with the same letters, and may stand first.
        let is_name = |at: &usize| !line.get(..*at).is_some_and(|before| before.ends_with("file"));
        let found = line.match_indices("name=\"").map(|(at, _)| at).find(is_name);
        match found.filter(|_| of_name) {
            Some(at) => {
                let (before, after) = line.split_at(at + 6);
                let rest = after.split_once('"').map_or("", |(_, rest)| rest);
                out.push_str(&format!("{before}{}\"{rest}", quoted(to)));
            }
            None => out.push_str(line),
        }
    }
    Bytes::from(out)
}
