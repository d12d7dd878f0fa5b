//! What to tell somebody whose YAML is not: the cause in plain words, and the line as it was meant.
//!
//! Nearly every such file has one line that stands a few columns off, begins with a tab, or lacks a space. So the lines
//! near the error are corrected in these ways, and the first correction after which the parser gets further is shown.

use super::{Node, read::Failure};
use crate::{Finding, Location, deployment_id::is_secret_name};

/// How many lines above the reported one may be the one at fault.
const LINES_BACK: usize = 2;
/// How many lines below: a scalar that runs into a badly indented line is reported where it begins.
const LINES_ON: usize = 2;

/// Above this size no line is tried: each try reads the whole text.
const MAX_TRIED_BYTES: usize = 256 << 10;

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Tab,
    Column,
    Colon,
}

/// A line as it was meant.
struct Corrected {
    /// Counted from 0.
    number: usize,
    line: String,
    fault: Fault,
}

/// The finding for `failure`, with a corrected line if there is one after which `parse` gets further.
pub(crate) fn explain(failure: &Failure, text: &str, parse: impl Fn(&str) -> Result<Node, Failure>) -> Finding {
    let lines: Vec<&str> = text.lines().collect();
    let tried = failure.layout && text.len() <= MAX_TRIED_BYTES;
    let Some(corrected) = tried.then(|| correct(failure, &lines, parse)).flatten() else {
        return Finding::fatal("", &failure.at, failure.message.clone());
    };
    let cause = match corrected.fault {
        Fault::Tab => "a tab indents this line, and YAML is indented with spaces only",
        Fault::Column => "this line is not indented like the lines it belongs to",
        Fault::Colon => "a space is missing after the colon",
    };
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
    let number = count(corrected.number);
    let message = format!("{cause}; corrected, line {number} reads:\n{}", without_secret(&corrected.line));
    let line = lines.get(corrected.number).copied().unwrap_or_default();
    let at = Location { line: number, column: count(margin(line).len()), ..failure.at.clone() };
    Finding::fatal("", &at, message)
}

fn correct(failure: &Failure, lines: &[&str], parse: impl Fn(&str) -> Result<Node, Failure>) -> Option<Corrected> {
    let reported = usize::try_from(failure.at.line).ok()?.checked_sub(1)?.min(lines.len().checked_sub(1)?);
    let mut suspects: Vec<usize> = (reported.saturating_sub(LINES_BACK)..=reported).rev().collect();
    suspects.extend(reported + 1..lines.len().min(reported + 1 + LINES_ON));
    // A line with a tab in its margin is at fault before any other.
    suspects.sort_by_key(|number| !lines.get(*number).is_some_and(|line| margin(line).contains('\t')));
    for number in suspects {
        let line = lines.get(number)?;
        for (fault, candidate) in candidates(lines.get(..number)?, line) {
            let mut changed: Vec<&str> = lines.to_vec();
            if let Some(place) = changed.get_mut(number) {
                *place = &candidate;
            }
            let further = match parse(&changed.join("\n")) {
                Ok(_) => true,
                Err(next) => next.layout && got_further(failure, &next, fault),
            };
            if further {
                return Some(Corrected { number, line: candidate, fault });
            }
        }
    }
    None
}

/// Whether `next` is met later than `failure`. Where a tab went, later on the same line will do: the scalar that runs
/// into the next tab is reported where it begins.
fn got_further(failure: &Failure, next: &Failure, fault: Fault) -> bool {
    let same_line = next.at.line == failure.at.line && next.at.column > failure.at.column;
    next.at.line > failure.at.line || (fault == Fault::Tab && same_line)
}

/// How `line` may have been meant, likeliest first.
fn candidates(above: &[&str], line: &str) -> Vec<(Fault, String)> {
    let tab = margin(line).contains('\t');
    let columns = columns(above, line);
    let mut candidates = Vec::new();
    // A line that stands where it should is not moved: something else is wrong.
    if tab || columns.first().is_some_and(|column| *column != margin(line).len()) {
        let fault = if tab { Fault::Tab } else { Fault::Column };
        let moved = columns.iter().map(|column| format!("{}{}", " ".repeat(*column), line.trim_start()));
        candidates.extend(moved.map(|moved| (fault, moved)));
    }
    if let Some((key, value)) = line.split_once(':')
        && value.starts_with(|c: char| c.is_alphanumeric())
        && key.trim_start().trim_start_matches("- ").chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        candidates.push((Fault::Colon, format!("{key}: {value}")));
    }
    candidates
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
    // Under a key without a value the line may be the value; a tab in front of it makes that likely.
    if let Some(parent) = above.iter().rev().find(|earlier| !is_blank(earlier))
        && parent.trim_end().ends_with(':')
    {
        let dash = if parent.trim_start().starts_with("- ") { 2 } else { 0 };
        let place = if margin(line).contains('\t') { 0 } else { columns.len().min(1) };
        columns.insert(place, margin(parent).len() + dash + 2);
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
