//! `InvokeModel`: every family in words of its own. Here those that speak Converse's or `OpenAI`'s words inside.

use base64::Engine as _;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
    percent,
};

use super::{answer, blocks, claude, converse, id, json, names, stream::ConverseReader, texts};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{aws, openai},
    target::Target,
};

/// How a model is invoked.
pub(super) fn dialect(target: &Target) -> &'static dyn ProviderDialect {
    if let Some(words) = texts::of_model(target) {
        return words;
    }
    if names::is_claude(target) {
        &claude::CLAUDE
    } else if names::is_nova(target) {
        &NOVA
    } else {
        &OPENAI_LIKE
    }
}

/// Models that take a prompt and nothing beside.
pub(super) fn takes_words_only(target: &Target) -> bool {
    texts::of_model(target).is_some()
}

/// The request that invokes a model.
pub(super) fn outgoing(request: &ChatRequest, target: &Target, body: &Map<String, Value>) -> Result<Outgoing, Failure> {
    let operation = if request.stream { "invoke-with-response-stream" } else { "invoke" };
    super::outgoing(target, &plain_segment(target), operation, body)
}

/// The model in the path. The colon before a model's version stays plain, which AWS takes as well.
pub(super) fn plain_segment(target: &Target) -> String {
    let id = id(target);
    let whole = percent::encoded(id);
    if id.starts_with("arn:") { whole } else { whole.replace("%3A", ":") }
}

/// What is in a frame of an invoked model's stream; nothing in frames of other kinds.
///
/// # Errors
/// When the frame tells a failure, or holds nothing readable.
pub(super) fn chunk(frame: &Frame<'_>, target: &Target) -> Result<Option<Value>, Failure> {
    if frame.is_exception {
        return Err(aws::exception(frame, target));
    }
    let envelope = target.event(&frame.data)?;
    let Some(bytes) = envelope.get("bytes").and_then(Value::as_str) else { return Ok(None) };
    let broken = |_| target.failure(FailureKind::InvalidResponse, "a chunk of the stream is no base64");
    let data = base64::engine::general_purpose::STANDARD.decode(bytes).map_err(broken)?;
    target.event(&data).map(Some)
}

static NOVA: Nova = Nova;

/// Nova invoked: Converse's words, all in chunks.
#[derive(Debug)]
struct Nova;

impl ProviderDialect for Nova {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        request.messages.iter().flat_map(|message| blocks::wanted(&message.parts)).collect()
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = converse::body(request, target)?;
        // What goes past Converse is one body with the rest here.
        if let Some(Value::Object(own)) = body.shift_remove("additionalModelRequestFields") {
            for (name, value) in own {
                match (body.get_mut(&name), value) {
                    (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
                    (_, value) => {
                        body.insert(name, value);
                    }
                }
            }
        }
        outgoing(request, target, &body)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        answer::read(&json(reply, target)?, request, target)
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(NovaReader { inner: ConverseReader::new(request, target), target: target.clone() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

struct NovaReader {
    inner: ConverseReader,
    target: Target,
}

impl ChatDecoder for NovaReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let chunk = chunk(frame, &self.target)?;
        for (name, event) in chunk.as_ref().and_then(Value::as_object).into_iter().flatten() {
            self.inner.event(name, event, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.inner.finish(out)
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}

static OPENAI_LIKE: OpenAiLike = OpenAiLike;

/// Jamba, gpt-oss, Qwen and imported models, which take `OpenAI`'s messages.
#[derive(Debug)]
struct OpenAiLike;

impl ProviderDialect for OpenAiLike {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = openai::write_request(request);
        for name in ["model_id", "stream"] {
            body.shift_remove(name);
        }
        let operation = if request.stream { "invoke-with-response-stream" } else { "invoke" };
        super::outgoing(target, &percent::encoded(id(target)), operation, &body)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        openai::CHAT.response(reply, request, target)
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(OpenAiLikeReader { inner: openai::CHAT.decoder(request, target), target: target.clone() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

struct OpenAiLikeReader {
    inner: Box<dyn ChatDecoder>,
    target: Target,
}

impl ChatDecoder for OpenAiLikeReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        match chunk(frame, &self.target)? {
            Some(event) => self.inner.feed(&Frame::of(event.to_string().into_bytes().into()), out),
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
