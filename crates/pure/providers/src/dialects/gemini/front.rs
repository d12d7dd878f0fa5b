//! Gemini's `generateContent` as clients speak it to us. Before a Gemini it is passed on as it is ([`super::native`]);
//! before any other model it is told in `OpenAI`'s words, so that parameters are checked and dropped as for any client.

mod contents;
mod request;
mod writer;

use serde_json::{Value, json};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatRequest, ChatResponse},
};

pub use request::in_openai_words;

use crate::{
    codec::{AnswerContext, ChatEncoder, ClientDialect, Words},
    dialects::openai,
};

/// The dialect of `/v1beta/models/{model}:generateContent`.
pub static CONTENT_CLIENT: ContentClient = ContentClient;

/// See [`CONTENT_CLIENT`].
#[derive(Debug)]
pub struct ContentClient;

impl ClientDialect for ContentClient {
    fn words(&self) -> Words {
        Words::GeminiContent
    }

    fn read(&self, body: &RawBody) -> Result<ChatRequest, Failure> {
        openai::CHAT_CLIENT.read(&in_openai_words(body)?)
    }

    fn count(&self, tokens: u64) -> Value {
        json!({ "totalTokens": tokens })
    }

    fn write(&self, response: &ChatResponse, context: &AnswerContext) -> Vec<u8> {
        writer::answer(response, context).to_string().into_bytes()
    }

    fn error(&self, failure: &Failure) -> Value {
        error(failure)
    }

    fn encoder(&self, context: &AnswerContext) -> Box<dyn ChatEncoder> {
        Box::new(writer::ContentWriter::new(context.clone()))
    }
}

/// A failure in Google's envelope.
pub(super) fn error(failure: &Failure) -> Value {
    json!({"error": {"code": failure.http_status(), "message": failure.client_message(), "status": status(failure)}})
}

/// Google's word for a status (google.rpc.Code).
fn status(failure: &Failure) -> &'static str {
    match (failure.kind, failure.http_status()) {
        (FailureKind::NotBuilt, _) => "UNIMPLEMENTED",
        (_, 401) => "UNAUTHENTICATED",
        (_, 403) => "PERMISSION_DENIED",
        (_, 404) => "NOT_FOUND",
        (_, 408 | 504) => "DEADLINE_EXCEEDED",
        (_, 409) => "ABORTED",
        (_, 429) => "RESOURCE_EXHAUSTED",
        (_, 400..=499) => "INVALID_ARGUMENT",
        (_, 502 | 503) => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
