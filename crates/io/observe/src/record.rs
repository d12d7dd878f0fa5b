//! The two facts that everything else reads: how an attempt ended, and how a call ended.

use std::{borrow::Cow, sync::Arc, time::Duration};

use tollgate_catalog::Money;
use tollgate_wire::{FailureKind, Usage};

/// How sure the count of an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The provider said what was used, or that nothing was.
    Stated,
    /// Counted by us over what was received.
    Counted,
    /// Nobody knows: the request may have been processed.
    Unknown,
}

impl Certainty {
    /// The word for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Counted => "counted",
            Self::Unknown => "unknown",
        }
    }
}

/// How an attempt or a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has its answer.
    Answered,
    /// The client left before the end.
    ClientLeft,
    /// Another attempt of the call, made beside it, was faster.
    Outrun,
    /// It failed.
    Failed(FailureKind),
}

/// One attempt at one deployment.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// Made by the gateway, UUIDv7: the only identity of an attempt.
    pub id: uuid::Uuid,
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// The provider's name.
    pub provider: &'static str,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// From sending to the end.
    pub took: Duration,
    /// What was used.
    pub usage: Usage,
    /// How sure that is.
    pub certainty: Certainty,
    /// What it cost; `None` when the model has no price.
    pub cost: Option<Money>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What came of a second attempt that was made beside a first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedge {
    /// The client has its answer.
    Won,
    /// It was not needed.
    Lost,
}

impl Hedge {
    /// The word for logs and headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// One call, from the client's request to its end.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The call's id, as the client sees it. A label, never a key.
    pub call_id: String,
    /// The route, `/chat/completions`.
    pub route: &'static str,
    /// The model that the client asked for.
    pub asked: String,
    /// Who asked.
    pub caller: Cow<'static, str>,
    /// The status that the client saw.
    pub status: u16,
    /// The answer was streamed.
    pub streamed: bool,
    /// From the last byte of the request to the last of the answer.
    pub took: Duration,
    /// From the last byte of the request to the first of the answer.
    pub first_byte: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// What came of the last second attempt, if there was one.
    pub hedge: Option<Hedge>,
    /// How often another attempt went on with an answer that broke off.
    pub continued: u32,
    /// Every attempt, in order; the one that answered last.
    pub attempts: Vec<AttemptRecord>,
}
