//! The text completion of 2023, where the address asks for it (`…/v1/generate`): the conversation becomes one prompt.

use http::Method;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse, Choice, Extras, Part},
    framing::Framing,
    http::{Outgoing, Reply},
};

use super::{billed, chat_headers, failure, finish, history::words, model, stream_v1::LineReader, text, url, v1};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    target::Target,
};

/// The dialect of `/v1/generate`.
pub static GENERATE: Generate = Generate;

/// See [`GENERATE`].
#[derive(Debug)]
pub struct Generate;

impl ProviderDialect for Generate {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        if !request.tools.is_empty() {
            return Err(Failure::invalid("Cohere's text completion has no tools").with_param("tools"));
        }
        let said: Vec<String> = request.messages.iter().map(|message| words(&message.parts)).collect();
        let mut body = Map::from_iter([
            ("model".to_owned(), Value::from(model(target))),
            ("prompt".to_owned(), said.join("\n").into()),
            ("stream".to_owned(), request.stream.into()),
        ]);
        v1::add_sampling(request, &mut body);
        let body = Value::Object(body).to_string().into();
        Ok(Outgoing { method: Method::POST, url: url(target, "/v1/generate"), headers: chat_headers(target)?, body })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let Some(generations) = body.get("generations").and_then(Value::as_array) else {
            return Err(invalid("the answer has no generations"));
        };
        let choices = (0..).zip(generations).map(|(index, generation)| {
            let (finish, native_finish) = finish(text(generation, "finish_reason"));
            let parts = vec![Part::text(text(generation, "text"))];
            Choice { index, parts, finish, native_finish, extras: Extras::new(), message_extras: Extras::new() }
        });
        Ok(ChatResponse { choices: choices.collect(), usage: billed(body.get("meta")), ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::Lines
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(LineReader::new(target.clone()))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}
