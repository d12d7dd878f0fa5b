//! Spoiled bodies whose tokens are counted: whatever stands in them, there is a number, and soon.

use serde_json::Value;
use tollgate_catalog::tokens::{Encoding, Tokenizer, skim};
use tollgate_kit::fuzz::{self, spoil_json};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
const KEPT: usize = 512;

fn seeds() -> Vec<Vec<u8>> {
    let base64 = "TUFSS01BUks".repeat(60);
    let spaces = " \t\n".repeat(400);
    let bodies = [
        serde_json::json!({"model": "m", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content":
            [{"type": "text", "text": "Grüße 😀 don't 1234567"}, {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{base64}")}}]}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], "max_tokens": 5}),
        serde_json::json!({"contents": [{"role": "user", "parts": [{"text": spaces}]}], "systemInstruction": {"parts": [{"text": "x"}]}}),
        serde_json::json!({"input": ["a\u{0}b", {"type": "function_call_output", "output": "ÿ".repeat(300)}], "instructions": "aaaa".repeat(300)}),
        serde_json::json!({"choices": [{"message": {"content": "said", "tool_calls": [{"function": {"arguments": "{}"}}]}}], "usage": {}}),
    ];
    bodies.map(|body| body.to_string().into_bytes()).to_vec()
}

#[test]
fn no_spoiled_body_breaks_who_counts_its_tokens() {
    let tokenizer = Tokenizer::get(Encoding::of("gpt-4o"));
    fuzz::run(CORPUS, "tokens", &seeds(), spoil_json, |input| {
        let skimmed = skim(input, KEPT);
        assert!(skimmed.sample.len() <= KEPT && skimmed.sample.len() as u64 <= skimmed.bytes);
        let _ = tokenizer.skimmed(&skimmed);
        let text = String::from_utf8_lossy(input);
        let _ = (tokenizer.text(&text), tokenizer.text_by(&text, 64));
        if let Ok(body) = serde_json::from_slice::<Value>(input) {
            let _ = (tokenizer.request(&body), tokenizer.answer(&body));
        }
    });
}
