//! `.env`: names and values, one a line, as people write them. Values are never shown.
//!
//! Spaces around `=`, `export`, comments, single quotes (as is), double quotes (with `\n` and its like), values over
//! several lines in quotes, `${NAME}` and `${NAME:-otherwise}` outside single quotes. An empty value means "not set".

use std::{fs, io::Read, path::Path};

/// A larger file is not read. Bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Looks up a variable that is set already.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a file says.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Dotenv {
    /// Names and values in order; empty values are left out.
    pub(crate) pairs: Vec<(String, String)>,
    /// What could not be read, with file and line, without values.
    pub(crate) complaints: Vec<String>,
}

/// Reads the file; one that is not there, or is a folder (a Python environment, as a rule), says nothing.
pub(crate) fn load(path: &Path, lookup: Lookup<'_>) -> Dotenv {
    let complaint = |what: String| Dotenv { pairs: Vec::new(), complaints: vec![format!("{}: {what}", name(path))] };
    if !path.is_file() {
        return Dotenv::default();
    }
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(error) => complaint(format!("cannot be read: {error}")),
        Ok(length) if length as u64 > MAX_BYTES => complaint(format!("is over {MAX_BYTES} bytes, so it is not read")),
        Ok(_) => match std::str::from_utf8(&bytes) {
            Ok(text) => parse(&name(path), text, lookup),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                complaint(format!("line {line} is not UTF-8, so the file is not read"))
            }
        },
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads the text of a file that complaints call `name`.
fn parse(name: &str, text: &str, lookup: Lookup<'_>) -> Dotenv {
    let mut read = Dotenv::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let before = rest;
        match statement(&mut rest) {
            Ok(None) => {}
            Ok(Some((key, value))) => {
                let value = value.expanded(&|name| {
                    let earlier = || read.pairs.iter().rev().find(|(known, _)| known == name);
                    lookup(name).or_else(|| earlier().map(|(_, value)| value.clone()))
                });
                if !value.is_empty() {
                    read.pairs.push((key.to_owned(), value));
                }
            }
            Err(what) => {
                rest = before.split_once('\n').map_or("", |(_, rest)| rest);
                read.complaints.push(format!("{name}:{line}: {what}; the line is left out"));
            }
        }
        let taken = before.len() - rest.len();
        line += before.get(..taken).unwrap_or_default().matches('\n').count();
    }
    read
}

/// A value as it is written.
enum Written {
    /// In single quotes: as it is.
    Literal(String),
    /// `${NAME}` in it stands for something.
    Open(String),
}

/// Takes one statement, an empty line or a comment off the front of `rest`, its line end included.
fn statement<'t>(rest: &mut &'t str) -> Result<Option<(&'t str, Written)>, &'static str> {
    let start = rest.trim_start_matches([' ', '\t', '\r']);
    let line = start.split('\n').next().unwrap_or_default();
    let after_line = start.get(line.len()..).map_or("", |rest| rest.strip_prefix('\n').unwrap_or(rest));
    if line.trim().is_empty() || line.starts_with('#') {
        *rest = after_line;
        return Ok(None);
    }
    let exported =
        ["export ", "export\t"].iter().find_map(|word| start.strip_prefix(word)).unwrap_or(start).trim_start();
    let Some((key, value)) = exported.split_once('=').filter(|(key, _)| !key.contains('\n')) else {
        return Err("this is not NAME=value");
    };
    let key = key.trim();
    if !is_name(key) {
        return Err("what stands before `=` is not the name of a variable");
    }
    let value = value.trim_start_matches([' ', '\t']);
    let (written, after) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value.get(1..).unwrap_or_default(), quote)?,
        _ => {
            let line = value.split('\n').next().unwrap_or_default();
            (Written::Open(without_comment(line).to_owned()), value.get(line.len()..).unwrap_or_default())
        }
    };
    let (left, next) = after.split_once('\n').unwrap_or((after, ""));
    let left = left.trim();
    if !left.is_empty() && !left.starts_with('#') {
        return Err("something stands behind the closing quote");
    }
    *rest = next;
    Ok(Some((key, written)))
}

fn is_name(key: &str) -> bool {
    let fits = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.' | '-');
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && key.chars().all(fits)
}

/// The value without the comment behind it: a `#` with a space before it, or one in the place of the value.
fn without_comment(line: &str) -> &str {
    let comment = line.char_indices().find(|(place, sign)| {
        let before = line.get(..*place).unwrap_or_default();
        *sign == '#' && (before.is_empty() || before.ends_with([' ', '\t']))
    });
    comment.and_then(|(place, _)| line.get(..place)).unwrap_or(line).trim()
}

