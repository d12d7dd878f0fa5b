//! NVIDIA's Triton: `generate` of its large language models, `infer` of any model, both at the address that the deployment
//! gives in full.

pub mod embed;

use http::Method;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse, Finish},
    framing::Frame,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{
        openai, prompt,
        text_answer::{self, Telling},
    },
    target::Target,
};

/// Chat.
pub static CHAT: Triton = Triton { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Triton = Triton { raw: true };

/// `OpenAI`'s parameters that servers have a word for.
pub const TAKES: &[&str] = &["max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed"];

/// Longest answer where the client says none, tokens; `LiteLLM`'s defaults.
const GENERATE_MAX_TOKENS: u64 = 2000;
const INFER_MAX_TOKENS: u64 = 20;

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Triton {
    raw: bool,
}

impl ProviderDialect for Triton {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        if self.raw { Vec::new() } else { prompt::wants(target) }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let prompt = if self.raw { prompt::raw(request) } else { prompt::write(request, target)? };
        let parameters = parameters(request);
        let base = target.base_url.as_str();
        let (url, body) = if base.ends_with("/infer") {
            (base.to_owned(), infer(&prompt, parameters))
        } else {
            let base = base.strip_suffix("_stream").unwrap_or(base);
            let base = if base.ends_with("/generate") { base.to_owned() } else { format!("{base}/generate") };
            let url = if request.stream { format!("{base}_stream") } else { base };
            (url, generate(&prompt, parameters, request.stream))
        };
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body: body.to_string().into() })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if let Some(text) = told.get("text_output").and_then(Value::as_str) {
            return Ok(text_answer::of_text(text, Finish::Stop));
        }
        match told.pointer("/outputs/0/data").and_then(Value::as_array) {
            Some(pieces) => {
                let text: String = pieces.iter().filter_map(Value::as_str).collect();
                Ok(text_answer::of_text(text, Finish::Stop))
            }
            None => Err(target.failure(FailureKind::InvalidResponse, "the answer has no text")),
        }
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader { target: target.clone(), telling: Telling::default(), over: false })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

fn parameters(request: &ChatRequest) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    set("max_tokens", request.max_output_tokens.map(Value::from));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("top_p", request.top_p.clone().map(Value::Number));
    set("stop_words", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    for (name, value) in &request.extras {
        set(if name == "seed" { "random_seed" } else { name }, Some(value.clone()));
    }
    out
}

fn generate(prompt: &str, mut parameters: Map<String, Value>, stream: bool) -> Value {
    parameters.entry("max_tokens").or_insert(GENERATE_MAX_TOKENS.into());
    json!({"text_input": prompt, "parameters": parameters, "stream": stream})
}

fn infer(prompt: &str, mut parameters: Map<String, Value>) -> Value {
    parameters.entry("max_tokens").or_insert(INFER_MAX_TOKENS.into());
    let input = |name: &str, datatype: &str, data: Value| json!({"name": name, "shape": [1], "datatype": datatype, "data": [data]});
    let mut inputs = vec![input("text_input", "BYTES", prompt.into())];
    for (name, value) in parameters {
        let datatype = match &value {
            Value::Number(number) if number.is_f64() => "FP32",
            Value::Number(_) => "INT32",
            Value::Bool(_) => "BOOL",
            _ => "BYTES",
        };
        inputs.push(input(&name, datatype, value));
    }
    json!({ "inputs": inputs })
}

/// Reads a stream of pieces; its end is the connection's.
struct Reader {
    target: Target,
    telling: Telling,
    over: bool,
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.over = true;
            self.telling.end(Finish::Stop, None, out);
            return Ok(());
        }
        let event = self.target.event(data)?;
        if let Some(error) = event.get("error") {
            let words = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(self.target.failure(FailureKind::Internal, words));
        }
        if let Some(text) = event.get("text_output").and_then(Value::as_str) {
            self.telling.words(text, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if !self.telling.is_begun() {
            return Err(self.target.unfinished(false));
        }
        self.telling.end(Finish::Stop, None, out);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.over
    }
}
