//! Anthropic's messages, as we speak them to Claude wherever it is served. The pieces are public where clouds that host
//! Claude wrap the same words: [`request_body`], [`read_answer`], [`MessageReader`].

mod betas;
mod blocks;
mod conversation;
mod elsewhere;
mod failure;
mod front;
mod front_blocks;
mod front_fit;
mod front_stream;
mod front_writer;
mod names;
mod operator;
mod request;
mod response;
mod splice;
mod stream;
pub(crate) mod structured;
pub(crate) mod thinking;
mod tools;
mod usage;

use http::Method;
use serde_json::{Map, Value};
use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse, Tool},
    http::{Outgoing, Reply},
};

pub(crate) use conversation::LATE_INSTRUCTIONS;

pub use betas::{BETA_HEADER, is_oauth, join as join_betas};
pub use elsewhere::Elsewhere;
pub use failure::{failure, in_band};
pub use front::MESSAGES_CLIENT;
pub use request::request_body;
pub use response::read_answer;
pub use splice::{CloudSplice, MessageStream, SPLICE};
pub use stream::MessageReader;

use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    dialects::anthropic_complete,
    target::Target,
    thinkers,
};

/// Whether Claude goes on with a last turn of the assistant: from the third version on (messages), and no longer from 4.6 on
/// (platform.claude.com, "What's new in Claude 4.6": prefill removal).
#[must_use]
pub fn goes_on(target: &Target) -> bool {
    operator::version_of(&target.model).is_some_and(|version| ((3, 0)..(4, 6)).contains(&version))
}

/// The features of Anthropic's that a body needs; clouds that serve Claude want them told in places of their own.
#[must_use]
pub fn needed_features(body: &Map<String, Value>, target: &Target) -> Vec<&'static str> {
    betas::needed(body, target)
}

/// A tool in Anthropic's own words, or the Responses API's, as Anthropic takes it, and the features that it needs.
///
/// # Errors
/// When it has neither a name nor a type.
pub fn native_tools(raw: &Value, target: &Target) -> Result<(Vec<Value>, Vec<&'static str>), Failure> {
    let request = ChatRequest { tools: vec![Tool::Native(raw.clone())], ..ChatRequest::default() };
    let tools = tools::Offered::of(&request, &structured::Form::Free)?.tools;
    let body = Map::from_iter([("tools".to_owned(), Value::Array(tools.clone()))]);
    Ok((tools, betas::needed(&body, target)))
}

/// The dialect of `/v1/messages`.
pub static MESSAGES: Messages = Messages;

/// See [`MESSAGES`].
#[derive(Debug)]
pub struct Messages;

impl ProviderDialect for Messages {
    fn words(&self) -> Words {
        Words::AnthropicMessages
    }

    fn splice(&self) -> Option<&'static dyn Splice> {
        Some(&SPLICE)
    }

    fn wants(&self, request: &ChatRequest, _target: &Target) -> Vec<Wanted> {
        request.messages.iter().flat_map(|message| blocks::wanted(&message.parts)).collect()
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = request_body(request, target)?;
        body.insert("model".to_owned(), target.model.as_str().into());
        if request.stream {
            body.insert("stream".to_owned(), Value::Bool(true));
        }
        let mut headers = target.request_headers()?;
        ask_for_features(&mut headers, &body, target);
        let body = RawBody::from_map(&body).to_bytes();
        Ok(Outgoing { method: Method::POST, url: url(target, target.provider.chat_path), headers, body })
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        read_answer(&reply.body, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(MessageReader::new(request, target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// Asks by header for the features that a body needs.
pub(crate) fn ask_for_features(headers: &mut http::HeaderMap, body: &serde_json::Map<String, Value>, target: &Target) {
    betas::add(headers, &betas::needed(body, target));
}

/// The address for `path`. Bases are found in the wild with and without the version.
pub(super) fn url(target: &Target, path: &str) -> String {
    let base = target.base_url.split('?').next().unwrap_or_default().trim_end_matches('/');
    match (base.strip_suffix("/v1"), path.strip_prefix("/v1")) {
        (Some(_), Some(rest)) => target.url(rest),
        _ => target.url(path),
    }
}

/// `OpenAI`'s parameters that every Claude takes.
const TAKES: &[&str] = &[
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "user",
    "web_search_options",
    "extra_headers",
];

/// Whether a Claude takes this parameter of `OpenAI`'s.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    if anthropic_complete::of_model(target).is_some() {
        return anthropic_complete::TAKES.contains(&name);
    }
    match name {
        "thinking" | "reasoning_effort" => thinkers::may_think(target),
        "temperature" | "top_p" => !target.facts.fixed_sampling,
        _ => TAKES.contains(&name),
    }
}
