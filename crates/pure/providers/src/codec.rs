//! What a dialect must be able to do. Nothing here is async: translation is values in, values out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tollgate_wire::{
    Failure, FailureKind, RawBody, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use crate::{
    answer_stream::PassedStream,
    params::{self, CallParams},
    target::Target,
};

pub use crate::dialects::openai_responses::context::{Desk, ResponsesContext};

/// The dialects. Equal words on both sides mean that bodies are spliced instead of translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// `OpenAI` chat completions.
    OpenAiChat,
    /// `OpenAI` text completions.
    OpenAiCompletions,
    /// `OpenAI` responses.
    OpenAiResponses,
    /// Anthropic messages.
    AnthropicMessages,
    /// Anthropic's text completion of 2023.
    AnthropicComplete,
    /// Gemini's `generateContent`.
    GeminiContent,
    /// Words that no client speaks: this side of the hub only.
    Foreign,
}

/// Something outside that a request needs before it can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The picture or file at this URL, to be put into the message.
    Media(String),
    /// The text at this URL (a model's chat template, say); comes as [`ChatRequest::documents`], or not at all where there
    /// is none.
    Document(String),
}

/// What must be asked next before an answer is there.
#[derive(Clone, Debug)]
pub struct Next {
    /// The request.
    pub outgoing: Outgoing,
    /// How long to wait before.
    pub after: Duration,
}

/// How a provider is spoken to.
pub trait ProviderDialect: Sync + std::fmt::Debug {
    /// The words it uses.
    fn words(&self) -> Words;

    /// How bodies pass to this dialect from clients of the same words, where that is told by a trait; the hub otherwise.
    fn splice(&self) -> Option<&'static dyn Splice> {
        None
    }

    /// How this body of a client of other words passes all the same, where the model behind this dialect understands it:
    /// the hub otherwise.
    fn passes(&self, _client: Words, _body: &RawBody, _target: &Target) -> Option<&'static dyn Splice> {
        None
    }

    /// What must be fetched, and put into the request, before it can be written.
    fn wants(&self, _request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        Vec::new()
    }

    /// The request as the provider wants it.
    ///
    /// # Errors
    /// When the request cannot be said in this dialect.
    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure>;

    /// The provider's whole answer (status below 400).
    ///
    /// # Errors
    /// When it is not an answer, or holds an error.
    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure>;

    /// What is to be asked next where this whole answer only says that the real one is being made (predictions that
    /// are polled, or whose stream has an address of its own). Bounded by the call's own timeout.
    ///
    /// # Errors
    /// When the provider says that it has failed.
    fn next(&self, _reply: &Reply, _request: &ChatRequest, _target: &Target) -> Result<Option<Next>, Failure> {
        Ok(None)
    }

    /// The same request in older words, where this refusal shows that the server does not know the newer ones. Asked
    /// once for each attempt.
    ///
    /// # Errors
    /// When the request cannot be said in them.
    fn otherwise(&self, _reply: &Reply, _request: &ChatRequest, _target: &Target) -> Result<Option<Outgoing>, Failure> {
        Ok(None)
    }

    /// How a streamed answer is cut into the events that the decoder reads.
    fn framing(&self, _target: &Target) -> Framing {
        Framing::Sse
    }

    /// A reader for a streamed answer.
    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder>;

    /// The provider's refusal (status 400 and above).
    fn failure(&self, reply: &Reply, target: &Target) -> Failure;
}