/// What stands in quotes, and what comes after them.
fn quoted(text: &str, quote: char) -> Result<(Written, &str), &'static str> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((place, sign)) = signs.next() {
        if sign == quote {
            let after = text.get(place + 1..).unwrap_or_default();
            let written = if quote == '\'' { Written::Literal(value) } else { Written::Open(value) };
            return Ok((written, after));
        }
        if sign != '\\' {
            value.push(sign);
            continue;
        }
        match (quote, signs.next().map(|(_, sign)| sign)) {
            ('"', Some('n')) => value.push('\n'),
            ('"', Some('r')) => value.push('\r'),
            ('"', Some('t')) => value.push('\t'),
            (_, Some(sign)) if sign == quote || sign == '\\' => value.push(sign),
            (_, Some(sign)) => value.extend(['\\', sign]),
            (_, None) => value.push('\\'),
        }
    }
    Err("a quote is opened and not closed")
}

impl Written {
    fn expanded(self, lookup: Lookup<'_>) -> String {
        let text = match self {
            Self::Literal(text) => return text,
            Self::Open(text) => text,
        };
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inside, behind)) = after.split_once('}') else { break };
            let (name, otherwise) = inside.split_once(":-").unwrap_or((inside, ""));
            expanded.push_str(before);
            expanded.push_str(&lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned()));
            rest = behind;
        }
        expanded.push_str(rest);
        expanded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let read = parse(".env", text, &|name| (name == "SET").then(|| "outside".to_owned()));
        let pairs: Vec<_> = read.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, expected, "{text}");
        assert!(read.complaints.is_empty(), "{:?}", read.complaints);
    }

    fn complaints(text: &str) -> Vec<String> {
        parse(".env", text, &|_| None).complaints
    }

    #[test]
    fn the_seeds_lines_are_read() {
        check("REDIS_HOST = \"\"       # REDIS_HOST='redis-1.test'\nREDIS_PORT = \"\"\n", &[]);
        check(
            "  REDIS_HOST = 'redis-1.test'   # the host\nREDIS_PORT=\"18841\"\n\tREDIS_PASSWORD = liteLlmIsAmazing # it is\n",
            &[("REDIS_HOST", "redis-1.test"), ("REDIS_PORT", "18841"), ("REDIS_PASSWORD", "liteLlmIsAmazing")],
        );
    }

    #[test]
    fn quotes_comments_and_export_are_taken_off() {
        check("export A=1\nexport\tB = 2\n# C=3\n\n  # D=4\n", &[("A", "1"), ("B", "2")]);
        check(
            "A=x#y\nB=x #y\nC=#y\nD='x # y'\nE=\"x # y\"#z\n",
            &[("A", "x#y"), ("B", "x"), ("D", "x # y"), ("E", "x # y")],
        );
        check("A=a=b==\nB=two words  \n", &[("A", "a=b=="), ("B", "two words")]);
        check("A='it\\'s \\n'\nB=\"a\\nb\\t\\\"c\\\" \\q\"\n", &[("A", "it's \\n"), ("B", "a\nb\t\"c\" \\q")]);
    }

    #[test]
    fn empty_values_are_not_set() {
        check("A=\nB=''\nC=\"\"\nD=   # nothing\n", &[]);
    }

    #[test]
    fn line_ends_and_marks_of_other_systems_do_not_matter() {
        check("\u{feff}A=1\r\nB=\"2\"\r\n\r\nC=3", &[("A", "1"), ("B", "2"), ("C", "3")]);
    }

    #[test]
    fn a_quoted_value_may_have_several_lines() {
        check("KEY=\"-----BEGIN\nabc\n-----END\"\nB=1\n", &[("KEY", "-----BEGIN\nabc\n-----END"), ("B", "1")]);
    }

    #[test]
    fn names_in_braces_stand_for_what_is_set() {
        check(
            "A=1\nB=${A}/${SET}/${NOT}/${NOT:-x}\nC='${A}'\nD=\"${A\"\n",
            &[("A", "1"), ("B", "1/outside//x"), ("C", "${A}"), ("D", "${A")],
        );
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_costs_only_itself() {
        let read = parse(".env", "A=1\nsk-secret\nB=\"2\n3\"\n= 4\nC='5' 6\nD=\"open\nE=7\n", &|_| None);
        assert_eq!(
            read.complaints,
            [
                ".env:2: this is not NAME=value; the line is left out",
                ".env:5: what stands before `=` is not the name of a variable; the line is left out",
                ".env:6: something stands behind the closing quote; the line is left out",
                ".env:7: a quote is opened and not closed; the line is left out",
            ]
        );
        let names: Vec<_> = read.pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "B", "E"]);
        assert!(complaints("[keys]\n")[0].starts_with(".env:1: "));
    }
}
