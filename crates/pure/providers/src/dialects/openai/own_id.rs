//! Streams whose id is ours.

use tollgate_wire::{Failure, chat::ChatChunk, framing::Frame};

use crate::codec::ChatDecoder;

/// Reads a stream without its id, so that the writer makes one, as `LiteLLM` does for some providers.
pub(crate) struct OwnId(pub(crate) Box<dyn ChatDecoder>);

impl ChatDecoder for OwnId {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let before = out.len();
        let fed = self.0.feed(frame, out);
        for chunk in out.iter_mut().skip(before) {
            if let ChatChunk::Start { id, .. } = chunk {
                id.clear();
            }
        }
        fed
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        self.0.finish(out)
    }

    fn is_done(&self) -> bool {
        self.0.is_done()
    }
}