/// How bodies pass between a client and a provider of the same words: as they are, but for what is the gateway's affair.
pub trait Splice: Sync + std::fmt::Debug {
    /// The client's body as the provider gets it.
    ///
    /// # Errors
    /// When the credential cannot stand in a header.
    fn request(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<Outgoing, Failure>;

    /// The provider's whole answer (status below 400) under the client's name for the model, and what it used.
    ///
    /// # Errors
    /// When it is not an answer, or holds an error.
    fn answer(
        &self,
        reply: &Reply,
        target: &Target,
        context: &AnswerContext,
    ) -> Result<(Bytes, Option<Usage>), Failure>;

    /// A reader for a streamed answer; events over `limit` bytes are refused.
    fn stream(&self, target: Arc<Target>, context: AnswerContext, limit: usize) -> Box<dyn PassedStream>;

    /// The events of what [`Self::answer`] gave for a streamed call, its end included; `None` if it is no such answer.
    fn retell(&self, body: &[u8]) -> Option<Vec<u8>>;

    /// The provider's refusal (status 400 and above).
    fn failure(&self, reply: &Reply, target: &Target) -> Failure;

    /// The request for the number of tokens that this body comes to, where the provider counts for others.
    fn count(&self, _body: RawBody, _target: &Target, _call: &CallParams) -> Option<Result<Outgoing, Failure>> {
        None
    }

    /// The number that came of [`Self::count`], for the client.
    ///
    /// # Errors
    /// When the answer is no number of tokens.
    fn counted(&self, _reply: &Reply, target: &Target) -> Result<Bytes, Failure> {
        Err(target.failure(FailureKind::InvalidResponse, "the answer is no count of tokens"))
    }
}

/// How an operation other than chat is asked of a provider in words that are not `OpenAI`'s.
pub trait Codec<Ask, Told>: Sync + std::fmt::Debug {
    /// The requests: nearly always one. A provider that takes one text at a time gets one for each.
    ///
    /// # Errors
    /// When the request cannot be said in this dialect.
    fn requests(&self, ask: &Ask, target: &Target) -> Result<Vec<Outgoing>, Failure>;

    /// The provider's answers (status below 400), one for each request and in their order.
    ///
    /// # Errors
    /// When one is no answer, or holds an error.
    fn response(&self, replies: &[Reply], ask: &Ask, target: &Target) -> Result<Told, Failure>;

    /// The provider's refusal (status 400 and above).
    fn failure(&self, reply: &Reply, target: &Target) -> Failure;
}

/// Reads a streamed answer.
pub trait ChatDecoder: Send {
    /// Takes one event.
    ///
    /// # Errors
    /// When the provider reports a failure in the stream, or the event cannot be read.
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure>;

    /// The stream ended without a cut. Says what is still to say.
    ///
    /// # Errors
    /// When the end came too early for this dialect.
    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure>;

    /// The provider has said that it is done; what follows is not waited for.
    fn is_done(&self) -> bool;
}

/// What an answer is to carry that only the gateway knows.
#[derive(Clone, Debug, Default)]
pub struct AnswerContext {
    /// The model name that the client asked for, which answers carry.
    pub alias: String,
    /// Now, seconds since 1970, for answers of providers that do not say when.
    pub now: u64,
    /// An id for answers of providers that give none, without prefix.
    pub id: String,
    /// The client wants the usage of a stream.
    pub include_usage: bool,
    /// The client streams.
    pub stream: bool,
    /// What answers of the Responses API carry beside.
    pub responses: ResponsesContext,
}

/// How clients speak to us.
pub trait ClientDialect: Sync + std::fmt::Debug {
    /// The words it uses.
    fn words(&self) -> Words;

    /// The client's request.
    ///
    /// # Errors
    /// When the body is not a request of this dialect.
    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure>;

    /// A whole answer as this client wants it.
    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8>;

    /// The client's body with the deployment's defaults in, and without what must not go out.
    ///
    /// # Errors
    /// `UnsupportedParams` when the provider does not take a parameter and nobody allowed to drop it.
    fn settle(&self, body: RawBody, target: &Target, call: &CallParams) -> Result<RawBody, Failure> {
        params::settle(body, target, call)
    }

    /// Makes a request one that a target of other words takes; for clients whose parameters [`Self::settle`] cannot judge.
    ///
    /// # Errors
    /// `UnsupportedParams` when the provider does not take a parameter and nobody allowed to drop it.
    fn fit(
        &self,
        _request: &mut ChatRequest,
        _target: &Target,
        _dialect: &dyn ProviderDialect,
        _call: &CallParams,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// A count of tokens as the body of an answer.
    fn count(&self, tokens: u64) -> Value {
        serde_json::json!({ "input_tokens": tokens })
    }

    /// A failure as the body of an answer of its own.
    fn error(&self, failure: &Failure) -> Value {
        crate::dialects::openai::error_body(failure)
    }

    /// The body of a failure as the only event of a stream.
    fn error_event(&self, body: &[u8]) -> Vec<u8> {
        [b"data: ", body, b"\n\n"].concat()
    }

    /// What keeps a silent stream awake.
    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }

    /// A writer for a streamed answer.
    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder>;
}

/// Writes a streamed answer in the client's words.
pub trait ChatEncoder: Send {
    /// Writes one chunk.
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>);

    /// Writes the end: the usage, if asked for, with what the call cost in dollars, and what closes a stream.
    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>);

    /// Writes a failure as the end.
    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>);
}
