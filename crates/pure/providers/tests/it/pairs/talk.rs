//! Conversations made up at random, in no dialect's words. Whatever is said bears a mark of its own, by which it is known
//! wherever it ends up.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// A conversation and what is asked beside it.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) system: Option<String>,
    pub(super) turns: Vec<Turn>,
    pub(super) tools: Vec<Offer>,
    pub(super) choice: Option<Choice>,
    pub(super) one_at_a_time: bool,
    pub(super) longest: u64,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) stop: Vec<String>,
    pub(super) user: Option<String>,
}

/// One person's turn, the model's after it, and what its tools answered.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) asked: Vec<Asked>,
    pub(super) thought: Option<(String, String)>,
    pub(super) words: Option<String>,
    pub(super) calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Words { text: String, cached: bool },
    Picture(String),
    File(String),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: String,
    /// Which of the tools.
    pub(super) tool: usize,
    /// As the model wrote them; nearly always an object.
    pub(super) arguments: String,
    pub(super) result: Outcome,
    pub(super) picture: Option<String>,
    pub(super) failed: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Words(String),
    Document(Value),
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) schema: Value,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Auto,
    None,
    Required,
    Named,
}

/// Gives out the marks. None is the beginning of another.
#[derive(Default)]
struct Marks(usize);

impl Marks {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("mk{}x", self.0)
    }

    fn on(&mut self, words: &str) -> String {
        format!("{}{words}", self.next())
    }

    /// Base64 that is a picture to nobody but us.
    fn bytes(&mut self) -> String {
        self.0 += 1;
        format!("iVBORw0KGgomk{:0>4}xAA", self.0)
    }
}

/// What follows a mark: letters of all kinds, and now and then what JSON, SSE or a template might trip over.
pub(super) fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z ,.é😀ß中]{0,16}",
        2 => "[\"\\\\\n\r\t{}<>&'%$\\[\\]:]{1,10}z",
        1 => ".{0,8}y",
        1 => Just(String::new()),
        1 => Just("\u{2028}\u{0}\u{7f}data: [DONE]\n\nz".to_owned()),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        select(vec![
            json!(0.5),
            json!(-1e30),
            json!(9_007_199_254_740_993_u64),
            json!(""),
            json!("{\"a\":"),
            json!("null")
        ]),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![vec(inner.clone(), 0..3).prop_map(Value::from), members(inner).prop_map(Value::Object),]
    })
}

/// Names include those that dialects use themselves.
fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let name = prop_oneof![
        2 => "[a-zé_ -]{1,8}",
        1 => select(vec!["type", "text", "id", "name", "input", "arguments", "cache_control", "role", "$ref", "parts", ""])
            .prop_map(str::to_owned),
    ];
    vec((name, value), 0..3).prop_map(Map::from_iter)
}

#[derive(Clone, Debug)]
struct RawCall {
    tool: usize,
    arguments: Option<Map<String, Value>>,
    bare: &'static str,
    outcome: u8,
    words: String,
    document: Map<String, Value>,
    picture: bool,
    failed: bool,
}

