//! Vertex AI: where a project's models live, and the words of those that are not Google's own.

mod claude;
mod mistral;
mod place;

use crate::{
    codec::ProviderDialect,
    dialects::{anthropic, anthropic_complete, gemini, openai},
    target::Target,
};

pub use claude::CLAUDE;
pub use place::{locate, url};

/// Whose models these are, which decides path and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publisher {
    /// Google: `generateContent` and `predict`.
    Google,
    /// Anthropic: Claude's words.
    Anthropic,
    /// Mistral: `OpenAI`'s words at an address of the model.
    Mistral,
    /// Everyone else: `OpenAI`'s words at one address for all models.
    Others,
}

/// How names of Mistral's models begin.
const MISTRAL: [&str; 4] = ["mistral", "codestral", "ministral", "magistral"];

pub(crate) fn publisher(model: &str) -> Publisher {
    match model {
        claude if claude.starts_with("claude") || claude.starts_with("anthropic/") => Publisher::Anthropic,
        model if MISTRAL.iter().any(|name| model.starts_with(name)) => Publisher::Mistral,
        // Publishers stand before a slash: `meta/llama-…`, `deepseek-ai/…`, `openai/gpt-oss-…`.
        model if model.contains('/') => Publisher::Others,
        _ => Publisher::Google,
    }
}

/// The dialect of a partner's model; `None` for Google's.
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    Some(match publisher(&target.model) {
        Publisher::Google => return None,
        Publisher::Anthropic => &CLAUDE,
        Publisher::Mistral => &mistral::MISTRAL,
        Publisher::Others => &openai::CHAT,
    })
}

/// Whether a model takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    match publisher(&target.model) {
        Publisher::Google => gemini::takes(name, target),
        Publisher::Anthropic => anthropic_complete::of_model(target).is_none() && anthropic::takes(name, target),
        Publisher::Mistral | Publisher::Others => openai::compatible_takes(name, target),
    }
}

/// The whole address of what is asked in `OpenAI`'s words.
#[must_use]
pub fn address(target: &Target, _path: &str) -> String {
    match publisher(&target.model) {
        Publisher::Others => place::openapi_url(target),
        _ => url(target, "rawPredict"),
    }
}
