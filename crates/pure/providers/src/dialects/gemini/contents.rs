//! The conversation as Gemini has it: instructions apart, turns of `user` and `model`, neighbours of one side merged.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Message, Part, Role, ToolCall},
};

use super::{media, thinking::thinks_by_level};

/// Between a call's id and the seal that some gateways hide in it, as clients keep ids and little else.
const SEAL_IN_ID: &str = "__thought__";
/// What stands where the third generation wants a seal and the client kept none («Thought signatures» of the Gemini API:
/// `skip_thought_signature_validator`, in base64).
const NO_SEAL: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

/// Instructions and turns.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// Parts of `system_instruction`.
    pub(super) system: Vec<Value>,
    /// `contents`.
    pub(super) contents: Vec<Value>,
    /// How closely pictures are to be looked at, where that is said for all of them together.
    pub(super) resolution: Option<&'static str>,
}

/// Which turn parts belong to; results of tools are one of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    User,
    Model,
    Results,
}

struct Writer<'m> {
    model: &'m str,
    /// Names of the calls so far by their ids: results name the function.
    called: BTreeMap<&'m str, &'m str>,
    out: Conversation,
    open: Option<(Side, Vec<Value>)>,
}

/// # Errors
/// When a message holds what cannot be said to Gemini.
pub(super) fn write(messages: &[Message], model: &str) -> Result<Conversation, Failure> {
    let mut writer = Writer { model, called: BTreeMap::new(), out: Conversation::default(), open: None };
    for message in messages {
        writer.message(message)?;
    }
    writer.close();
    let mut out = writer.out;
    if out.contents.is_empty() {
        // Contents are required; instructions alone are no request.
        out.contents.push(json!({"role": "user", "parts": [{"text": " "}]}));
    }
    Ok(out)
}

impl<'m> Writer<'m> {
    fn message(&mut self, message: &'m Message) -> Result<(), Failure> {
        match message.role {
            Role::System => self.instruct(&message.parts),
            Role::User => {
                for part in &message.parts {
                    self.user_part(part)?;
                }
            }
            Role::Assistant => self.model_parts(message),
            Role::Tool => {
                for part in &message.parts {
                    self.user_part(part)?;
                }
            }
        }
        Ok(())
    }

