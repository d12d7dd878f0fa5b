//! A hub request as Converse's body.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Message, Part},
};

use super::{
    names,
    tools::{self, Offered},
    turns::{Conversation, Manner},
};
use crate::{
    dialects::anthropic::{
        BETA_HEADER,
        structured::{self, Form},
        thinking::Thinking,
    },
    target::Target,
};

/// Members that Converse itself has; all others are the model's own.
const OWN: &[&str] = &[
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "outputConfig",
    "serviceTier",
    "additionalModelResponseFieldPaths",
];
/// Where Claude says how much of its answer it thought.
const THOUGHT_COUNT: &str = "/usage/output_tokens_details";

/// The body.
///
/// # Errors
/// When the request cannot be said in this dialect.
pub(super) fn body(request: &ChatRequest, target: &Target) -> Result<Map<String, Value>, Failure> {
    let form = Form::of(request, target);
    let thinking = thinking(request, target)?;
    let offered = Offered::of(request, &form, target)?;
    let guards = request.extra("guardrailConfig").is_some();
    let calls_as_words =
        offered.tools.is_empty() && offered.natives.is_empty() && request.messages.iter().any(has_calls);
    let conversation = Conversation::write(request, Manner { calls_as_words, guards }, target)?;
    let mut out = Map::new();
    out.insert("messages".to_owned(), conversation.messages.into());
    if !conversation.system.is_empty() {
        out.insert("system".to_owned(), conversation.system.into());
    }
    out.insert("inferenceConfig".to_owned(), inference(request, &thinking, target).into());
    let mut own = model_fields(request, &thinking, &offered, target)?;
    add_tools(request, &form, &thinking, &offered, target, &mut out);
    if names::is_claude(target) && (thinking.is_on() || thinking.parameter.is_some()) {
        out.insert("additionalModelResponseFieldPaths".to_owned(), json!([THOUGHT_COUNT]));
    }
    if let Form::Parameter(schema) = &form {
        out.insert("outputConfig".to_owned(), output_config(request, schema));
    }
    for name in OWN {
        if let Some(value) = request.extra(name) {
            out.insert((*name).to_owned(), value.clone());
        }
    }
    if let Some(tier) = request.extra("service_tier").and_then(Value::as_str) {
        // OpenAI's «auto» is what Bedrock calls default.
        out.insert("serviceTier".to_owned(), json!({"type": if tier == "auto" { "default" } else { tier }}));
    }
    if let Some(Value::Object(given)) = request.extra("additionalModelRequestFields") {
        own.extend(given.clone());
    }
    if !own.is_empty() {
        out.insert("additionalModelRequestFields".to_owned(), own.into());
    }
    Ok(out)
}

fn has_calls(message: &Message) -> bool {
    message.parts.iter().any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult { .. }))
}

/// Thinking in Anthropic's words, which only Claude is told.
fn thinking(request: &ChatRequest, target: &Target) -> Result<Thinking, Failure> {
    if names::is_claude(target) || request.extra("thinking").is_some() {
        return Thinking::of(request, target);
    }
    Ok(Thinking::default())
}

fn inference(request: &ChatRequest, thinking: &Thinking, target: &Target) -> Map<String, Value> {
    let mut out = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    let has_budget = thinking.parameter.as_ref().is_some_and(|parameter| parameter.get("budget_tokens").is_some());
    let longest = request.max_output_tokens.or_else(|| has_budget.then(|| thinking.max_tokens(request, target)));
    set("maxTokens", longest.map(Value::from));
    set("temperature", request.temperature.clone().map(Value::Number));
    set("topP", request.top_p.clone().map(Value::Number));
    set("stopSequences", (!request.stop.is_empty()).then(|| request.stop.clone().into()));
    out
}

