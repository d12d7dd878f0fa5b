//! Replicate: a prediction is begun, and asked for until it is there; a streamed one has an address of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse, Finish, Role},
    framing::Frame,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, Next, ProviderDialect, Words},
    dialects::{
        openai, prompt,
        text_answer::{self, Telling},
    },
    resolve,
    target::Target,
};

/// Chat.
pub static CHAT: Replicate = Replicate { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Replicate = Replicate { raw: true };

/// `OpenAI`'s parameters that predictions know.
pub const TAKES: &[&str] = &["temperature", "max_tokens", "max_completion_tokens", "top_p", "stop", "seed"];

/// Between two looks at a prediction. Predictions take seconds, and cold models minutes; all looks together end with the
/// call's own timeout.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// Where streams are, beside the address of the predictions themselves.
const STREAM_HOSTS: &[&str] = &["replicate.com", "replicate.delivery", "replicate.net"];
/// How long a version's id is, characters.
const VERSION_LENGTH: usize = 64;

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Replicate {
    raw: bool,
}

impl ProviderDialect for Replicate {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<crate::codec::Wanted> {
        if self.raw { Vec::new() } else { prompt::wants(target) }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut body = json!({"input": self.input(request, target)?});
        if let (Some(version), Some(body)) = (version(&target.model), body.as_object_mut()) {
            body.insert("version".to_owned(), version.into());
        }
        let url = target.url(&path(&target.model));
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body: body.to_string().into() })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let prediction = read(reply, target)?;
        match prediction.get("output") {
            Some(Value::String(text)) => Ok(text_answer::of_text(text.as_str(), Finish::Stop)),
            Some(Value::Array(pieces)) => {
                let text: String = pieces.iter().filter_map(Value::as_str).collect();
                Ok(text_answer::of_text(text, Finish::Stop))
            }
            _ => Err(target.failure(FailureKind::InvalidResponse, "the prediction has no output")),
        }
    }

    fn next(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<Option<Next>, Failure> {
        let prediction = read(reply, target)?;
        if !matches!(status(&prediction), "starting" | "processing") {
            return Ok(None);
        }
        let url = |name: &str| prediction.get("urls").and_then(|urls| urls.get(name)?.as_str());
        if request.stream
            && let Some(stream) = url("stream")
            && let Some(outgoing) = stream_request(stream, target)?
        {
            return Ok(Some(Next { outgoing, after: Duration::ZERO }));
        }
        let Some(get) = url("get").filter(|get| is_at_home(get, target)) else {
            let words = "the prediction names no address at which the provider's key could be shown";
            return Err(target.failure(FailureKind::InvalidResponse, words));
        };
        let headers = target.request_headers()?;
        let outgoing = Outgoing { method: Method::GET, url: get.to_owned(), headers, body: Bytes::new() };
        Ok(Some(Next { outgoing, after: BETWEEN_LOOKS }))
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(Reader { target: target.clone(), telling: Telling::default() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

impl Replicate {
    fn input(&self, request: &ChatRequest, target: &Target) -> Result<Map<String, Value>, Failure> {
        let mut request = request.clone();
        let knows_operator = request.extras.shift_remove("supports_system_prompt").is_some_and(|known| known == true);
        let operator = request.messages.iter().position(|message| message.role == Role::System);
        let operator = operator.filter(|_| knows_operator).map(|at| request.messages.remove(at));
        let prompt = if self.raw { prompt::raw(&request) } else { prompt::write(&request, target)? };
        let mut input = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                input.insert(name.to_owned(), value);
            }
        };
        set("prompt", Some(prompt.into()));
        set("system_prompt", operator.map(|message| prompt::said(&message.parts).into()));
        set("temperature", request.temperature.map(Value::Number));
        set("top_p", request.top_p.map(Value::Number));
        // The schema of Replicate's Llama has a text here.
        let stop = match request.stop.as_slice() {
            [] => None,
            [one] => Some(one.as_str().into()),
            several => Some(several.into()),
        };
        set("stop_sequences", stop);
        set("stream", Some(request.stream.into()));
        set(longest_answer(&target.model), request.max_output_tokens.map(Value::from));
        input.extend(request.extras);
        Ok(input)
    }
}

/// What models call the length of their answer.
fn longest_answer(model: &str) -> &'static str {
    match model {
        model if model.contains("vicuna") || model.contains("flan") => "max_length",
        model if model.contains("meta/codellama-13b") => "max_tokens",
        _ => "max_new_tokens",
    }
}

/// The version after the colon.
fn version(model: &str) -> Option<&str> {
    let (_, version) = model.rsplit_once(':')?;
    (version.len() == VERSION_LENGTH).then_some(version)
}

/// Where predictions of this model begin: of a version, of a deployment, of the model's newest.
fn path(model: &str) -> String {
    if version(model).is_some() {
        return "/predictions".to_owned();
    }
    match model.strip_prefix("deployments/") {
        Some(deployment) => format!("/deployments/{deployment}/predictions"),
        None => format!("/models/{model}/predictions"),
    }
}

/// A prediction that has not failed.
fn read(reply: &Reply, target: &Target) -> Result<Value, Failure> {
    let prediction: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match status(&prediction) {
        "" => Err(target.failure(FailureKind::InvalidResponse, "the answer is no prediction")),
        // LiteLLM's status for it; the reason is the model's own and stays the same in another attempt.
        "failed" | "canceled" | "aborted" => {
            let reason = prediction.get("error").filter(|error| !error.is_null());
            let reason = reason.map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned));
            let reason = reason.unwrap_or_else(|| format!("it was {}", status(&prediction)));
            Err(target.failure(FailureKind::Unprocessable, format!("prediction not succeeded - {reason}")))
        }
        _ => Ok(prediction),
    }
}

