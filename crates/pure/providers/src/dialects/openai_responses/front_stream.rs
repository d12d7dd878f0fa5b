//! Streamed answers for clients of the Responses API: every item is added, grows, and is done; at the end the whole
//! response is said once more.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, Usage,
    chat::{ChatChunk, Delta, Extras, Finish},
};

use super::{
    front_answer::{
        self, Ending, annotation, head, item_id, message, output_text, reasoning, redacted, set, write_usage,
    },
    front_tools::{Called, Kind, input_of},
};
use crate::codec::{AnswerContext, ChatEncoder};

/// Writes the events of a response.
pub(super) struct EventWriter {
    context: AnswerContext,
    /// What all events that hold the response repeat; empty before the first.
    response: Map<String, Value>,
    sequence: u64,
    /// The items, each when it is done; places are given when items are added.
    output: BTreeMap<usize, Value>,
    places: usize,
    open: Open,
    /// By their places among the calls.
    calls: BTreeMap<u64, Call>,
    finish: Finish,
    usage: Option<(Usage, Extras)>,
}

/// The item that grows; calls beside it.
enum Open {
    Nothing,
    Thoughts { place: usize, id: String, text: String, seal: String },
    Message { place: usize, id: String, text: String, refuses: bool, sources: Vec<Value> },
}

struct Call {
    place: usize,
    id: String,
    call_id: String,
    arguments: String,
    called: Called,
}

impl EventWriter {
    pub(super) fn new(context: AnswerContext) -> Self {
        Self {
            context,
            response: Map::new(),
            sequence: 0,
            output: BTreeMap::new(),
            places: 0,
            open: Open::Nothing,
            calls: BTreeMap::new(),
            finish: Finish::Stop,
            usage: None,
        }
    }

    fn event(&mut self, kind: &str, members: Value, out: &mut Vec<u8>) {
        let mut event = Map::from_iter([("type".to_owned(), kind.into())]);
        if let Value::Object(members) = members {
            event.extend(members);
        }
        event.insert("sequence_number".to_owned(), self.sequence.into());
        self.sequence += 1;
        write_event(kind, &Value::Object(event), out);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.response.is_empty() {
            return;
        }
        let id = self.context.responses.id("", &self.context.id);
        self.response = head(&id, self.context.now, &self.context);
        for kind in ["response.created", "response.in_progress"] {
            self.event(kind, json!({"response": self.response}), out);
        }
    }

    /// A place for a new item.
    fn place(&mut self, prefix: &str) -> (usize, String) {
        let place = self.places;
        self.places += 1;
        (place, item_id(prefix, &self.context.id, place))
    }

    fn added(&mut self, place: usize, item: &Value, out: &mut Vec<u8>) {
        self.event("response.output_item.added", json!({"output_index": place, "item": item}), out);
    }

