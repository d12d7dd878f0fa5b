//! The provider's own book: what it was asked, what it has said, and what it would charge for it. Everything follows from the
//! words of a call, so that nothing has to be told to anybody.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Call, Ending, Place, SseItem};

/// Nano-dollars for a token, as the configuration says.
pub(crate) const INPUT: i64 = 10;
pub(crate) const OUTPUT: i64 = 30;

/// One token of four bytes, so that counting by length comes to the same as a tokenizer.
const WORD: &str = " the";

/// What is to happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A whole answer.
    Whole,
    /// A stream that ends with its usage.
    Stream,
    /// A stream without usage.
    Bare,
    /// The client leaves in the midst of a stream.
    Leaves,
    /// The client leaves before its whole answer is there.
    LeavesWhole,
    /// The first deployment answers 500.
    Fails,
    /// The first deployment's stream is cut after some words.
    Cut,
    /// The first deployment reads the request and resets the connection.
    Reset,
    /// The first deployment answers too late.
    Late,
    /// The first deployment cannot be reached.
    Lost,
}

pub(crate) const KINDS: [Kind; 10] = [
    Kind::Whole,
    Kind::Stream,
    Kind::Bare,
    Kind::Leaves,
    Kind::LeavesWhole,
    Kind::Fails,
    Kind::Cut,
    Kind::Reset,
    Kind::Late,
    Kind::Lost,
];

impl Kind {
    /// The name under which clients ask.
    pub(crate) fn group(self) -> &'static str {
        match self {
            Self::Late => "slow",
            Self::Lost => "lost",
            _ => "pair",
        }
    }

    pub(crate) fn is_streamed(self) -> bool {
        matches!(self, Self::Stream | Self::Bare | Self::Leaves | Self::Cut)
    }
}

/// A call, as its words say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
}

impl Asked {
    /// The id that the client gives the call, which is also all of its prompt.
    pub(crate) fn marker(self) -> String {
        format!("storm-{}-{}", self.kind as usize, self.number)
    }

    pub(crate) fn read(marker: &str) -> Option<Self> {
        let (kind, number) = marker.strip_prefix("storm-")?.split_once('-')?;
        Some(Self { kind: *KINDS.get(kind.parse::<usize>().ok()?)?, number: number.parse().ok()? })
    }

    pub(crate) fn body(self) -> Value {
        json!({
            "model": self.kind.group(), "stream": self.kind.is_streamed(), "max_tokens": self.words(),
            "messages": [{"role": "user", "content": self.marker()}],
        })
    }

    /// Words in the answer.
    pub(crate) fn words(self) -> u64 {
        8 + self.number % 40
    }

    /// Words after which something happens.
    pub(crate) fn some_words(self) -> u64 {
        1 + self.number % 7
    }
}

/// What the provider thinks of one request.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub(crate) asked: Asked,
    /// The model that was asked: no call asks one twice.
    pub(crate) model: String,
    pub(crate) input: u64,
    /// Bytes of the request: nobody counts more tokens than that.
    pub(crate) bytes: u64,
    /// Words that were sent at most; of a whole answer all.
    pub(crate) output: u64,
    /// It refused, and charges nothing.
    pub(crate) is_refused: bool,
}

impl Charge {
    /// What it would charge.
    pub(crate) fn cost(&self) -> i64 {
        if self.is_refused {
            return 0;
        }
        cost(self.input, self.output)
    }

    /// What it would charge if it had said all of it.
    pub(crate) fn full_cost(&self) -> i64 {
        if self.is_refused { 0 } else { cost(self.input, self.asked.words()) }
    }
}

pub(crate) fn cost(input: u64, output: u64) -> i64 {
    i64::try_from(input).unwrap_or(i64::MAX) * INPUT + i64::try_from(output).unwrap_or(i64::MAX) * OUTPUT
}

fn asked(call: &Call) -> Option<(Asked, String)> {
    let body = call.json();
    let marker = body.pointer("/messages/0/content")?.as_str()?;
    Some((Asked::read(marker)?, body.get("model")?.as_str()?.to_owned()))
}

