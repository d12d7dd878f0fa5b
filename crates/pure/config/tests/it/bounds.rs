//! Whatever the text, the answer comes soon and without a panic.

use proptest::prelude::*;
use tollgate_config::{MAX_DEPTH, MAX_FILE_BYTES, parse};

use crate::world::findings_of;

fn refused(text: &str) -> String {
    parse("config.yaml", text).expect_err("refused").to_string()
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = format!("a: {}\n", "x".repeat(MAX_FILE_BYTES));
    assert!(refused(&text).starts_with("config.yaml: error: the file has "));
}

#[test]
fn a_file_that_is_nested_too_deeply_is_refused() {
    for text in [
        format!("a: {}{}\n", "[".repeat(MAX_DEPTH * 2), "]".repeat(MAX_DEPTH * 2)),
        format!("a: {}", "[".repeat(1_000_000)),
        (0..MAX_DEPTH * 2).map(|depth| format!("{}k:\n", " ".repeat(depth))).collect(),
        "- ".repeat(10_000),
    ] {
        assert!(refused(&text).contains("error: "), "{}", &text[..20]);
    }
    let deep = format!("a: {}{}\n", "[".repeat(MAX_DEPTH - 4), "]".repeat(MAX_DEPTH - 4));
    assert!(parse("config.yaml", &deep).is_ok());
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        text += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", "));
    }
    assert!(refused(&text).contains("with its aliases expanded"), "{}", refused(&text));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 1000].join(", "));
    assert!(refused(&long).contains("with its aliases expanded"));
    assert!(refused("a: &a [*a]\n").contains("inside the value that it names"));
}

proptest! {
    #[test]
    fn no_text_makes_the_crate_panic(text in "([a-z_]{1,6}: |- |[\\[\\]{},:#&*!|>'\"%@`\t ]|\n {0,6}|[0-9.~<]{1,3}|os.environ/X){0,40}") {
        findings_of(&text);
    }

    #[test]
    fn no_value_under_a_known_key_makes_the_crate_panic(value in "[-0-9a-z.\\[\\]{}:, \"]{0,12}", key in "rpm|timeout|weight|headers|tags|roles|mock_response|order|drop_params") {
        findings_of(&format!("model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/a\n      {key}: {value}\n"));
    }
}
