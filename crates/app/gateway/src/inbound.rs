//! What a client wants, in its own words.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_providers::{
    codec::ClientDialect,
    dialects::{
        anthropic::MESSAGES_CLIENT,
        openai::{CHAT_CLIENT, COMPLETIONS_CLIENT},
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
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/embeddings`.
    Embeddings,
    /// `/rerank`.
    Rerank,
    /// `/moderations`.
    Moderations,
    /// `/images/generations`.
    Images,
}

impl Route {
    /// All of them, a path that ends with another's before that.
    pub const ALL: &'static [Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::Messages,
        Self::CountTokens,
        Self::Embeddings,
        Self::Rerank,
        Self::Moderations,
        Self::Images,
    ];

    /// The path, as error messages name it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::Embeddings => "/embeddings",
            Self::Rerank => "/rerank",
            Self::Moderations => "/moderations",
            Self::Images => "/images/generations",
        }
    }

    /// The member without which a request is none.
    #[must_use]
    pub(crate) const fn required(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Messages | Self::CountTokens => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Moderations => "input",
            Self::Rerank => "query",
            Self::Images => "prompt",
        }
    }

    pub(crate) const fn operation(self) -> Operation {
        match self {
            Self::ChatCompletions | Self::Messages => Operation::Chat,
            Self::CountTokens => Operation::CountTokens,
            Self::Completions => Operation::Completions,
            Self::Embeddings => Operation::Embeddings,
            Self::Rerank => Operation::Rerank,
            Self::Moderations => Operation::Moderations,
            Self::Images => Operation::Images,
        }
    }

    /// The dialect in which this route is asked and answers, failures included.
    #[must_use]
    pub fn client(self) -> &'static dyn ClientDialect {
        match self {
            Self::Completions => &COMPLETIONS_CLIENT,
            Self::Messages | Self::CountTokens => &MESSAGES_CLIENT,
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
