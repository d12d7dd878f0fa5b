//! Claude at Vertex AI: Anthropic's words, the model in the path, the version in the body.

use http::Method;
use serde_json::Value;
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{anthropic, gemini},
    target::Target,
};

/// The version of Anthropic's words that Vertex AI speaks; it knows no other.
const VERSION: &str = "vertex-2023-10-16";

/// Claude.
pub static CLAUDE: Claude = Claude;

/// See [`CLAUDE`].
#[derive(Debug)]
pub struct Claude;

impl ProviderDialect for Claude {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        anthropic::MESSAGES.wants(request, target)
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = anthropic::request_body(request, target)?;
        body.insert("anthropic_version".to_owned(), VERSION.into());
        let mut url = super::url(target, if request.stream { "streamRawPredict" } else { "rawPredict" });
        if request.stream {
            body.insert("stream".to_owned(), Value::Bool(true));
            url.push_str("?alt=sse");
        }
        let mut headers = target.request_headers()?;
        anthropic::ask_for_features(&mut headers, &body, target);
        Ok(Outgoing { method: Method::POST, url, headers, body: RawBody::from_map(&body).to_bytes() })
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        anthropic::read_answer(&reply.body, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(anthropic::MessageReader::new(request, target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        // The cloud's own refusals are Google's, the model's are Anthropic's; both keep the words under `error`.
        gemini::failure(reply, target)
    }
}
