//! What is written down about money: five kinds of records, each of which can be understood by itself.

mod codec;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{sync::Arc, time::Duration};

use tollgate_wire::Usage;
use uuid::Uuid;

use crate::{Nanos, Slot};

pub use codec::{Cut, Decoded, RECORD_MOST, ReadError, SETTLEMENT_ROOM, TooLong, VERSION};
pub use read::decode;
pub use write::encode;

/// One fact about money.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An attempt goes out: written before its request.
    Open(Box<Open>),
    /// How far an attempt is: at each topping up, and each few seconds.
    Progress(Progress),
    /// An attempt has ended: written before the last byte of its answer.
    Settled(Box<Settled>),
    /// A call without an attempt: a hit of the cache, a refusal of a known key.
    Noted(Box<Noted>),
    /// A change by hand or by a rule: nothing that was written is edited.
    Corrected(Box<Corrected>),
}

/// What a row of spend says about a call, known when it begins. Texts that are too long are cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Whose spend it is, in the windows that were open then: frozen here, whatever happens to key and team since.
    pub slots: Arc<[Slot]>,
    /// The call's id, as the client sees it. A label.
    pub call: Arc<str>,
    /// Which operation, such as `acompletion`.
    pub call_type: Arc<str>,
    /// The key's hash.
    pub key: Arc<str>,
    /// The key's alias.
    pub key_alias: Arc<str>,
    /// The key's owner.
    pub user: Arc<str>,
    /// The key's team.
    pub team: Arc<str>,
    /// The key's organization.
    pub organization: Arc<str>,
    /// The key's project.
    pub project: Arc<str>,
    /// For whom the client asks.
    pub customer: Arc<str>,
    /// The request's tags.
    pub tags: Vec<Arc<str>>,
    /// What the client asked for.
    pub asked: Arc<str>,
    /// The group that the name leads to.
    pub group: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// The provider.
    pub provider: Arc<str>,
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// The provider's address.
    pub api_base: Arc<str>,
    /// The answer is streamed.
    pub is_streamed: bool,
    /// The client's address.
    pub requester: Arc<str>,
    /// The client's session.
    pub session: Arc<str>,
    /// Which attempt of its call it is, from 0.
    pub ordinal: u32,
    /// When the call's request was there, since 1970.
    pub started: Duration,
    /// What the client or the key adds, as a JSON object. Left out if it is too long.
    pub metadata: Arc<str>,
}

/// An attempt goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// UUIDv7, made by the gateway: the only identity of an attempt.
    pub attempt: Uuid,
    /// What is known.
    pub facts: Facts,
    /// What is held for it in each slot.
    pub held: Nanos,
    /// The part of it that the request alone will cost.
    pub input: Nanos,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which.
    pub attempt: Uuid,
    /// What is held for it in each slot from now on.
    pub held: Nanos,
    /// What it has cost so far, its request included.
    pub so_far: Nanos,
    /// What it has used so far.
    pub usage: Usage,
    /// When, since 1970.
    pub at: Duration,
}

/// How sure a settlement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The provider said what was used or what it costs, or that nothing was.
    Stated,
    /// Counted by us over what the provider sent.
    Counted,
    /// Nobody knows. The cost is what is held until somebody states it.
    Unknown,
}

/// How an attempt or a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has its answer.
    Answered,
    /// The client left before the end.
    ClientLeft,
    /// It failed, in one word.
    Failed(Arc<str>),
    /// The process died, and the attempt was found open.
    Died,
}

/// An attempt has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// Which.
    pub attempt: Uuid,
    /// What was known when it began.
    pub facts: Facts,
    /// What it cost; `None` where there is no price. Of an unknown one what is held for it.
    pub cost: Option<Nanos>,
    /// What it costs if nobody ever states it: the request and the last progress. Counts for unknown ones only.
    pub at_least: Nanos,
    /// How sure that is.
    pub certainty: Certainty,
    /// What was used.
    pub usage: Usage,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that the client saw or will see.
    pub status: u16,
    /// The first byte of its answer, after the call's beginning.
    pub first_byte: Option<Duration>,
    /// Its end, after the call's beginning.
    pub took: Duration,
    /// The provider's id of its answer. A label.
    pub answer: Arc<str>,
}

/// A call without an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    /// UUIDv7, made by the gateway.
    pub id: Uuid,
    /// What is known.
    pub facts: Facts,
    /// It was answered from the cache.
    pub is_cache_hit: bool,
    /// What that saved.
    pub saved: Option<Nanos>,
    /// What the answer used when it was made.
    pub usage: Usage,
    /// How it ended.
    pub outcome: Outcome,
    /// The status that the client saw.
    pub status: u16,
    /// Its end, after its beginning.
    pub took: Duration,
}

/// A change by hand or by a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// UUIDv7, made by the gateway.
    pub id: Uuid,
    /// The attempt that it is about, if it is about one.
    pub attempt: Option<Uuid>,
    /// Where.
    pub slots: Arc<[Slot]>,
    /// What is added to what is spent; negative for a refund or a reset.
    pub change: Nanos,
    /// The attempt was unknown and is not any more: what was held for it is free.
    pub states_unknown: bool,
    /// Who did it: a user, or `rule: …`.
    pub author: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When, since 1970.
    pub at: Duration,
}

impl Record {
    /// What makes it one of its kind: a second record of the same identity says nothing new.
    #[must_use]
    pub fn identity(&self) -> Uuid {
        match self {
            Self::Open(open) => open.attempt,
            Self::Progress(progress) => progress.attempt,
            Self::Settled(settled) => settled.attempt,
            Self::Noted(noted) => noted.id,
            Self::Corrected(corrected) => corrected.id,
        }
    }
}
