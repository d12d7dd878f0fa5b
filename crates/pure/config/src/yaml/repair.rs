//! What to tell somebody whose YAML is not: the cause in plain words, and the line as it was meant.
//!
//! Nearly every such file has one line that stands a few columns off, or begins with a tab. So the line at fault is
//! moved to the columns that its neighbours use, and the first move after which the parser gets further is shown.

use super::{Node, read::Failure};
use crate::{Finding, Location, deployment_id::is_secret_name};

/// How many lines above the reported one may be the one at fault.
const LINES_BACK: usize = 2;
/// How many lines below: a scalar that runs into a badly indented line is reported where it begins.
const LINES_ON: usize = 2;

/// Above this size no line is tried: each try reads the whole text.
const MAX_TRIED_BYTES: usize = 256 << 10;

/// The finding for `failure`, with a corrected line if one of `text`'s lines can be moved so that `parse` gets further.
pub(crate) fn explain(failure: &Failure, text: &str, parse: impl Fn(&str) -> Result<Node, Failure>) -> Finding {
    let lines: Vec<&str> = text.lines().collect();
    let moved =
        if failure.layout && text.len() <= MAX_TRIED_BYTES { corrected_line(failure, &lines, parse) } else { None };
    let Some((number, corrected)) = moved else {
        return Finding::fatal("", &failure.at, failure.message.clone());
    };
    let line = lines.get(number).copied().unwrap_or_default();
    let message = format!(
        "{}; corrected, line {} reads:\n{}",
        cause(line, &failure.message),
        number + 1,
        without_secret(&corrected)
    );
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    let at = Location { line: count(number), column: count(margin(line).len()), ..failure.at.clone() };
    Finding::fatal("", &at, message)
}

fn cause(line: &str, parser_says: &str) -> String {
    if margin(line).contains('\t') {
        "a tab indents this line, and YAML is indented with spaces only".to_owned()
    } else {
        format!("this line is not indented like the lines it belongs to: {parser_says}")
    }
}

/// The line (counted from 0) that, moved, lets the parser get further, and how it then reads.
fn corrected_line(
    failure: &Failure,
    lines: &[&str],
    parse: impl Fn(&str) -> Result<Node, Failure>,
) -> Option<(usize, String)> {
    let reported = usize::try_from(failure.at.line).ok()?.checked_sub(1)?.min(lines.len().checked_sub(1)?);
    // A line with a tab in its margin is at fault before any other.
    let mut suspects: Vec<usize> = (reported.saturating_sub(LINES_BACK)..=reported).rev().collect();
    suspects.extend(reported + 1..lines.len().min(reported + 1 + LINES_ON));
    suspects.sort_by_key(|number| !lines.get(*number).is_some_and(|line| margin(line).contains('\t')));
    for number in suspects {
        let line = lines.get(number)?;
        for column in columns(lines.get(..number)?, line) {
            let candidate = format!("{}{}", " ".repeat(column), line.trim_start());
            if candidate == **line {
                continue;
            }
            let mut moved: Vec<&str> = lines.to_vec();
            if let Some(place) = moved.get_mut(number) {
                *place = &candidate;
            }
            let further = match parse(&moved.join("\n")) {
                Ok(_) => true,
                Err(next) => next.layout && next.at.line > failure.at.line,
            };
            if further {
                return Some((number, candidate));
            }
        }
    }
    None
}

/// The columns where `line` may have been meant to stand, likeliest first.
fn columns(above: &[&str], line: &str) -> Vec<usize> {
    let item = line.trim_start().starts_with("- ");
    let mut columns = Vec::new();
    for earlier in above.iter().rev().filter(|earlier| !is_blank(earlier)).take(50) {
        let indent = margin(earlier).len();
        let earlier_item = earlier.trim_start().starts_with("- ");
        match (item, earlier_item) {
            // A list item stands under the items before it; a key under the key after the dash.
            (true, true) | (false, false) => columns.push(indent),
            (false, true) => columns.push(indent + 2),
            (true, false) => {}
        }
        if columns.len() >= 8 {
            break;
        }
    }
    let mut seen = Vec::new();
    columns.retain(|column| {
        !seen.contains(column) && {
            seen.push(*column);
            true
        }
    });
    columns
}

fn margin(line: &str) -> &str {
    let end = line.find(|c: char| c != ' ' && c != '\t').unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The line without what may be a secret: the value of `api_key` and its like is not shown.
fn without_secret(line: &str) -> String {
    match line.split_once(':') {
        Some((key, value))
            if !value.trim().is_empty() && is_secret_name(key.trim_start().trim_start_matches("- ").trim()) =>
        {
            format!("{key}: …")
        }
        _ => line.to_owned(),
    }
}