/// What goes to the model past Converse, in the model's own words.
fn model_fields(
    request: &ChatRequest,
    thinking: &Thinking,
    offered: &Offered,
    target: &Target,
) -> Result<Map<String, Value>, Failure> {
    let mut out = Map::new();
    for (name, value) in &request.extras {
        let known = OWN.contains(&name.as_str()) || HANDLED.contains(&name.as_str()) || name.starts_with("aws_");
        if !value.is_null() && !known {
            out.insert(name.clone(), value.clone());
        }
    }
    // These refuse a request with a member that they do not know.
    if matches!(names::vendor(target), "meta" | "deepseek" | "openai") {
        out.shift_remove("top_k");
    }
    if names::is_nova(target)
        && let Some(top_k) = out.shift_remove("top_k").or_else(|| out.shift_remove("topK"))
    {
        out.insert("inferenceConfig".to_owned(), json!({ "topK": top_k }));
    }
    if let Some(parameter) = &thinking.parameter {
        out.insert("thinking".to_owned(), parameter.clone());
    }
    if let Some(effort) = thinking.effort {
        out.insert("output_config".to_owned(), json!({ "effort": effort }));
    }
    if let Some(word) = request.reasoning_effort.as_deref().filter(|_| !names::is_claude(target)) {
        add_effort(word, target, &mut out);
    }
    if names::is_claude(target) {
        if let Some(choice) = tools::one_at_a_time(request, thinking.is_on())
            .filter(|_| !offered.tools.is_empty() && names::is_recent_claude(target))
        {
            out.insert("tool_choice".to_owned(), choice);
        }
        if !offered.natives.is_empty() {
            out.insert("tools".to_owned(), offered.natives.clone().into());
        }
        let features = features(offered, target);
        if !features.is_empty() {
            out.entry("anthropic_beta").or_insert_with(|| features.into());
        }
    }
    Ok(out)
}

/// Members that are said in another place, or not at all.
const HANDLED: &[&str] =
    &["thinking", "service_tier", "web_search_options", "additionalModelRequestFields", "model_id", "modelId"];

/// How the models of others than Anthropic are told how much to think.
fn add_effort(word: &str, target: &Target, out: &mut Map<String, Value>) {
    if names::is_nova(target) {
        let config = match word {
            "none" | "disable" => json!({"type": "disabled"}),
            word => json!({"type": "enabled", "maxReasoningEffort": word}),
        };
        out.insert("reasoningConfig".to_owned(), config);
    } else if word != "disable" {
        out.insert("reasoning_effort".to_owned(), word.into());
    }
}

/// Features of Anthropic's that are not yet for everyone: those that tools need, and those that the configuration asks for.
fn features(offered: &Offered, target: &Target) -> Vec<Value> {
    let configured = target.headers.get(BETA_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let configured = configured.split(',').map(str::trim).filter(|feature| !feature.is_empty());
    let mut all: Vec<Value> = Vec::new();
    for feature in configured.chain(offered.features.iter().copied()) {
        if !all.iter().any(|known| known == feature) {
            all.push(feature.into());
        }
    }
    all
}

fn add_tools(
    request: &ChatRequest,
    form: &Form,
    thinking: &Thinking,
    offered: &Offered,
    target: &Target,
    out: &mut Map<String, Value>,
) {
    if offered.tools.is_empty() {
        return;
    }
    let choice = match form {
        // A model that thinks must not be forced; it calls the one tool by itself.
        Form::Tool { .. } if thinking.is_on() || target.facts.free_tool_choice => None,
        // Only these two families can be told which; to the others Bedrock refuses the word.
        Form::Tool { .. } if !names::calls_tools(target) => None,
        Form::Tool { .. } => Some(json!({"tool": {"name": structured::TOOL}})),
        // Nor must it be told to call one of the client's.
        _ if thinking.is_on() => tools::choice(request).map(|_| json!({"auto": {}})),
        _ => tools::choice(request),
    };
    let mut config = json!({"tools": offered.tools});
    if let (Some(choice), Some(members)) = (choice, config.as_object_mut()) {
        members.insert("toolChoice".to_owned(), choice);
    }
    out.insert("toolConfig".to_owned(), config);
}

/// A schema as a parameter (Bedrock's «structured outputs»), where the model has one.
fn output_config(request: &ChatRequest, schema: &Value) -> Value {
    let mut inner = Map::new();
    inner.insert("schema".to_owned(), schema.to_string().into());
    if let Some(tollgate_wire::chat::ResponseFormat::JsonSchema { name: Some(name), .. }) = &request.response_format {
        inner.insert("name".to_owned(), name.as_str().into());
    }
    json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": inner}}})
}
