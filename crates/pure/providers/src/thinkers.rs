//! Which models can be told how much to think, where the catalog does not say: it forgets what vendors have retired.

use crate::target::Target;

/// Families that answer without thinking, by a part of their names. Every vendor's page of models says so.
const PLAIN: &[&str] = &[
    "claude-2",
    "claude-3-5",
    "claude-3-haiku",
    "claude-3-opus",
    "claude-3-sonnet",
    "claude-instant",
    "codellama",
    "command-a",
    "command-r",
    "gemini-1",
    "gemini-2.0",
    "gemini-pro",
    "gpt-3.5",
    "gpt-4",
    "grok-2",
    "grok-3",
    "jamba",
    "kimi-k2-0711",
    "llama-2",
    "llama-3",
    "llama2",
    "llama3",
    "mixtral",
];
/// Models within those families, or made of them, that do think.
const THINKERS: &[&str] = &["-r1", "think", "reason", "nemotron", "grok-3-mini"];

/// Whether the model may be told how much to think. Who serves a model under a name of his own must be able to, so a name
/// that says nothing is believed.
#[must_use]
pub fn may_think(target: &Target) -> bool {
    if target.facts.known {
        return target.facts.reasoning;
    }
    let name = target.model.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    has(THINKERS) || !has(PLAIN)
}
