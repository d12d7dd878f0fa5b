//! Mistral at Vertex AI: `OpenAI`'s words, with an address of its own for streams.

use tollgate_wire::{
    Failure,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::{gemini, openai},
    target::Target,
};

/// Mistral's models.
pub(super) static MISTRAL: Mistral = Mistral;

/// See [`MISTRAL`].
#[derive(Debug)]
pub(super) struct Mistral;

impl ProviderDialect for Mistral {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let mut outgoing = openai::CHAT.request(request, target)?;
        if request.stream {
            outgoing.url = super::url(target, "streamRawPredict");
        }
        Ok(outgoing)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        openai::CHAT.response(reply, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        openai::CHAT.decoder(request, target)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        gemini::failure(reply, target)
    }
}
