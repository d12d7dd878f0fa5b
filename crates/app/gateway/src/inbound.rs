//! What a client wants, in its own words.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_providers::{
    codec::ClientDialect,
    dialects::{
        openai::{CHAT_CLIENT, COMPLETIONS_CLIENT},
        openai_responses::RESPONSES_CLIENT,
    },
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
    /// `/responses`.
    Responses,
    /// `/responses/input_tokens`.
    ResponseTokens,
    /// `/responses/compact`.
    ResponsesCompact,
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
        Self::Responses,
        Self::ResponseTokens,
        Self::ResponsesCompact,
    ];

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
            Self::Responses => "/responses",
            Self::ResponseTokens => "/responses/input_tokens",
            Self::ResponsesCompact => "/responses/compact",
        }
    }

    /// The member without which a request is none.
    #[must_use]
    pub(crate) const fn required(self) -> &'static str {
        match self {
            Self::ChatCompletions => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Moderations | Self::Responses | Self::ResponseTokens | Self::ResponsesCompact => {
                "input"
            }
            Self::Rerank => "query",
            Self::Images => "prompt",
        }
    }

    /// A call of the Responses API, or beside it.
    pub(crate) const fn is_of_responses(self) -> bool {
        matches!(self, Self::Responses | Self::ResponseTokens | Self::ResponsesCompact)
    }

    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions | Self::Responses => Operation::Chat,
            Self::ResponseTokens => Operation::ResponseTokens,
            Self::ResponsesCompact => Operation::Compact,
            Self::Completions => Operation::Completions,
            Self::Embeddings => Operation::Embeddings,
            Self::Rerank => Operation::Rerank,
            Self::Moderations => Operation::Moderations,
            Self::Images => Operation::Images,
        }
    }

    pub(crate) fn client(self) -> &'static dyn ClientDialect {
        match self {
            Self::Completions => &COMPLETIONS_CLIENT,
            Self::Responses | Self::ResponseTokens | Self::ResponsesCompact => &RESPONSES_CLIENT,
            Self::ChatCompletions | Self::Embeddings | Self::Rerank | Self::Moderations | Self::Images => &CHAT_CLIENT,
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
