//! Claude at Vertex AI: Anthropic's words, the model in the path, the version in the body.

use http::Method;
use serde_json::Value;
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    dialects::{
        anthropic::{self, CloudSplice},
        gemini,
    },
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

    fn passes(&self, client: Words, _body: &RawBody, _target: &Target) -> Option<&'static dyn Splice> {
        (client == Words::AnthropicMessages).then_some(&PASSED as &dyn Splice)
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

/// Anthropic's clients before Claude here: their own bodies, at the model's address.
static PASSED: CloudSplice = CloudSplice { sent: sent_here, failure: gemini::failure };

/// A request of Anthropic's as it goes out here.
fn sent_here(mut outgoing: Outgoing, target: &Target) -> Result<Outgoing, Failure> {
    let mut body = RawBody::parse(&outgoing.body).map_err(|error| Failure::bug(error.to_string()))?;
    body.remove("model");
    body.set_str("anthropic_version", VERSION);
    let streams = body.get("stream").is_some_and(|raw| raw.as_ref() == b"true");
    outgoing.url = super::url(target, if streams { "streamRawPredict" } else { "rawPredict" });
    if streams {
        outgoing.url.push_str("?alt=sse");
    }
    outgoing.body = body.to_bytes();
    Ok(outgoing)
}
