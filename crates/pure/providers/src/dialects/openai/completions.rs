//! `OpenAI`'s text completion as we speak it to providers for clients that chat.

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatRequest, ChatResponse, Choice, Finish, Part},
    http::{Outgoing, Reply},
};

use super::{chat, failure, outgoing, stream::ChunkReader, usage};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    params::CallParams,
    provider::Asked,
    target::Target,
};

/// The dialect of `/completions`.
pub static COMPLETIONS: Completions = Completions;

/// See [`COMPLETIONS`].
#[derive(Debug)]
pub struct Completions;

impl ProviderDialect for Completions {
    fn words(&self) -> Words {
        Words::OpenAiCompletions
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = chat::write_request(request);
        body.remove("messages");
        body.insert("prompt".to_owned(), chat::as_prompt(request).into());
        let path = target.provider.completions_path;
        outgoing::finish(RawBody::from_map(&body), path, target, &CallParams::default()).map(|(outgoing, _)| outgoing)
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |text: &str| target.failure(FailureKind::InvalidResponse, text);
        let mut raw = RawBody::parse(&reply.body).map_err(|_| invalid("the answer is no JSON object"))?;
        if let Some(hook) = target.provider.quirks.answer {
            hook(&mut raw, Asked::default());
        }
        let mut body = raw.to_map();
        let Some(Value::Array(choices)) = body.remove("choices") else {
            return Err(invalid("the answer has no choices"));
        };
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(ChatResponse {
            id: text("id"),
            model: text("model"),
            created: body.get("created").and_then(Value::as_u64),
            choices: choices.iter().map(read_choice).collect(),
            usage: body.get("usage").and_then(|value| usage::read(value.to_string().as_bytes())),
            usage_extras: Map::new(),
            extras: Map::new(),
        })
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(ChunkReader::new(target.clone(), Asked::default()))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure::failure(reply, target)
    }
}

fn read_choice(choice: &Value) -> Choice {
    let word = choice.get("finish_reason").and_then(Value::as_str).unwrap_or("stop");
    let text = choice.get("text").and_then(Value::as_str).unwrap_or_default();
    Choice {
        index: choice.get("index").and_then(Value::as_u64).unwrap_or_default(),
        parts: vec![Part::text(text)],
        finish: Finish::from_word(word).unwrap_or(Finish::Stop),
        native_finish: None,
        extras: Map::new(),
        message_extras: Map::new(),
    }
}
