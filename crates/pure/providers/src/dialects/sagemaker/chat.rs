//! Endpoints that speak `OpenAI`'s chat.

use tollgate_wire::{
    Failure,
    chat::{ChatChunk, ChatRequest, ChatResponse},
    framing::{Frame, Framing},
    http::{Outgoing, Reply},
};

use super::{for_component, pieces::Pieces, url};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{aws, openai},
    target::Target,
};

/// The dialect.
pub static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub struct Chat;

impl ProviderDialect for Chat {
    fn words(&self) -> Words {
        // The words are OpenAI's, but the frames of a stream are not.
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut outgoing = openai::wrapped_request(request, target)?;
        outgoing.url = url(target, request.stream);
        Ok(for_component(outgoing, target))
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        openai::CHAT.response(reply, request, target)
    }

    fn framing(&self, _target: &Target) -> Framing {
        Framing::AwsEvents
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        let inner = openai::CHAT.decoder(request, target);
        Box::new(ChatReader { inner, pieces: Pieces::default(), target: target.clone() })
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

struct ChatReader {
    inner: Box<dyn ChatDecoder>,
    pieces: Pieces,
    target: Target,
}

impl ChatDecoder for ChatReader {
    fn feed(&mut self, frame: &Frame<'_>, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let inner = &mut self.inner;
        self.pieces.feed(frame, &self.target, |event| if inner.is_done() { Ok(()) } else { inner.feed(event, out) })
    }

    fn finish(&mut self, out: &mut Vec<ChatChunk>) -> Result<(), Failure> {
        let inner = &mut self.inner;
        self.pieces.finish(|event| inner.feed(event, out))?;
        self.inner.finish(out)
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }
}
