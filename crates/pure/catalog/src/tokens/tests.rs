use serde_json::json;
use tollgate_wire::chat::{Extras, Media, Message, Part, Role, Tool, ToolCall, ToolChoice};

use super::*;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::new() }
}

fn picture(detail: Option<&str>) -> Part {
    let extras = detail.map(|detail| ("detail".to_owned(), detail.into())).into_iter().collect();
    Part::Image { source: Media::Url("https://a.test/x.png".to_owned()), extras }
}

/// Four conversations: a greeting; a named speaker of German; pictures; a tool called.
fn conversations() -> [ChatRequest; 4] {
    let of = |messages| ChatRequest { messages, ..ChatRequest::default() };
    let words = "Wie heißt die Hauptstadt von Österreich? 漢字 🙂";
    let mut named = message(Role::User, vec![Part::text(words)]);
    named.name = Some("Ada".to_owned());
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "get_weather".to_owned(),
        arguments: r#"{"city": "Wien"}"#.to_owned(),
        extras: Extras::new(),
    };
    let result = Part::ToolResult {
        call_id: "call_1".to_owned(),
        parts: vec![Part::text("12 degrees")],
        is_error: false,
        extras: Extras::new(),
    };
    [
        of(vec![message(Role::User, vec![Part::text("Hello, how are you?")])]),
        of(vec![message(Role::System, vec![Part::text("You are terse.")]), named]),
        of(vec![message(Role::User, vec![Part::text("What is this?"), picture(None), picture(Some("low"))])]),
        of(vec![
            message(Role::User, vec![Part::text("weather?")]),
            message(Role::Assistant, vec![Part::ToolCall(call)]),
            message(Role::Tool, vec![result]),
        ]),
    ]
}

fn tools() -> Vec<Tool> {
    let function = |name: &str, description: Option<&str>, parameters| Tool::Function {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        parameters,
        strict: None,
        extras: Extras::new(),
    };
    let place = json!({"type": "object", "required": ["x"], "properties": {
        "x": {"type": "number"}, "y": {"type": ["number", "null"], "description": "up"},
    }});
    let parameters = json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Its name"},
        "unit": {"type": "string", "enum": ["c", "f"]},
        "days": {"type": "integer"},
        "places": {"type": "array", "items": place},
    }});
    vec![function("get_weather", Some("The weather of a city"), Some(parameters)), function("now", None, None)]
}

/// The expected numbers are what `LiteLLM`'s `token_counter` (1.80, tiktoken 0.14) says of the same conversations.
#[test]
fn conversations_are_counted_as_litellm_counts_them() {
    for (model, expected, with_tools) in [
        ("gpt-4", [13, 32, 181, 29], [94, 109]),
        ("gpt-4o", [13, 28, 181, 29], [92, 103]),
        ("gpt-5", [13, 28, 181, 29], [92, 103]),
        ("claude-3-5-sonnet-latest", [13, 32, 181, 29], [94, 109]),
    ] {
        assert_eq!(conversations().map(|request| count_chat(&request, model)), expected, "{model}");
        let [mut greeting, mut named, ..] = conversations();
        for request in [&mut greeting, &mut named] {
            request.tools = tools();
        }
        assert_eq!([count_chat(&greeting, model), count_chat(&named, model)], with_tools, "{model}");
    }
    let [mut greeting, ..] = conversations();
    greeting.tool_choice = Some(ToolChoice::None);
    assert_eq!(count_chat(&greeting, "gpt-4"), 14);
    greeting.tools = tools();
    greeting.tool_choice = Some(ToolChoice::Named("get_weather".to_owned()));
    assert_eq!(count_chat(&greeting, "gpt-4"), 103);
}

#[test]
fn special_words_are_text_like_any_other() {
    let text = "The quick brown fox — jumps; don't 12345 <|endoftext|>\n\n  x = [1,2]";
    assert_eq!(count_text(text, "gpt-4"), 26);
    assert_eq!(count_text(text, "gpt-4o"), 26);
    assert_eq!(count_text("", "gpt-4"), 0);
}

