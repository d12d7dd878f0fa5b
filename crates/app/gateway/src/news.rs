//! What a plan is told of the world.

use tollgate_observe::Outcome;
use tollgate_router::{Event, Wants};
use tollgate_wire::{Failure, FailureKind};

use crate::{dispatch::Missed, meter::Meter};

/// Nobody is there to hear an answer.
pub(crate) fn left(mut meter: Meter) -> Missed {
    meter.finish(499, Outcome::ClientLeft);
    Box::new((Failure::new(FailureKind::RequestTimeout, "the client has left"), meter))
}

/// What the plan is told.
pub(crate) enum News {
    Begin,
    Woken,
    Taken,
    Behind,
    Crowded,
    Reworded(Wants),
    Failed(Failure),
    Refused(Failure),
}

impl News {
    pub(crate) fn event(&self) -> Event<'_> {
        match self {
            Self::Begin => Event::Begin,
            Self::Woken => Event::Woken,
            Self::Taken => Event::Taken,
            Self::Behind => Event::Behind,
            Self::Crowded => Event::Crowded,
            Self::Reworded(wants) => Event::Reworded(wants),
            Self::Failed(failure) => Event::Failed(failure),
            Self::Refused(failure) => Event::Refused(failure),
        }
    }
}
