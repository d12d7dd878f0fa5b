//! `OpenAI`'s Responses API. A conversation is a list of items: messages, calls, their results, thoughts. To providers, for
//! clients of another dialect, [`items`] writes them, [`response`] reads those of an answer, [`stream`] the events by which
//! they grow. For clients of it, [`front`] and its neighbours do the reverse; [`splice`] passes through what both sides
//! speak.

pub mod context;
pub mod front;
mod front_answer;
pub mod front_items;
mod front_stream;
mod front_tools;
pub mod items;
pub mod request;
pub mod response;
pub mod splice;
pub mod stream;

pub use front::RESPONSES_CLIENT;

use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Words},
    dialects::openai,
    params::CallParams,
    target::{Series, Target},
};

/// The dialect of `/responses`.
pub static RESPONSES: Responses = Responses;

/// Path below the base URL.
pub const PATH: &str = "/responses";

/// Parameters of chat completions that the Responses API has no counterpart for.
const LACKS: &[&str] =
    &["stop", "n", "seed", "presence_penalty", "frequency_penalty", "logit_bias", "modalities", "audio", "prediction"];

/// See [`RESPONSES`].
#[derive(Debug)]
pub struct Responses;

impl ProviderDialect for Responses {
    fn words(&self) -> Words {
        Words::OpenAiResponses
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let body = RawBody::from_map(&request::write(request, target));
        openai::finish_request(body, PATH, target, &CallParams::default()).map(|(outgoing, _)| outgoing)
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        response::read(&reply.body, target)
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(stream::EventReader::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}

/// The dialect, for targets whose model string asks for it (`openai/responses/<model>`).
#[must_use]
pub fn of_model(target: &Target) -> Option<&'static dyn ProviderDialect> {
    (target.series == Series::Responses).then_some(&RESPONSES)
}

/// Whether this parameter of chat completions can be said here.
#[must_use]
pub fn takes(name: &str) -> bool {
    !LACKS.contains(&name)
}
