//! Operations other than chat, in the hub's words: the client's body is read once, a [`Codec`] says it to the provider, the
//! answer is written in the client's shape. One shape for all of them, so that the gateway knows one kind of errand.

use std::fmt::Debug;

use bytes::Bytes;
use tollgate_wire::{
    Failure,
    http::{Outgoing, Reply},
};

use crate::{
    codec::{AnswerContext, Codec},
    target::Target,
    translate::Answered,
};

/// One operation on its way.
pub trait Errand: Debug + Send + Sync {
    /// The requests, at least one.
    ///
    /// # Errors
    /// When the request cannot be said in the provider's words.
    fn requests(&self, target: &Target) -> Result<Vec<Outgoing>, Failure>;

    /// The provider's answers (status below 400), for the client.
    ///
    /// # Errors
    /// When one is no answer.
    fn answer(&self, replies: &[Reply], target: &Target, context: &AnswerContext) -> Result<Answered, Failure>;

    /// The provider's refusal (status 400 and above).
    fn failure(&self, reply: &Reply, target: &Target) -> Failure;
}

/// An operation, its codec, and how its answer is written.
pub struct Said<Ask: 'static, Told: 'static> {
    /// What is asked.
    pub ask: Ask,
    /// How it is said.
    pub codec: &'static dyn Codec<Ask, Told>,
    /// How it is told.
    pub write: fn(&Told, &Ask, &AnswerContext) -> Answered,
}

impl<Ask, Told> Debug for Said<Ask, Told> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Said({:?})", self.codec)
    }
}

impl<Ask: Send + Sync, Told> Errand for Said<Ask, Told> {
    fn requests(&self, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        self.codec.requests(&self.ask, target)
    }

    fn answer(&self, replies: &[Reply], target: &Target, context: &AnswerContext) -> Result<Answered, Failure> {
        let told = self.codec.response(replies, &self.ask, target)?;
        Ok((self.write)(&told, &self.ask, context))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        self.codec.failure(reply, target)
    }
}

/// An answer of these bytes.
#[must_use]
pub(crate) fn answered(body: &serde_json::Value, usage: Option<tollgate_wire::Usage>) -> Answered {
    Answered { body: Bytes::from(body.to_string()), usage }
}

/// The members of an object that was just written down.
pub(crate) fn members(object: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    match object {
        serde_json::Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}
