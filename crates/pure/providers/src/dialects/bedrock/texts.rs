//! Families that complete one prompt: Titan, Llama, Mistral, Cohere's Command, Jurassic, `DeepSeek` R1, old Claude.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    chat::{ChatChunk, ChatRequest, ChatResponse, Choice, Delta, Extras, Finish, Message, Part},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{invoke, json, names, prompts};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{anthropic_complete, aws},
    target::Target,
};

/// Longest answer of old Claudes where the client says none, tokens; they insist on one.
const OLD_CLAUDE_MAX_TOKENS: u64 = 4096;

/// How a family is asked and how it answers. Where a name is empty, the family has no such parameter.
#[derive(Debug)]
struct Family {
    /// How its models' ids begin, without an inference profile's region.
    begins: &'static [&'static str],
    /// The conversation as a prompt.
    prompt: fn(&[Message]) -> String,
    /// Its name for the prompt.
    prompt_name: &'static str,
    /// Its names for longest answer, randomness, nucleus, stop texts.
    names: [&'static str; 4],
    /// The object that holds parameters; none where they stand beside the prompt.
    within: Option<&'static str>,
    /// The longest answer where none is said.
    longest: Option<u64>,
    /// It can stream.
    streams: bool,
    /// Where the words of an answer, or of a piece of one, may be.
    text: &'static [&'static str],
    /// Where the reason for its end may be.
    reason: &'static [&'static str],
    /// Where input and output tokens may be counted.
    counts: [&'static [&'static str]; 2],
}

const PLAIN: Family = Family {
    begins: &[],
    prompt: prompts::joined,
    prompt_name: "prompt",
    names: ["max_tokens", "temperature", "top_p", "stop"],
    within: None,
    longest: None,
    streams: true,
    text: &[],
    reason: &[],
    counts: [&[], &[]],
};

static FAMILIES: &[Family] = &[
    Family {
        begins: &["amazon.titan-text-", "amazon.titan-tg1-"],
        prompt: |messages| prompts::TITAN.prompt(messages),
        prompt_name: "inputText",
        names: ["maxTokenCount", "temperature", "topP", "stopSequences"],
        within: Some("textGenerationConfig"),
        text: &["/results/0/outputText", "/outputText"],
        reason: &["/results/0/completionReason", "/completionReason"],
        counts: [&["/inputTextTokenCount"], &["/results/0/tokenCount", "/totalOutputTextTokenCount"]],
        ..PLAIN
    },
    Family { begins: &["meta.llama2-"], prompt: |messages| prompts::LLAMA_2.prompt(messages), ..LLAMA },
    Family { begins: &["meta."], prompt: |messages| prompts::LLAMA_3.prompt(messages), ..LLAMA },
    Family {
        begins: &["mistral.mistral-7b-", "mistral.mixtral-", "mistral.mistral-large-2402", "mistral.mistral-small-"],
        prompt: |messages| prompts::MISTRAL.prompt(messages),
        text: &["/outputs/0/text"],
        reason: &["/outputs/0/stop_reason"],
        ..PLAIN
    },
    Family {
        begins: &["cohere.command-text-", "cohere.command-light-text-"],
        names: ["max_tokens", "temperature", "p", "stop_sequences"],
        text: &["/generations/0/text", "/text"],
        reason: &["/generations/0/finish_reason", "/finish_reason"],
        ..PLAIN
    },
    Family {
        begins: &["ai21.j2-"],
        names: ["maxTokens", "temperature", "topP", "stopSequences"],
        streams: false,
        text: &["/completions/0/data/text"],
        reason: &["/completions/0/finishReason/reason"],
        ..PLAIN
    },
    Family {
        begins: &["deepseek.r1"],
        prompt: |messages| prompts::DEEPSEEK.prompt(messages),
        text: &["/choices/0/text"],
        reason: &["/choices/0/stop_reason"],
        ..PLAIN
    },
    Family {
        begins: &["anthropic.claude-v1", "anthropic.claude-v2", "anthropic.claude-instant"],
        prompt: anthropic_complete::prompt,
        names: ["max_tokens_to_sample", "temperature", "top_p", "stop_sequences"],
        longest: Some(OLD_CLAUDE_MAX_TOKENS),
        text: &["/completion"],
        reason: &["/stop_reason"],
        ..PLAIN
    },
    Family { begins: &["qwen2", "qwen3"], prompt: |messages| prompts::CHATML.prompt(messages), ..LLAMA },
];

const LLAMA: Family = Family {
    names: ["max_gen_len", "temperature", "top_p", ""],
    text: &["/generation"],
    reason: &["/stop_reason"],
    counts: [&["/prompt_token_count"], &["/generation_token_count"]],
    ..PLAIN
};

static DIALECTS: &[Text] = &[Text(0), Text(1), Text(2), Text(3), Text(4), Text(5), Text(6), Text(7), Text(8)];

/// The dialect of a model that completes a prompt.
pub(super) fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    // An ARN does not tell; what the model string says before it does.
    let name = match target.fact("family") {
        Some("meta") => "meta.",
        Some("qwen") => "qwen3",
        Some(_) => return None,
        None => names::base(target),
    };
    let place = FAMILIES.iter().position(|family| family.begins.iter().any(|begin| name.starts_with(begin)))?;
    DIALECTS.get(place).map(|dialect| dialect as &dyn ProviderDialect)
}

/// A family, by its place in the list.
#[derive(Debug)]
struct Text(usize);