fn raw_call() -> impl Strategy<Value = RawCall> {
    let arguments = option::weighted(0.8, members(json_value()));
    let rest = (any::<u8>(), words(), members(json_value()), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (0..8_usize, arguments, select(vec!["", "{}", "null", " "]), rest).prop_map(
        |(tool, arguments, bare, (outcome, words, document, picture, failed))| RawCall {
            tool,
            arguments,
            bare,
            outcome,
            words,
            document,
            picture,
            failed,
        },
    )
}

#[derive(Clone, Debug)]
struct RawTurn {
    asked: Vec<(u8, String, bool)>,
    thought: Option<String>,
    words: Option<String>,
    calls: Vec<RawCall>,
}

fn raw_turn() -> impl Strategy<Value = RawTurn> {
    let asked = vec((0..6_u8, words(), prop::bool::weighted(0.2)), 1..4);
    (asked, option::weighted(0.3, words()), option::weighted(0.7, words()), vec(raw_call(), 0..4))
        .prop_map(|(asked, thought, words, calls)| RawTurn { asked, thought, words, calls })
}

fn offer() -> impl Strategy<Value = (String, Option<String>, Vec<String>, bool)> {
    // The longest that every provider takes.
    let name = prop_oneof![3 => "[a-zA-Z_][a-zA-Z0-9_-]{0,8}", 1 => "[a-zA-Z_][a-zA-Z0-9_-]{54}"];
    (name, option::weighted(0.8, words()), vec("[a-z_]{1,6}", 0..3), any::<bool>())
}

/// A conversation.
pub(super) fn talk() -> impl Strategy<Value = Talk> {
    let said = (option::weighted(0.6, words()), vec(raw_turn(), 0..4), raw_turn(), vec(offer(), 1..4));
    let choice = option::of(select(vec![Choice::Auto, Choice::None, Choice::Required, Choice::Named]));
    let number = || option::of((0..=16_u8).prop_map(|sixteenths| f64::from(sixteenths) / 16.0));
    let rest =
        (choice, prop::bool::weighted(0.2), 16..30_000_u64, number(), number(), vec(words(), 0..3), any::<bool>());
    (said, any::<bool>(), rest).prop_map(|((system, turns, last, offers), offers_tools, rest)| {
        let (choice, one_at_a_time, longest, temperature, top_p, stop, user) = rest;
        let mut marks = Marks::default();
        let tools = tools(offers, &mut marks);
        let calls = turns.iter().any(|turn| !turn.calls.is_empty());
        let mut talk = Talk {
            system: system.map(|words| marks.on(&words)),
            turns: turns.into_iter().map(|turn| told(turn, tools.len(), &mut marks)).collect(),
            one_at_a_time,
            choice,
            longest,
            temperature,
            top_p,
            stop: stop.iter().map(|words| marks.on(words)).collect(),
            user: user.then(|| marks.on("-user")),
            tools,
        };
        // The person has the last word.
        let asked = told(last, talk.tools.len(), &mut marks).asked;
        talk.turns.push(Turn { asked, thought: None, words: None, calls: Vec::new() });
        if !calls && !offers_tools {
            talk.tools.clear();
            talk.choice = None;
            talk.one_at_a_time = false;
        }
        talk
    })
}

fn tools(offers: Vec<(String, Option<String>, Vec<String>, bool)>, marks: &mut Marks) -> Vec<Offer> {
    let mut names = BTreeSet::new();
    let offers = offers.into_iter().filter(|(name, ..)| names.insert(name.clone()));
    let offer = |(name, description, properties, required): (String, Option<String>, Vec<String>, bool)| {
        let mut schema = json!({"type": "object", "properties": {}});
        let names: Vec<String> = properties.iter().map(|name| marks.on(name)).collect();
        for name in &names {
            schema["properties"][name] = json!({"type": "array", "description": name.len().to_string(), "items": {"type": "string", "enum": ["a", "b"]}});
        }
        if required && !names.is_empty() {
            schema["required"] = names.into();
        }
        let description = description.map(|words| marks.on(&words));
        Offer { name: format!("{name}_{}", marks.next()), description, schema }
    };
    offers.map(offer).collect()
}

fn told(turn: RawTurn, tools: usize, marks: &mut Marks) -> Turn {
    let mut asked: Vec<Asked> = turn
        .asked
        .into_iter()
        .map(|(kind, words, cached)| match kind {
            0 => Asked::Picture(marks.bytes()),
            1 => Asked::File(marks.bytes()),
            _ => Asked::Words { text: marks.on(&words), cached },
        })
        .collect();
    if !asked.iter().any(|asked| matches!(asked, Asked::Words { .. })) {
        asked.push(Asked::Words { text: marks.next(), cached: false });
    }
    let thought = turn.thought.map(|words| (marks.on(&words), format!("c2VhbA{}A", marks.next())));
    let words = turn.words.map(|words| marks.on(&words));
    let calls: Vec<Call> = turn.calls.into_iter().map(|call| called(call, tools, marks)).collect();
    // A turn in which the model neither speaks nor calls is no turn.
    let words = if calls.is_empty() { Some(words.unwrap_or_else(|| marks.next())) } else { words };
    Turn { asked, thought, words, calls }
}

fn called(call: RawCall, tools: usize, marks: &mut Marks) -> Call {
    let arguments = call.arguments.map(|mut members| {
        members.insert("said".to_owned(), marks.next().into());
        Value::Object(members).to_string()
    });
    let result = match call.outcome % 4 {
        0 => Outcome::Nothing,
        1 => {
            let mut document = call.document;
            document.insert("told".to_owned(), marks.next().into());
            // Google's libraries wrap a text as one member; with two it is a document.
            document.insert("and".to_owned(), true.into());
            Outcome::Document(document.into())
        }
        _ => Outcome::Words(marks.on(&call.words)),
    };
    Call {
        id: format!("call_{}", marks.next()),
        tool: call.tool % tools,
        arguments: arguments.unwrap_or_else(|| call.bare.to_owned()),
        picture: call.picture.then(|| marks.bytes()),
        result,
        failed: call.failed,
    }
}

impl Outcome {
    /// As one text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Words(words) => words.clone(),
            Self::Document(document) => document.to_string(),
            Self::Nothing => String::new(),
        }
    }
}

/// Arguments as the object that most dialects want.
pub(super) fn object(arguments: &str) -> Value {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(members)) => Value::Object(members),
        _ => json!({}),
    }
}