    fn instruct(&mut self, parts: &[Part]) {
        let texts =
            parts.iter().filter_map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None });
        let text: String = texts.collect();
        if text.is_empty() {
            return;
        }
        // Gemma refuses instructions; it is told them by the user.
        if self.model.starts_with("gemma") {
            self.push(Side::User, json!({ "text": text }));
        } else {
            self.out.system.push(json!({ "text": text }));
        }
    }

    fn user_part(&mut self, part: &Part) -> Result<(), Failure> {
        match part {
            Part::Text { text, .. } if text.is_empty() => {}
            Part::Text { text, .. } | Part::Refusal(text) => self.push(Side::User, json!({ "text": text })),
            Part::Image { source, extras } | Part::Document { source, extras, .. } => {
                let part = media::write(source, extras)?;
                self.look(part, extras);
            }
            Part::Audio { data, format } => self.push(Side::User, media::sound(data, format).into()),
            Part::ToolResult { call_id, parts, extras, .. } => self.result(call_id, parts, extras)?,
            Part::Opaque { dialect: "gemini", raw } => self.push(Side::User, raw.clone()),
            Part::Opaque { raw, .. } => return Err(unknown_part(raw)),
            Part::Thinking { .. } | Part::RedactedThinking { .. } | Part::ToolCall(_) => {}
        }
        Ok(())
    }

    /// The third generation is told for each picture how closely to look, earlier ones for all of them.
    fn look(&mut self, mut part: Map<String, Value>, extras: &Extras) {
        if let Some(resolution) = media::resolution(extras) {
            if thinks_by_level(self.model) {
                part.insert("media_resolution".to_owned(), json!({ "level": resolution }));
            } else {
                self.out.resolution = media::finer(self.out.resolution, resolution);
            }
        }
        self.push(Side::User, part.into());
    }

    fn result(&mut self, call_id: &str, parts: &[Part], extras: &Extras) -> Result<(), Failure> {
        let bare = call_id.split(SEAL_IN_ID).next().unwrap_or(call_id);
        let stated = extras.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = self.called.get(bare).copied().or(stated).unwrap_or(bare).to_owned();
        let mut text = String::new();
        let mut shown = Vec::new();
        for part in parts {
            match part {
                Part::Text { text: more, .. } => text.push_str(more),
                Part::Image { source, extras } | Part::Document { source, extras, .. } => {
                    shown.push(Value::Object(media::write(source, extras)?));
                }
                _ => {}
            }
        }
        let response = match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(members)) => Value::Object(members),
            _ => json!({ "content": text }),
        };
        let id = self.called.contains_key(bare).then_some(bare);
        let mut answered = json!({"name": name, "response": response});
        self.identify(&mut answered, id);
        self.push(Side::Results, json!({ "function_response": answered }));
        shown.into_iter().for_each(|part| self.push(Side::Results, part));
        Ok(())
    }

    fn model_parts(&mut self, message: &'m Message) {
        let mut seals = kept_seals(&message.extras).into_iter();
        let has_calls = message.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        let mut first_call = true;
        for part in &message.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal(text) if !text.is_empty() => {
                    // Without calls the seals of a message belong to its words.
                    let seal = if has_calls { None } else { seals.next() };
                    self.push(Side::Model, sealed(json!({ "text": text }), seal));
                }
                Part::Thinking { text, signature } => {
                    let thought = json!({"thought": true, "text": text});
                    self.push(Side::Model, sealed(thought, signature.clone().filter(|seal| !seal.is_empty())));
                }
                Part::ToolCall(call) => {
                    let mut seal = call_seal(call);
                    if seal.is_none() && first_call && thinks_by_level(self.model) {
                        seal = Some(seals.next().unwrap_or_else(|| NO_SEAL.to_owned()));
                    }
                    first_call = false;
                    self.call(call, seal);
                }
                Part::Opaque { dialect: "gemini", raw } => self.push(Side::Model, raw.clone()),
                _ => {}
            }
        }
    }

    fn call(&mut self, call: &'m ToolCall, seal: Option<String>) {
        let id = call.id.split(SEAL_IN_ID).next().unwrap_or(&call.id);
        self.called.insert(id, &call.name);
        let args = match serde_json::from_str::<Value>(&call.arguments) {
            Ok(Value::Object(members)) => Value::Object(members),
            Ok(Value::Null) => json!({}),
            Err(_) if call.arguments.trim().is_empty() => json!({}),
            _ => json!({"arguments": call.arguments}),
        };
        let mut called = json!({"name": call.name, "args": args});
        self.identify(&mut called, Some(id));
        self.push(Side::Model, sealed(json!({ "function_call": called }), seal));
    }

    /// From the third generation on calls and results are joined by ids; earlier models know none.
    fn identify(&self, part: &mut Value, id: Option<&str>) {
        if let (Some(members), Some(id), true) = (part.as_object_mut(), id, thinks_by_level(self.model))
            && !id.is_empty()
        {
            members.insert("id".to_owned(), id.into());
        }
    }

    fn push(&mut self, side: Side, part: Value) {
        if let Some((open, parts)) = &mut self.open
            && *open == side
        {
            parts.push(part);
            return;
        }
        self.close();
        self.open = Some((side, vec![part]));
    }

    fn close(&mut self) {
        let Some((side, mut parts)) = self.open.take() else { return };
        let says_nothing = !parts.iter().any(|part| part.get("text").is_some_and(|text| text != ""));
        if side == Side::User && says_nothing {
            // Some models refuse a turn of pictures without a word.
            parts.push(json!({"text": " "}));
        }
        let role = if side == Side::Model { "model" } else { "user" };
        self.out.contents.push(json!({"role": role, "parts": parts}));
    }
}

fn sealed(mut part: Value, seal: Option<String>) -> Value {
    if let (Some(members), Some(seal)) = (part.as_object_mut(), seal) {
        members.insert("thoughtSignature".to_owned(), seal.into());
    }
    part
}

/// Seals that the client kept with a message as it was answered.
fn kept_seals(extras: &Extras) -> Vec<String> {
    let seals = extras.get("provider_specific_fields").and_then(|fields| fields.get("thought_signatures"));
    let seals = seals.and_then(Value::as_array).into_iter().flatten();
    seals.filter_map(|seal| seal.as_str().map(str::to_owned)).collect()
}

/// The seal on a call: beside it as it was answered, as Google's `OpenAI` endpoint tells it, or hidden in its id.
fn call_seal(call: &ToolCall) -> Option<String> {
    let beside = call.extras.get("provider_specific_fields").and_then(|fields| fields.get("thought_signature"));
    let google = || call.extras.get("extra_content")?.get("google")?.get("thought_signature");
    let beside = beside.or_else(google).and_then(Value::as_str).map(str::to_owned);
    beside.or_else(|| call.id.split_once(SEAL_IN_ID).map(|(_, seal)| seal.to_owned())).filter(|seal| !seal.is_empty())
}

fn unknown_part(raw: &Value) -> Failure {
    let kind = raw.get("type").and_then(Value::as_str).unwrap_or("no type");
    Failure::invalid(format!("Gemini knows no part of a message like '{kind}'")).with_param("messages")
}