#[test]
fn each_model_has_its_vocabulary() {
    for new in [
        "gpt-4o",
        "azure/gpt-4o-mini",
        "openrouter/openai/gpt-5",
        "gpt-4.1-nano",
        "o3",
        "o4-mini",
        "chatgpt-4o-latest",
        "ft:gpt-4o:x",
        "gpt-oss-20b",
    ] {
        assert_eq!(Encoding::of(new), Encoding::O200k, "{new}");
    }
    for old in [
        "gpt-4",
        "gpt-4-turbo",
        "gpt-3.5-turbo",
        "azure/gpt-35-turbo",
        "text-embedding-3-small",
        "claude-sonnet-4-5",
        "ollama/llama3",
        "openchat",
        "",
    ] {
        assert_eq!(Encoding::of(old), Encoding::Cl100k, "{old}");
    }
}

#[test]
fn a_text_has_as_many_tokens_in_pieces_as_whole() {
    let tokenizer = Tokenizer::get(Encoding::Cl100k);
    let sentence = "It was a bright cold day in April, and the clocks were striking 13. ";
    let one = tokenizer.text(sentence);
    // The space at the end joins the next sentence's first word.
    let (many, copies) = (tokenizer.text(&sentence.repeat(1000)), 1000);
    assert!(sentence.len() * copies > 4 * WINDOW);
    assert_eq!(many, (one - 1) * 1000 + 1);
}

#[test]
fn no_text_makes_counting_fail_or_take_long() {
    let tokenizer = Tokenizer::get(Encoding::Cl100k);
    for text in [" ", "a", "\n \t", "漢", "🙂", "^0", "\u{0}"] {
        let long = text.repeat((1 << 17) / text.len());
        let tokens = tokenizer.text(&long);
        // Guessing would say exactly this.
        assert!(tokens > 0 && tokens != guess(long.len()), "{text:?}: {tokens}");
    }
}

#[test]
fn beyond_the_bound_a_text_is_like_its_beginning() {
    assert_eq!(scaled(10, 100, 250), 25);
    assert_eq!(scaled(1, 3, 4), 2);
    assert_eq!(scaled(7, 0, 9), 7);
    let tokenizer = Tokenizer::get(Encoding::Cl100k);
    let text = "word ".repeat(10_000);
    assert_eq!(tokenizer.text_by(&text, 5_000), 10_010);
    assert_eq!(tokenizer.text_by("漢字", 1), 0);
}

#[test]
fn the_words_of_a_raw_body_are_counted_whatever_its_dialect() {
    let tokenizer = Tokenizer::get(Encoding::Cl100k);
    let openai = json!({"model": "gpt-4", "temperature": 0.5, "user": "somebody", "messages": [
        {"role": "user", "content": "Hello, how are you?"},
    ]});
    assert_eq!(tokenizer.request(&openai), 13);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "Hello, how are you?"}]}]});
    assert_eq!(tokenizer.request(&gemini), 10);
    let answer = json!({"id": "x", "object": "chat.completion", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello, how are you?"}},
    ]});
    assert_eq!(tokenizer.answer(&answer), 6);
    assert_eq!(tokenizer.answer(&json!(["Hello, how are you?"])), 6);
}

#[test]
fn bytes_in_a_body_are_not_counted_as_words() {
    let tokenizer = Tokenizer::get(Encoding::Cl100k);
    let data = "iVBORw0KGgoAAAANSUhEUgAAAgAAAAIACAYAAAD0eNT6".to_owned() + &"A0".repeat(50_000);
    let anthropic = json!({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
    ]}]});
    // 512 × 512: one tile.
    assert_eq!(tokenizer.request(&anthropic), 3 + 1 + 255 + 3);
    let url = format!("data:image/png;base64,{data}");
    let openai = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    assert_eq!(tokenizer.request(&openai), 3 + 1 + 85 + 3);
    let pdf = json!({"messages": [{"file_data": format!("data:application/pdf;base64,{}", "JVBERi0".repeat(999))}]});
    assert_eq!(tokenizer.request(&pdf), 2000 + 3);
}
