//! Compares a mapping with its table: unknown keys, wrong types, keys whose feature is not there yet.

use crate::{
    Finding, Severity,
    fields::accepts,
    keys::{Kind, Section, State, Unknown},
    nearest::nearest,
    yaml::{Entry, Node},
};

/// How far a word may be off for "did you mean".
const GUESS: usize = 3;
/// The same where unknown words are welcome: nearer, so that a provider's own parameter is not taken for a slip.
const NEAR_MISS: usize = 2;

pub(super) fn section(node: &Node, section: &Section, path: &str, findings: &mut Vec<Finding>) {
    for entry in node.entries().unwrap_or_default() {
        let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        match section.known(&entry.key) {
            Some(known) => {
                if accepts(known.kind, &entry.value) {
                    state(entry, known.state, &path, findings);
                    nested(&entry.value, known.kind, &path, findings);
                } else {
                    let severity = misfit(known.state);
                    let message = wanted(known.kind, &entry.value);
                    findings.push(Finding::new(severity, path, &entry.value.at, message));
                }
            }
            None => unknown(entry, section, path, findings),
        }
    }
}

fn nested(node: &Node, kind: Kind, path: &str, findings: &mut Vec<Finding>) {
    match kind {
        Kind::Section(inner) => section(node, inner, path, findings),
        Kind::Each(inner) => {
            for (index, item) in node.items().unwrap_or_default().iter().enumerate() {
                let path = format!("{path}[{index}]");
                if item.entries().is_some() {
                    section(item, inner, &path, findings);
                } else {
                    findings.push(Finding::fatal(path, &item.at, format!("wants a mapping, this is {}", item.kind())));
                }
            }
        }
        _ => {}
    }
}

/// What is not used cannot do harm in a wrong form.
fn misfit(state: State) -> Severity {
    match state {
        State::Later | State::Without | State::Python => Severity::Warning,
        State::Used | State::Ours | State::Guard | State::Closed => Severity::Fatal,
    }
}

/// The words never show the value: it may be a secret.
fn wanted(kind: Kind, node: &Node) -> String {
    let article = match kind {
        Kind::Choice(_) | Kind::Flag | Kind::Seconds | Kind::Any => "",
        _ => "a ",
    };
    format!("wants {article}{}, this is {}", kind.words(), node.kind())
}

fn state(entry: &Entry, state: State, path: &str, findings: &mut Vec<Finding>) {
    if entry.value.is_null() {
        return;
    }
    let (severity, message) = match state {
        State::Used | State::Ours => return,
        State::Later => (Severity::Note, "known; not yet used by this version"),
        State::Without => (Severity::Note, "known; nothing to do here"),
        State::Python => (Severity::Warning, "names Python code, which is not run here; the start goes on without it"),
        State::Guard => (
            Severity::Fatal,
            "names Python code that decides who may do what; it is not run here, and starting without it would let \
             everybody in. An HTTP hook takes its place; until it is set up, remove this key",
        ),
        State::Closed if entry.value.items().is_some_and(<[Node]>::is_empty) => return,
        State::Closed => (
            Severity::Fatal,
            "not enforced by this version, and starting without it would let in everybody whom it keeps out; remove \
             this key, or wait for a version that enforces it",
        ),
    };
    findings.push(Finding::new(severity, path, &entry.at, message));
}

fn unknown(entry: &Entry, section: &Section, path: String, findings: &mut Vec<Finding>) {
    let message = match section.unknown {
        Unknown::Warn => match nearest(&entry.key, section.names(), GUESS) {
            Some(known) => format!("unknown key, ignored; did you mean {known}?"),
            None => "unknown key, ignored".to_owned(),
        },
        Unknown::Keep => match nearest(&entry.key, section.names(), NEAR_MISS) {
            Some(known) if !PROVIDERS_OWN.contains(&entry.key.as_str()) => {
                format!("not a key of this section, so it is passed on; did you mean {known}?")
            }
            _ => return,
        },
    };
    findings.push(Finding::new(Severity::Warning, path, &entry.at, message));
}

/// Parameters of calls that look like slips of the pen and are none.
const PROVIDERS_OWN: &[&str] =
    &["stop", "n", "user", "seed", "store", "top_k", "top_p", "tools", "model_id", "modalities"];