    fn done(&mut self, place: usize, item: Value, out: &mut Vec<u8>) {
        self.event("response.output_item.done", json!({"output_index": place, "item": item}), out);
        self.output.insert(place, item);
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) => self.say(text, false, out),
            Delta::Refusal(text) => self.say(text, true, out),
            Delta::Thinking(text) => self.think(text, out),
            Delta::Signature(seal) => self.seal(seal, out),
            Delta::RedactedThinking(data) => {
                self.close_open(out);
                self.seal(&redacted(data), out);
                self.close_open(out);
            }
            Delta::ToolStart { index, id, name } => self.call(*index, id, name, out),
            Delta::ToolArguments { index, fragment } => self.argue(*index, fragment, out),
            Delta::Extras(extras) => self.cite(extras.get("annotations"), out),
        }
    }

    fn say(&mut self, words: &str, refusing: bool, out: &mut Vec<u8>) {
        if words.is_empty() {
            return;
        }
        if !matches!(&self.open, Open::Message { refuses, .. } if *refuses == refusing) {
            self.close_open(out);
            self.begin_message(refusing, out);
        }
        let Open::Message { place, id, text, .. } = &mut self.open else { return };
        text.push_str(words);
        let mut members = json!({"item_id": id, "output_index": place, "content_index": 0, "delta": words});
        let kind = if refusing {
            "response.refusal.delta"
        } else {
            with_logprobs(&mut members);
            "response.output_text.delta"
        };
        self.event(kind, members, out);
    }

    fn begin_message(&mut self, refuses: bool, out: &mut Vec<u8>) {
        let (place, id) = self.place("msg");
        self.added(place, &message(&id, &[], "in_progress"), out);
        let part = content_part("", refuses, &[]);
        let members = json!({"item_id": id, "output_index": place, "content_index": 0, "part": part});
        self.event("response.content_part.added", members, out);
        self.open = Open::Message { place, id, text: String::new(), refuses, sources: Vec::new() };
    }

    fn cite(&mut self, annotations: Option<&Value>, out: &mut Vec<u8>) {
        let Open::Message { place, id, sources, .. } = &mut self.open else { return };
        let mut events = Vec::new();
        for source in annotations.and_then(Value::as_array).into_iter().flatten().map(annotation) {
            events.push(json!({"item_id": id, "output_index": place, "content_index": 0,
                "annotation_index": sources.len(), "annotation": source}));
            sources.push(source);
        }
        for members in events {
            self.event("response.output_text.annotation.added", members, out);
        }
    }

    fn think(&mut self, words: &str, out: &mut Vec<u8>) {
        if words.is_empty() {
            return;
        }
        // A seal ends thoughts; what comes then are others.
        if !matches!(&self.open, Open::Thoughts { seal, .. } if seal.is_empty()) {
            self.close_open(out);
            self.begin_thoughts(out);
        }
        let Open::Thoughts { place, id, text, .. } = &mut self.open else { return };
        let place_of = json!({"item_id": id, "output_index": place, "summary_index": 0});
        let is_first = text.is_empty();
        text.push_str(words);
        if is_first {
            let part = json!({"part": {"type": "summary_text", "text": ""}});
            self.event("response.reasoning_summary_part.added", joined(&place_of, part), out);
        }
        self.event("response.reasoning_summary_text.delta", joined(&place_of, json!({ "delta": words })), out);
    }

    fn begin_thoughts(&mut self, out: &mut Vec<u8>) {
        let (place, id) = self.place("rs");
        self.added(place, &reasoning(&id, "", None), out);
        self.open = Open::Thoughts { place, id, text: String::new(), seal: String::new() };
    }

    fn seal(&mut self, piece: &str, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        if !matches!(self.open, Open::Thoughts { .. }) {
            self.close_open(out);
            self.begin_thoughts(out);
        }
        if let Open::Thoughts { seal, .. } = &mut self.open {
            seal.push_str(piece);
        }
    }

    fn call(&mut self, index: u64, call_id: &str, name: &str, out: &mut Vec<u8>) {
        if self.calls.contains_key(&index) {
            return;
        }
        self.close_open(out);
        let called = Called::of(name, self.context.responses.asked("tools"));
        let (place, id) = self.place(called.prefix());
        self.added(place, &called.item(&id, call_id, "", "in_progress"), out);
        self.calls.insert(index, Call { place, id, call_id: call_id.to_owned(), arguments: String::new(), called });
    }

    fn argue(&mut self, index: u64, fragment: &str, out: &mut Vec<u8>) {
        let Some(call) = self.calls.get_mut(&index) else { return };
        call.arguments.push_str(fragment);
        // The other kinds are told when their arguments can be read.
        if call.called.kind == Kind::Function && !fragment.is_empty() {
            let members = json!({"item_id": call.id, "output_index": call.place, "delta": fragment});
            self.event("response.function_call_arguments.delta", members, out);
        }
    }

    fn close_open(&mut self, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::Thoughts { place, id, text, seal } => {
                if !text.is_empty() {
                    let place_of = json!({"item_id": id, "output_index": place, "summary_index": 0});
                    let said = json!({ "text": text });
                    self.event("response.reasoning_summary_text.done", joined(&place_of, said), out);
                    let part = json!({"part": {"type": "summary_text", "text": text}});
                    self.event("response.reasoning_summary_part.done", joined(&place_of, part), out);
                }
                let seal = Some(seal.as_str()).filter(|seal| !seal.is_empty());
                self.done(place, reasoning(&id, &text, seal), out);
            }
            Open::Message { place, id, text, refuses, sources } => {
                let place_of = json!({"item_id": id, "output_index": place, "content_index": 0});
                if refuses {
                    self.event("response.refusal.done", joined(&place_of, json!({ "refusal": text })), out);
                } else {
                    let mut said = json!({ "text": text });
                    with_logprobs(&mut said);
                    self.event("response.output_text.done", joined(&place_of, said), out);
                }
                let part = content_part(&text, refuses, &sources);
                self.event("response.content_part.done", joined(&place_of, json!({ "part": part })), out);
                let status = Ending::of(self.finish).item_status();
                self.done(place, message(&id, &[part], status), out);
            }
        }
    }

    fn close_calls(&mut self, out: &mut Vec<u8>) {
        for call in std::mem::take(&mut self.calls).into_values() {
            let Call { place, id, call_id, mut arguments, called } = call;
            if arguments.is_empty() {
                // Clients read the arguments as JSON, which nothing is not.
                "{}".clone_into(&mut arguments);
            }
            let place_of = json!({"item_id": id, "output_index": place});
            match called.kind {
                Kind::Function => {
                    let said = joined(&place_of, json!({ "arguments": arguments }));
                    self.event("response.function_call_arguments.done", said, out);
                }
                Kind::Custom => {
                    let input = input_of(&arguments);
                    let piece = joined(&place_of, json!({ "delta": input }));
                    self.event("response.custom_tool_call_input.delta", piece, out);
                    let said = joined(&place_of, json!({ "input": input }));
                    self.event("response.custom_tool_call_input.done", said, out);
                }
                Kind::LocalShell => {}
            }
            self.done(place, called.item(&id, &call_id, &arguments, "completed"), out);
        }
    }

    /// The response as it stands.
    fn whole(&mut self) -> Map<String, Value> {
        let mut response = std::mem::take(&mut self.response);
        let output: Vec<Value> = std::mem::take(&mut self.output).into_values().collect();
        set(&mut response, "output", output.into());
        response
    }
}

