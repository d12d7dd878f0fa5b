//! Hugging Face: its router and servers of one's own speak `OpenAI`'s chat; a text generation server from before that, and a
//! deployment with a prompt template, are sent a prompt ([`generate`]).

pub mod embed;
pub mod generate;
pub mod rerank;

use http::{Method, StatusCode};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::Frame,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{openai, prompt},
    locate::{Located, Site},
    resolve::Unservable,
    target::Target,
};

/// Chat.
pub static CHAT: HuggingFace = HuggingFace { raw: false };
/// Text completion: where the server takes prompts, the client's own.
pub static COMPLETE: HuggingFace = HuggingFace { raw: true };

/// Where models live whose deployment has no address.
pub const ROUTER: &str = "https://router.huggingface.co/v1";
/// Where the old inference API lives.
const INFERENCE: &str = "https://router.huggingface.co/hf-inference/models";
/// Variables that hold an address.
pub const BASE_ENV: &[&str] = &["HF_API_BASE", "HUGGINGFACE_API_BASE"];
/// Longest text of a refusal that is passed on, characters.
const LONGEST_MESSAGE: usize = 4000;
/// Longest rest that a loading model may ask for, seconds.
const LONGEST_LOADING: f64 = 60.0;
const TASK: &str = "task";

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct HuggingFace {
    raw: bool,
}

/// The model's name for the router (`<provider>/<org>/<model>` becomes `<org>/<model>:<provider>`), and whether it is sent
/// prompts.
///
/// # Errors
/// None: a model that nobody serves is the router's to refuse.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let own = site.settings.template.as_deref().is_some_and(|template| template.own.is_some());
    let task = prompt::TASKS.iter().find_map(|task| site.model.strip_prefix(task));
    let model = task.unwrap_or(site.model);
    let placed = site.settings.api_base.as_deref().is_some_and(|base| !base.is_empty()) || site.env(BASE_ENV).is_some();
    let mut located = Located { model: model.to_owned(), ..Located::default() };
    if own || task.is_some() {
        located.facts = BTreeMap::from([(TASK, "generate".to_owned())]);
        located.base_url = Some(format!("{INFERENCE}/{model}"));
    } else if !placed {
        located.model = routed(model);
    }
    Ok(located)
}

fn routed(model: &str) -> String {
    match model.split_once('/') {
        Some((provider, rest)) if rest.contains('/') => format!("{rest}:{provider}"),
        _ => model.to_owned(),
    }
}

/// Whether the target is sent prompts.
fn generates(target: &Target) -> bool {
    target.fact(TASK).is_some()
        || target.base_url.ends_with("/generate")
        || target.base_url.ends_with("/generate_stream")
}

/// The address of chat: people give the server's root, its `/v1`, or the whole path.
#[must_use]
pub fn address(target: &Target, path: &str) -> String {
    let base = target.base_url.as_str();
    if base.ends_with(path) {
        base.to_owned()
    } else if base.ends_with("/v1") {
        format!("{base}{path}")
    } else {
        format!("{base}/v1{path}")
    }
}

/// The server's root.
fn root(target: &Target) -> &str {
    let base = target.base_url.as_str();
    let base = base.strip_suffix("/chat/completions").unwrap_or(base);
    base.strip_suffix("/v1").unwrap_or(base)
}

/// Whether a parameter of `OpenAI`'s can be said to the target.
#[must_use]
pub fn takes(name: &str, target: &Target) -> bool {
    if generates(target) { generate::TAKES.contains(&name) } else { openai::compatible_takes(name, target) }
}

impl HuggingFace {
    fn prompted(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let prompt = if self.raw { prompt::raw(request) } else { prompt::write(request, target)? };
        let body = generate::write(request, &prompt).to_string().into();
        let url = root(target).to_owned();
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body })
    }
}

impl ProviderDialect for HuggingFace {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        if generates(target) && !self.raw { prompt::wants(target) } else { Vec::new() }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        if generates(target) { self.prompted(request, target) } else { openai::wrapped_request(request, target) }
    }

    fn otherwise(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<Option<Outgoing>, Failure> {
        let no_such_path = matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
        // Who knows chat names the model that it does not know.
        let says_model = memchr::memmem::find(&reply.body.to_ascii_lowercase(), b"model").is_some();
        let at_home = target.is_at(&["router.huggingface.co"]);
        if generates(target) || at_home || !no_such_path || says_model || !request.tools.is_empty() {
            return Ok(None);
        }
        self.prompted(request, target).map(Some)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let answer: Option<Value> = serde_json::from_slice(&reply.body).ok();
        match answer {
            Some(answer) if generate::is_answer(&answer) => generate::read(&answer, reply, target),
            _ => openai::CHAT.response(reply, request, target),
        }
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader {
            chat: openai::CHAT.decoder(request, target),
            tokens: generate::Reader::new(target),
            chats: None,
        })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        failure(reply, target)
    }
}

/// A refusal, in the server's whole words: what it waits for stands beside the message.
#[must_use]
pub fn failure(reply: &Reply, target: &Target) -> Failure {
    let mut failure = openai::failure(reply, target);
    let words: String = String::from_utf8_lossy(&reply.body).trim().chars().take(LONGEST_MESSAGE).collect();
    if !words.is_empty() {
        failure.message = words;
    }
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    let loading = body.as_ref().and_then(|body| body.get("estimated_time")?.as_f64());
    if let Some(seconds) = loading.filter(|seconds| *seconds >= 0.0) {
        failure.retry_after.get_or_insert(Duration::from_secs_f64(seconds.min(LONGEST_LOADING)));
    }
    failure
}

/// Reads a stream of either kind; the first event says which it is.
struct Reader {
    chat: Box<dyn ChatDecoder>,
    tokens: generate::Reader,
    chats: Option<bool>,
}

impl Reader {
    fn chosen(&mut self) -> &mut dyn ChatDecoder {
        if self.chats == Some(false) { &mut self.tokens } else { self.chat.as_mut() }
    }
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.chats.is_none() && !frame.data.trim_ascii().is_empty() {
            let event: Option<Value> = serde_json::from_slice(&frame.data).ok();
            self.chats = Some(!event.is_some_and(|event| generate::is_event(&event)));
        }
        self.chosen().feed(frame, out)
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.chosen().finish(out)
    }

    fn is_done(&self) -> bool {
        if self.chats == Some(false) { self.tokens.is_done() } else { self.chat.is_done() }
    }
}