/// Of two deployments the one at which things go wrong.
fn is_first(model: &str) -> bool {
    model == "gpt-4o"
}

/// Fewer than anybody would count: what is held for a request is above what it costs.
fn input(asked: Asked) -> u64 {
    4 + asked.number % 3
}

fn word() -> SseItem {
    event(&json!({"content": WORD}), Value::Null)
}

fn event(delta: &Value, finish: Value) -> SseItem {
    SseItem::data(json!({
        "id": "chatcmpl-storm", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }))
}

/// How many words a client has in these bytes of a stream.
pub(crate) fn words_in(text: &str) -> u64 {
    text.matches("\"content\":\" the\"").count() as u64
}

/// What is answered.
pub(crate) fn answer(call: &Call) -> Answer {
    use std::time::Duration;
    let Some((asked, model)) = asked(call) else { return Answer::json(404, json!({"error": {"message": "what?"}})) };
    let (words, input) = (asked.words(), input(asked));
    let usage = json!({"prompt_tokens": input, "completion_tokens": words, "total_tokens": input + words});
    let whole = || {
        let text = WORD.repeat(usize::try_from(words).unwrap_or_default());
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let body = json!({"id": "chatcmpl-storm", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [choice], "usage": usage});
        Answer::json(200, body)
    };
    let streamed = |with_usage: bool, pause: u64| {
        let begins = event(&json!({"role": "assistant", "content": ""}), Value::Null);
        let words = (0..words).map(|_| word());
        let ends = event(&json!({}), "stop".into());
        let told = SseItem::data(json!({"id": "chatcmpl-storm", "object": "chat.completion.chunk", "created": 1,
            "model": "gpt-4o", "choices": [], "usage": usage}));
        let items = std::iter::once(begins).chain(words).chain([ends]).chain(with_usage.then_some(told));
        Answer::sse(items.chain([SseItem::done()])).wait_between_chunks(Duration::from_millis(pause))
    };
    match asked.kind {
        Kind::Fails if is_first(&model) => Answer::json(500, json!({"error": {"message": "no"}})),
        Kind::Reset if is_first(&model) => whole().reset(Place::BeforeHead),
        Kind::Late if is_first(&model) => whole().wait_before_head(Duration::from_secs(30)),
        Kind::Cut if is_first(&model) => {
            // The first event has no word.
            streamed(true, 0).cut(Place::AfterEvents(1 + usize::try_from(asked.some_words()).unwrap_or_default()))
        }
        Kind::Stream | Kind::Cut => streamed(true, 1),
        Kind::Bare => streamed(false, 1),
        Kind::Leaves => streamed(true, 3),
        Kind::LeavesWhole => whole().wait_before_head(Duration::from_millis(20)),
        _ => whole().wait_before_head(Duration::from_millis(asked.number % 8)),
    }
}

/// What the provider has written down for a call that is over.
pub(crate) fn charge(call: &Call) -> Option<Charge> {
    let (asked, model) = asked(call)?;
    let is_refused = asked.kind == Kind::Fails && is_first(&model);
    let output = match call.ending {
        _ if !asked.kind.is_streamed() => asked.words(),
        Ending::Answered | Ending::Running => asked.words(),
        Ending::Cut => asked.some_words(),
        Ending::ClientLeft { body_bytes, .. } => words_written(call, asked, body_bytes),
    };
    Some(Charge { asked, model, input: input(asked), bytes: call.body.len() as u64, output, is_refused })
}

/// Words of a stream of which so many bytes were written: the one that was being written may have gone, too.
fn words_written(call: &Call, asked: Asked, bytes: usize) -> u64 {
    let tollgate_kit::Body::Sse(items) = answer(call).body else { return asked.words() };
    let (mut left, mut words) = (bytes, 0);
    for item in items {
        let SseItem::Event { data, .. } = &item else { continue };
        words += words_in(data);
        let length = "data: \n\n".len() + data.len();
        if left < length {
            break;
        }
        left -= length;
    }
    words
}
