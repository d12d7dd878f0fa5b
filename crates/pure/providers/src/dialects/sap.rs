//! SAP AI Core: `OpenAI`'s words wrapped in the configuration of an orchestration, at the address of a deployment, which is
//! looked up where nobody names it.

mod account;
mod vectors;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::Frame,
    http::{Outgoing, Reply},
};

pub use account::locate;
pub use vectors::VECTORS;

use crate::{
    codec::{ChatDecoder, Next, ProviderDialect, Words},
    dialects::openai,
    target::Target,
};

/// The dialect of an orchestration's `/v2/completion`.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

/// `OpenAI`'s parameters that orchestrations hand on to their models.
pub const TAKES: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "max_tokens",
    "max_completion_tokens",
    "prediction",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
];

/// What an address of a deployment holds.
const DEPLOYMENTS: &str = "/inference/deployments/";
/// Which deployments can do it.
const SCENARIO: &str = "orchestration";

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        match deployment(target) {
            Some(address) => completion(address, request, target),
            None => Ok(Outgoing {
                method: Method::GET,
                url: format!("{}/lm/deployments?scenarioId={SCENARIO}&status=RUNNING", target.base_url),
                headers: headers(target)?,
                body: bytes::Bytes::new(),
            }),
        }
    }

    fn next(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<Option<Next>, Failure> {
        if deployment(target).is_some() {
            return Ok(None);
        }
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(deployments) = body.get("resources").and_then(Value::as_array) else { return Ok(None) };
        let Some(address) = newest(deployments, &target.base_url) else {
            let words = "no orchestration is deployed in this resource group; deploy one, or set api_base to its URL";
            return Err(target.failure(FailureKind::NotFound, words));
        };
        let outgoing = completion(address, request, target)?;
        Ok(Some(Next { outgoing, after: std::time::Duration::ZERO }))
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let invalid = |words: &str| target.failure(FailureKind::InvalidResponse, words);
        let body: Value = serde_json::from_slice(&reply.body).map_err(|_| invalid("the answer is no JSON"))?;
        let Some(result) = result(&body) else { return Err(invalid("the answer has no final_result")) };
        let inner = Reply { body: result.to_string().into(), ..reply.clone() };
        openai::CHAT.response(&inner, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(ResultReader { target: target.clone(), inner: openai::CHAT.decoder(request, target) })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The address of the configured deployment, if there is one.
fn deployment(target: &Target) -> Option<&str> {
    target.base_url.contains(DEPLOYMENTS).then(|| target.base_url.trim_end_matches("/v2/completion"))
}

/// The newest of the deployments that run. The token goes to where the list came from and nowhere else.
fn newest<'l>(deployments: &'l [Value], base_url: &str) -> Option<&'l str> {
    let text = |deployment: &'l Value, name: &str| deployment.get(name).and_then(Value::as_str).unwrap_or_default();
    let fitting = deployments.iter().filter(|deployment| text(deployment, "scenarioId") == SCENARIO);
    let running = fitting.filter(|deployment| matches!(text(deployment, "status"), "" | "RUNNING"));
    let own = running.filter(|deployment| origin(text(deployment, "deploymentUrl")) == origin(base_url));
    let newest = own.max_by_key(|deployment| text(deployment, "createdAt"))?;
    Some(text(newest, "deploymentUrl"))
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = address.split_once("://")?;
    Some((scheme, rest.split(['/', '?', '#']).next()?))
}

fn completion(address: &str, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
    let url = format!("{}/v2/completion", address.trim_end_matches('/'));
    let body = Value::Object(body(request, target)).to_string().into();
    Ok(Outgoing { method: Method::POST, url, headers: headers(target)?, body })
}

/// The prompt is a template, the rest are the model's parameters.
fn body(request: &ChatRequest, target: &Target) -> Map<String, Value> {
    let mut params = openai::write_request(request);
    params.shift_remove("stream");
    let version = params.shift_remove("model_version").unwrap_or_else(|| "latest".into());
    let mut prompt = Map::new();
    for (name, own) in [("messages", "template"), ("tools", "tools"), ("response_format", "response_format")] {
        prompt.extend(params.shift_remove(name).map(|value| (own.to_owned(), value)));
    }
    let values = prompt.get_mut("template").map(take_out).unwrap_or_default();
    let model = json!({"name": target.model, "params": params, "version": version});
    let modules = json!({"prompt_templating": {"prompt": prompt, "model": model}});
    let mut config = Map::from_iter([("modules".to_owned(), modules)]);
    if request.stream {
        config.insert("stream".to_owned(), json!({"enabled": true}));
    }
    let mut body = Map::from_iter([("config".to_owned(), config.into())]);
    if !values.is_empty() {
        body.insert("placeholder_values".to_owned(), values.into());
    }
    body
}

/// What begins a blank of a template.
const BLANK: &str = "{{?";

/// Texts that hold what looks like a blank are put into one of our own, so that they are said as they are.
fn take_out(template: &mut Value) -> Map<String, Value> {
    let mut values = Map::new();
    let contents = template.as_array_mut().into_iter().flatten().filter_map(|message| message.get_mut("content"));
    for content in contents {
        match content {
            Value::Array(parts) => {
                parts.iter_mut().filter_map(|part| part.get_mut("text")).for_each(|text| fill(text, &mut values));
            }
            text => fill(text, &mut values),
        }
    }
    values
}

fn fill(text: &mut Value, values: &mut Map<String, Value>) {
    if text.as_str().is_some_and(|text| text.contains(BLANK)) {
        let name = format!("text_{}", values.len() + 1);
        let said = std::mem::replace(text, format!("{BLANK}{name}}}}}").into());
        values.insert(name, said);
    }
}

fn headers(target: &Target) -> Result<HeaderMap, Failure> {
    let mut headers = target.request_headers()?;
    let group = target.fact("resource_group").unwrap_or("default");
    if let Ok(value) = HeaderValue::from_str(group) {
        headers.entry(HeaderName::from_static("ai-resource-group")).or_insert(value);
    }
    Ok(headers)
}

/// What the model said, within what the orchestration says.
fn result(body: &Value) -> Option<&Value> {
    let found = ["final_result", "orchestration_result"].into_iter().find_map(|name| body.get(name));
    found.or_else(|| body.get("choices").map(|_| body))
}

/// Takes chunks out of an orchestration's events.
struct ResultReader {
    target: Target,
    inner: Box<dyn ChatDecoder>,
}

impl ChatDecoder for ResultReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let data = frame.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return self.inner.feed(frame, out);
        }
        let event = self.target.event(data)?;
        if let Some(chunk) = result(&event) {
            return self.inner.feed(&Frame::of(chunk.to_string().into_bytes().into()), out);
        }
        let error = event.get("error").unwrap_or(&event);
        match error.get("message").and_then(Value::as_str) {
            Some(words) => Err(self.target.failure(FailureKind::Internal, words)),
            // Results of modules before the model.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_no_other_host() {
        let list = [
            json!({"scenarioId": SCENARIO, "status": "RUNNING", "createdAt": "2025-01-01", "deploymentUrl": "https://ai.test/v2/inference/deployments/old"}),
            json!({"scenarioId": SCENARIO, "status": "RUNNING", "createdAt": "2025-02-01", "deploymentUrl": "https://ai.test/v2/inference/deployments/new"}),
            json!({"scenarioId": SCENARIO, "status": "STOPPED", "createdAt": "2025-03-01", "deploymentUrl": "https://ai.test/v2/inference/deployments/stopped"}),
            json!({"scenarioId": SCENARIO, "createdAt": "2025-04-01", "deploymentUrl": "https://evil.test/v2/inference/deployments/x"}),
            json!({"scenarioId": SCENARIO, "createdAt": "2025-05-01", "deploymentUrl": "http://ai.test/v2/inference/deployments/x"}),
            json!({"scenarioId": SCENARIO, "createdAt": "2025-05-02", "deploymentUrl": "https://ai.test:1@evil.test/x"}),
            json!({"scenarioId": "foundation-models", "createdAt": "2025-06-01", "deploymentUrl": "https://ai.test/v2/inference/deployments/y"}),
        ];
        assert_eq!(newest(&list, "https://ai.test/v2"), Some("https://ai.test/v2/inference/deployments/new"));
        assert_eq!(newest(&list, "https://other.test/v2"), None);
    }
}
