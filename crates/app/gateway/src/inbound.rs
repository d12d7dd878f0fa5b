//! What a client wants, in its own words.

use bytes::Bytes;
use http::HeaderMap;
use tollgate_providers::{
    codec::ClientDialect,
    dialects::{
        anthropic::MESSAGES_CLIENT,
        gemini::CONTENT_CLIENT,
        openai::{CHAT_CLIENT, COMPLETIONS_CLIENT},
        openai_responses::RESPONSES_CLIENT,
    },
    passage,
    translate::Operation,
};

/// The routes that call models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/chat/completions`.
    ChatCompletions,
    /// `/completions`.
    Completions,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/messages`.
    Messages,
    /// `/responses`.
    Responses,
    /// `/responses/input_tokens`.
    ResponseTokens,
    /// `/responses/compact`.
    ResponsesCompact,
    /// `/v1beta/models/{model}:generateContent`.
    GenerateContent,
    /// `/v1beta/models/{model}:streamGenerateContent?alt=sse`.
    StreamGenerateContent,
    /// `/v1beta/models/{model}:countTokens`.
    CountContents,
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

/// Everything about a route that a value can say.
struct Facts {
    path: &'static str,
    /// The member without which a request is none.
    required: &'static str,
    operation: Operation,
    client: &'static dyn ClientDialect,
    /// The path itself says that the answer is streamed, or that it is not.
    streams: Option<bool>,
}

impl Facts {
    const fn new(
        path: &'static str,
        required: &'static str,
        operation: Operation,
        client: &'static dyn ClientDialect,
    ) -> Self {
        Self { path, required, operation, client, streams: None }
    }

    const fn streaming(mut self, streams: bool) -> Self {
        self.streams = Some(streams);
        self
    }
}

impl Route {
    /// All of them, a path that ends with another's before that.
    pub const ALL: &'static [Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::CountTokens,
        Self::Messages,
        Self::ResponseTokens,
        Self::ResponsesCompact,
        Self::Responses,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::CountContents,
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

    const fn facts(self) -> Facts {
        use Operation::{Chat, Completions, Embeddings, Images, Moderations, Rerank};
        match self {
            Self::ChatCompletions => Facts::new("/chat/completions", "messages", Chat, &CHAT_CLIENT),
            Self::Completions => Facts::new("/completions", "prompt", Completions, &COMPLETIONS_CLIENT),
            Self::CountTokens => {
                Facts::new("/v1/messages/count_tokens", "messages", Operation::CountTokens, &MESSAGES_CLIENT)
                    .streaming(false)
            }
            Self::Messages => Facts::new("/v1/messages", "messages", Chat, &MESSAGES_CLIENT),
            Self::Responses => Facts::new("/responses", "input", Chat, &RESPONSES_CLIENT),
            Self::ResponseTokens => {
                Facts::new("/responses/input_tokens", "input", Operation::ResponseTokens, &RESPONSES_CLIENT)
            }
            Self::ResponsesCompact => Facts::new("/responses/compact", "input", Operation::Compact, &RESPONSES_CLIENT),
            Self::GenerateContent => Facts::new(":generateContent", "contents", Chat, &CONTENT_CLIENT).streaming(false),
            Self::StreamGenerateContent => {
                Facts::new(":streamGenerateContent", "contents", Chat, &CONTENT_CLIENT).streaming(true)
            }
            Self::CountContents => {
                Facts::new(":countTokens", "contents", Operation::CountTokens, &CONTENT_CLIENT).streaming(false)
            }
            Self::Embeddings => Facts::new("/embeddings", "input", Embeddings, &CHAT_CLIENT),
            Self::Rerank => Facts::new("/rerank", "query", Rerank, &CHAT_CLIENT),
            Self::Moderations => Facts::new("/moderations", "input", Moderations, &CHAT_CLIENT),
            Self::Images => Facts::new("/images/generations", "prompt", Images, &CHAT_CLIENT),
            Self::ImageEdits => Facts::new("/images/edits", "prompt", Operation::ImageEdits, &CHAT_CLIENT),
            Self::ImageVariations => {
                Facts::new("/images/variations", "image", Operation::ImageVariations, &CHAT_CLIENT)
            }
            Self::Transcriptions => {
                Facts::new("/audio/transcriptions", "file", Operation::Transcriptions, &CHAT_CLIENT)
            }
            Self::Translations => Facts::new("/audio/translations", "file", Operation::Translations, &CHAT_CLIENT),
            Self::Speech => Facts::new("/audio/speech", "input", Operation::Speech, &CHAT_CLIENT),
        }
    }

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
        self.facts().path
    }

    /// The member without which a request is none.
    #[must_use]
    pub(crate) const fn required(self) -> &'static str {
        self.facts().required
    }

    /// The path itself says that the answer is streamed, or that it is not.
    pub(crate) const fn streams(self) -> Option<bool> {
        self.facts().streams
    }

    /// Whether its answers are words of a model, which count as output.
    pub(crate) const fn speaks(self) -> bool {
        matches!(self.operation(), Operation::Chat | Operation::Completions)
    }

    /// Whether it asks only how many tokens a request has.
    pub(crate) const fn counts(self) -> bool {
        matches!(self.operation(), Operation::CountTokens)
    }

    /// A call of the Responses API, or beside it.
    pub(crate) const fn is_of_responses(self) -> bool {
        matches!(self, Self::Responses | Self::ResponseTokens | Self::ResponsesCompact)
    }

    pub(crate) const fn operation(self) -> Operation {
        self.facts().operation
    }

    /// The dialect in which this route is asked and answers, failures included.
    #[must_use]
    pub fn client(self) -> &'static dyn ClientDialect {
        self.facts().client
    }
}

/// In whose words those who ask at this path are answered (decision 8): Anthropic's and Google's clients read their own
/// envelopes, everyone else reads `OpenAI`'s. It holds for every path, so that a refusal of what is no route is read too.
#[must_use]
pub fn client_at(path: &str) -> &'static dyn ClientDialect {
    // Clients join a base that ends with a slash and a path that begins with one.
    let path = path.trim_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if let Some(prefix) = passage::PREFIXES.iter().find(|prefix| prefix.path.strip_prefix('/') == Some(first)) {
        return prefix.client;
    }
    if first == "v1beta" {
        return &CONTENT_CLIENT;
    }
    let route = Route::ALL.iter().find(|route| path.contains(route.path().trim_start_matches('/')));
    route.map_or(&CHAT_CLIENT, |route| route.client())
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
