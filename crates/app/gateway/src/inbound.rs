//! What a client wants, in its own words.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_providers::{
    codec::ClientDialect,
    dialects::openai::{CHAT_CLIENT, COMPLETIONS_CLIENT},
    translate::Operation,
};

/// The routes that call models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/chat/completions`.
    ChatCompletions,
    /// `/completions`.
    Completions,
    /// `/embeddings`.
    Embeddings,
    /// `/rerank`.
    Rerank,
    /// `/moderations`.
    Moderations,
    /// `/images/generations`.
    Images,
    /// `/images/edits`; a form.
    ImageEdits,
    /// `/images/variations`; a form.
    ImageVariations,
    /// `/audio/transcriptions`; a form.
    Transcriptions,
    /// `/audio/translations`; a form.
    Translations,
    /// `/audio/speech`; the answer is sound.
    Speech,
}

impl Route {
    /// All of them, a path that ends with another's before that.
    pub const ALL: &'static [Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Rerank,
        Self::Moderations,
        Self::Images,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Transcriptions,
        Self::Translations,
        Self::Speech,
    ];

    /// Those whose request is a form, or whose answer is no document.
    pub const MEDIA: &'static [Self] =
        &[Self::ImageEdits, Self::ImageVariations, Self::Transcriptions, Self::Translations, Self::Speech];

    /// The request is a form.
    #[must_use]
    pub const fn takes_form(self) -> bool {
        matches!(self, Self::ImageEdits | Self::ImageVariations | Self::Transcriptions | Self::Translations)
    }

    /// The answer is passed on as it comes: sound, or text in the format that was asked for.
    pub(crate) const fn passes_answer(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Translations | Self::Speech)
    }

    /// The path, as error messages name it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Rerank => "/rerank",
            Self::Moderations => "/moderations",
            Self::Images => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::ImageVariations => "/images/variations",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Speech => "/audio/speech",
        }
    }

    /// The member without which a request is none.
    #[must_use]
    pub(crate) const fn required(self) -> &'static str {
        match self {
            Self::ChatCompletions => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Moderations | Self::Speech => "input",
            Self::Rerank => "query",
            Self::Images | Self::ImageEdits => "prompt",
            Self::ImageVariations => "image",
            Self::Transcriptions | Self::Translations => "file",
        }
    }

    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions => Operation::Chat,
            Self::Completions => Operation::Completions,
            Self::Embeddings => Operation::Embeddings,
            Self::Rerank => Operation::Rerank,
            Self::Moderations => Operation::Moderations,
            Self::Images => Operation::Images,
            Self::ImageEdits => Operation::ImageEdits,
            Self::ImageVariations => Operation::ImageVariations,
            Self::Transcriptions => Operation::Transcriptions,
            Self::Translations => Operation::Translations,
            Self::Speech => Operation::Speech,
        }
    }

    pub(crate) fn client(self) -> &'static dyn ClientDialect {
        match self {
            Self::Completions => &COMPLETIONS_CLIENT,
            _ => &CHAT_CLIENT,
        }
    }
}

/// One request of a client, read to its end.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// What it asks for.
    pub route: Route,
    /// The model in the path (`/engines/{model}/…`), which goes before the body's.
    pub path_model: Option<String>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}
