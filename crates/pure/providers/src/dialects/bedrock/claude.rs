//! Claude through `InvokeModel`: Anthropic's messages in an envelope of Bedrock's.

use serde_json::{Value, json};
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{blocks, invoke, messages};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    dialects::{
        anthropic::{self, BETA_HEADER, MessageReader},
        aws,
    },
    target::Target,
};

/// What Bedrock calls the version of Anthropic's words.
pub(super) const VERSION: &str = "bedrock-2023-05-31";

/// Longest answer where the client says none, tokens; `LiteLLM`'s default for this way.
const DEFAULT_MAX_TOKENS: u64 = 4096;

/// The dialect.
pub(super) static CLAUDE: Claude = Claude;

/// See [`CLAUDE`].
#[derive(Debug)]
pub(super) struct Claude;

impl ProviderDialect for Claude {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn passes(&self, client: Words, body: &RawBody, target: &Target) -> Option<&'static dyn Splice> {
        messages::of_body(client, body, target)
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        // Bedrock's Claude takes bytes only.
        request.messages.iter().flat_map(|message| blocks::wanted(&message.parts)).collect()
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = anthropic::request_body(request, target)?;
        body.insert("anthropic_version".to_owned(), VERSION.into());
        if request.max_output_tokens.is_none() && !body.contains_key("thinking") {
            body.insert("max_tokens".to_owned(), DEFAULT_MAX_TOKENS.into());
        }
        let configured = target.headers.get(BETA_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let configured = configured.split(',').map(str::trim).filter(|feature| !feature.is_empty());
        let mut features: Vec<Value> = configured.map(Value::from).collect();
        for feature in anthropic::needed_features(&body, target) {
            if !features.iter().any(|known| known == feature) {
                features.push(feature.into());
            }
        }
        let header =
            (!features.is_empty()).then(|| features.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","));
        if !features.is_empty() {
            body.entry("anthropic_beta").or_insert_with(|| features.into());
        }
        if let Some(format) = body.shift_remove("output_format")
            && let Value::Object(config) = body.entry("output_config").or_insert_with(|| json!({}))
        {
            // What Anthropic calls it since it is for everyone; Bedrock knows no other name.
            config.insert("format".to_owned(), format);
        }
        let mut outgoing = invoke::outgoing(request, target, &body)?;
        if let Some(value) = header.and_then(|features| features.parse().ok()) {
            outgoing.headers.insert(BETA_HEADER, value);
        }
        Ok(outgoing)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        anthropic::read_answer(&reply.body, request, target)
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(ClaudeReader { inner: MessageReader::new(request, target), target: target.clone() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

struct ClaudeReader {
    inner: MessageReader,
    target: Target,
}

impl ChatDecoder for ClaudeReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        match invoke::chunk(frame, &self.target)? {
            Some(event) => self.inner.event(&event, out),
            None => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.inner.finish(out)
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}