fn status(prediction: &Value) -> &str {
    prediction.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// The request for a stream, if it is at the provider's. The address itself is the secret there; our key stays at home.
fn stream_request(url: &str, target: &Target) -> Result<Option<Outgoing>, Failure> {
    let mut headers = if is_at_home(url, target) {
        target.request_headers()?
    } else if url.starts_with("https://") && resolve::host_of(url).is_some_and(is_streamer) {
        HeaderMap::new()
    } else {
        return Ok(None);
    };
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Some(Outgoing { method: Method::GET, url: url.to_owned(), headers, body: Bytes::new() }))
}

fn is_streamer(host: &str) -> bool {
    !host.contains('@')
        && STREAM_HOSTS
            .iter()
            .any(|known| host.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Whether an address has the scheme, host and port of the deployment's own.
fn is_at_home(url: &str, target: &Target) -> bool {
    let origin = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next()?;
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase()))
    };
    origin(url).is_some() && origin(url) == origin(&target.base_url)
}

/// Reads a stream: pieces of the output, then a word that it is over.
struct Reader {
    target: Target,
    telling: Telling,
}

impl ChatDecoder for Reader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(&frame.data);
        match frame.event.as_deref() {
            Some("output") => self.telling.words(&text, out),
            Some("done") => {
                let reason: Value = serde_json::from_str(&text).unwrap_or_default();
                match reason.get("reason").and_then(Value::as_str) {
                    Some("error") => return Err(self.failed("the prediction failed")),
                    Some("canceled") => return Err(self.failed("it was canceled")),
                    _ => self.telling.end(Finish::Stop, None, out),
                }
            }
            Some("error") => {
                let told: Value = serde_json::from_str(&text).unwrap_or_default();
                let detail = told.get("detail").and_then(Value::as_str);
                return Err(self.failed(detail.unwrap_or(&text)));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.telling.close(&self.target)
    }

    fn is_done(&self) -> bool {
        self.telling.is_over()
    }
}

impl Reader {
    fn failed(&self, words: &str) -> Failure {
        self.target.failure(FailureKind::Unprocessable, format!("prediction not succeeded - {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_at_the_providers_hosts_only() {
        assert!(is_streamer("stream-b.svc.rno2.c.replicate.net") && is_streamer("replicate.com"));
        assert!(!is_streamer("replicate.com.evil.test") && !is_streamer("notreplicate.com"));
        assert!(!is_streamer("user@replicate.com"));
    }

    #[test]
    fn predictions_begin_where_the_model_string_says() {
        let version = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";
        assert_eq!(path(&format!("meta/llama:{version}")), "/predictions");
        assert_eq!(path("deployments/me/mine"), "/deployments/me/mine/predictions");
        assert_eq!(path("meta/llama"), "/models/meta/llama/predictions");
    }
}