impl ChatEncoder for EventWriter {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        self.begin(out);
        match chunk {
            // Clients of this API ask for one answer.
            ChatChunk::Delta { choice: 0, delta } => self.delta(delta, out),
            ChatChunk::Finish { choice: 0, finish, .. } => self.finish = *finish,
            ChatChunk::Usage { usage, extras } => self.usage = Some((*usage, extras.clone())),
            ChatChunk::Start { .. } | ChatChunk::Delta { .. } | ChatChunk::Finish { .. } => {}
        }
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_open(out);
        self.close_calls(out);
        let mut response = self.whole();
        let ending = Ending::of(self.finish);
        front_answer::end(&mut response, ending);
        if let Some((usage, extras)) = self.usage.take() {
            let mut usage = write_usage(&usage, &extras);
            if let (Some(cost), Some(members)) = (cost, usage.as_object_mut()) {
                members.insert("cost".to_owned(), cost.into());
            }
            set(&mut response, "usage", usage);
        }
        let response = Value::Object(response);
        if let Some(desk) = &self.context.responses.desk {
            desk.keep(&response);
        }
        let kind = format!("response.{}", ending.status());
        self.event(&kind, json!({ "response": response }), out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        if self.response.is_empty() {
            let sequence = self.sequence;
            write_error(failure, sequence, out);
            return;
        }
        let mut response = self.whole();
        front_answer::fail(&mut response, failure);
        self.event("response.failed", json!({ "response": response }), out);
    }
}

/// A failure of which no response can tell.
pub(super) fn write_error(failure: &Failure, sequence: u64, out: &mut Vec<u8>) {
    let event = json!({
        "type": "error",
        "code": front_answer::code(failure),
        "message": failure.client_message(),
        "param": failure.param,
        "sequence_number": sequence,
    });
    write_event("error", &event, out);
}

/// One event, under its name.
pub(super) fn write_event(kind: &str, event: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("event: {kind}\ndata: {event}\n\n").as_bytes());
}

fn content_part(text: &str, refuses: bool, sources: &[Value]) -> Value {
    if refuses { json!({"type": "refusal", "refusal": text}) } else { output_text(text, sources) }
}

fn joined(base: &Value, more: Value) -> Value {
    let mut out = base.clone();
    if let (Some(members), Value::Object(more)) = (out.as_object_mut(), more) {
        members.extend(more);
    }
    out
}

/// Clients of this API read the list without asking.
fn with_logprobs(members: &mut Value) {
    if let Some(members) = members.as_object_mut() {
        members.insert("logprobs".to_owned(), json!([]));
    }
}
