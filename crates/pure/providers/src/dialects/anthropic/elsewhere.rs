//! Anthropic's words at another provider's address: nothing differs but where a request goes and what it carries there.

use tollgate_wire::{
    Failure, RawBody,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use super::{CloudSplice, MESSAGES};
use crate::{
    codec::{ChatDecoder, ProviderDialect, Splice, Wanted, Words},
    target::Target,
};

/// The dialect of such an address.
#[derive(Debug)]
pub struct Elsewhere {
    /// How requests get there and refusals are read, for Anthropic's clients and for the others.
    pub lane: &'static CloudSplice,
}

impl ProviderDialect for Elsewhere {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn passes(&self, client: Words, _body: &RawBody, _target: &Target) -> Option<&'static dyn Splice> {
        (client == Words::AnthropicMessages).then_some(self.lane as &dyn Splice)
    }

    fn wants(&self, request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        MESSAGES.wants(request, target)
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        (self.lane.sent)(MESSAGES.request(request, target)?, target)
    }

    fn response(&self, reply: &Reply, request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        MESSAGES.response(reply, request, target)
    }

    fn decoder(&self, request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        MESSAGES.decoder(request, target)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        (self.lane.failure)(reply, target)
    }
}