impl Text {
    fn family(&self) -> &'static Family {
        FAMILIES.get(self.0).unwrap_or(&PLAIN)
    }
}

impl Family {
    fn body(&self, request: &ChatRequest) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert(self.prompt_name.to_owned(), (self.prompt)(&request.messages).into());
        let [longest, temperature, top_p, stop] = self.names;
        let values = [
            (longest, request.max_output_tokens.or(self.longest).map(Value::from)),
            (temperature, request.temperature.clone().map(Value::Number)),
            (top_p, request.top_p.clone().map(Value::Number)),
            (stop, (!request.stop.is_empty()).then(|| request.stop.clone().into())),
        ];
        let mut params = Map::new();
        for (name, value) in values {
            if let (false, Some(value)) = (name.is_empty(), value) {
                params.insert(name.to_owned(), value);
            }
        }
        for (name, value) in &request.extras {
            if !value.is_null() && name != "model_id" && !name.starts_with("aws_") {
                params.insert(name.clone(), value.clone());
            }
        }
        match self.within {
            Some(within) if params.is_empty() => drop(out.insert(within.to_owned(), json!({}))),
            Some(within) => drop(out.insert(within.to_owned(), params.into())),
            None => out.extend(params),
        }
        out
    }

    fn text<'b>(&self, body: &'b Value) -> Option<&'b str> {
        self.text.iter().find_map(|place| body.pointer(place)?.as_str())
    }

    fn reason<'b>(&self, body: &'b Value) -> Option<&'b str> {
        self.reason.iter().find_map(|place| body.pointer(place)?.as_str())
    }

    /// Input and output tokens, where they are told.
    fn counts(&self, body: &Value) -> [Option<u64>; 2] {
        const METRICS: [&str; 2] =
            ["/amazon-bedrock-invocationMetrics/inputTokenCount", "/amazon-bedrock-invocationMetrics/outputTokenCount"];
        let [input, output] = self.counts;
        let [all_input, all_output] = METRICS;
        let count = |places: &[&str], metric: &str| {
            let metric = body.pointer(metric).and_then(Value::as_u64);
            metric.or_else(|| places.iter().find_map(|place| body.pointer(place)?.as_u64()))
        };
        [count(input, all_input), count(output, all_output)]
    }
}

/// The families' reasons in our words; their own word where we have none.
fn finish(word: &str) -> (Finish, Option<String>) {
    match word.to_ascii_lowercase().as_str() {
        "stop" | "stop_sequence" | "finish" | "finished" | "complete" | "endoftext" | "end_turn" | "eos" => {
            (Finish::Stop, None)
        }
        "length" | "max_tokens" => (Finish::Length, None),
        "content_filtered" | "error_toxic" => (Finish::ContentFilter, None),
        _ => (Finish::Stop, Some(word.to_owned())),
    }
}

impl ProviderDialect for Text {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let family = self.family();
        let body = family.body(request);
        if request.stream && !family.streams {
            let whole = ChatRequest { stream: false, ..ChatRequest::default() };
            return invoke::outgoing(&whole, target, &body);
        }
        invoke::outgoing(request, target, &body)
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let family = self.family();
        let body = json(reply, target)?;
        let Some(text) = family.text(&body) else {
            return Err(target.failure(FailureKind::InvalidResponse, "the answer has no text"));
        };
        let (finish, native_finish) = family.reason(&body).map_or((Finish::Stop, None), finish);
        let choice = Choice {
            index: 0,
            parts: vec![Part::text(text)],
            finish,
            native_finish,
            extras: Extras::new(),
            message_extras: Extras::new(),
        };
        let [input, output] = family.counts(&body);
        let header = |name: &str| reply.headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let input = input.or_else(|| header("x-amzn-bedrock-input-token-count"));
        let output = output.or_else(|| header("x-amzn-bedrock-output-token-count"));
        let usage = input.zip(output).map(|(input, output)| Usage { input, output, ..Usage::default() });
        Ok(ChatResponse { choices: vec![choice], usage, ..ChatResponse::default() })
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(TextReader {
            family: self.family(),
            target: target.clone(),
            usage: Usage::default(),
            started: false,
            stopped: false,
        })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

/// Reads a stream of pieces.
struct TextReader {
    family: &'static Family,
    target: Target,
    usage: Usage,
    started: bool,
    stopped: bool,
}

impl ChatDecoder for TextReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let Some(chunk) = invoke::chunk(frame, &self.target)? else { return Ok(()) };
        if !self.started {
            self.started = true;
            out.push(ChatChunk::Start { id: String::new(), model: String::new() });
        }
        if let Some(text) = self.family.text(&chunk).filter(|text| !text.is_empty()) {
            out.push(ChatChunk::Delta { choice: 0, delta: Delta::Text(text.to_owned()) });
        }
        if let (false, Some(reason)) = (self.stopped, self.family.reason(&chunk)) {
            self.stopped = true;
            let (finish, native) = finish(reason);
            out.push(ChatChunk::Finish { choice: 0, finish, native });
        }
        let [input, output] = self.family.counts(&chunk);
        self.usage.input = input.unwrap_or(self.usage.input);
        self.usage.output = output.unwrap_or(self.usage.output);
        if input.or(output).is_some() {
            out.push(ChatChunk::Usage { usage: self.usage, extras: Extras::new() });
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        if self.stopped { Ok(()) } else { Err(self.target.unfinished(self.started)) }
    }

    fn is_done(&self) -> bool {
        // The counts come with the last piece, or after it.
        false
    }
}
