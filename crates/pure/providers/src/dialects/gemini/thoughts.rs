//! Gemini's thoughts as `LiteLLM`'s chat clients see them while they come: the words alone. Blocks are for thoughts that
//! can be returned, and what can be returned of Gemini's are seals.

use serde_json::Map;
use tollgate_wire::{
    Failure,
    chat::{ChatChunk, Delta},
};

use crate::{
    codec::{ChatEncoder, ClientDialect, Words},
    target::Target,
};

/// The client's encoder for a stream of this target.
pub(crate) fn encoder(
    client: &'static dyn ClientDialect,
    encoder: Box<dyn ChatEncoder>,
    target: &Target,
) -> Box<dyn ChatEncoder> {
    let is_gemini = target.chat_dialect().is_some_and(|dialect| dialect.words() == Words::GeminiContent);
    if is_gemini && client.words() == Words::OpenAiChat { Box::new(Plainly(encoder)) } else { encoder }
}

/// Tells thoughts without blocks.
struct Plainly(Box<dyn ChatEncoder>);

impl ChatEncoder for Plainly {
    fn encode(&mut self, chunk: &ChatChunk, out: &mut Vec<u8>) {
        let ChatChunk::Delta { choice, delta: Delta::Thinking(text) } = chunk else {
            return self.0.encode(chunk, out);
        };
        let words = Map::from_iter([("reasoning_content".to_owned(), text.as_str().into())]);
        self.0.encode(&ChatChunk::Delta { choice: *choice, delta: Delta::Extras(words) }, out);
    }

    fn close(&mut self, cost: Option<f64>, out: &mut Vec<u8>) {
        self.0.close(cost, out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.0.fail(failure, out);
    }
}
