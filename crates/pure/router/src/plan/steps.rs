//! What a plan is told, and what it says.

use std::time::Duration;

use tollgate_wire::Failure;

use crate::look::Wants;

/// What happened.
#[derive(Debug)]
pub enum Event<'e> {
    /// The call begins.
    Begin,
    /// The last attempt failed.
    Failed(&'e Failure),
    /// The last attempt failed, and the group has no other try.
    Refused(&'e Failure),
    /// The deployment was taken by another call in the meantime.
    Taken,
    /// The time that was waited for has come, or something else that may help.
    Woken,
    /// Others wait already for what the call was to start at, and come first.
    Behind,
    /// As many calls wait as may.
    Crowded,
    /// In the words of [`crate::Plan::instead`] the call is like this.
    Reworded(&'e Wants),
}

/// What to do.
#[derive(Debug)]
pub enum Step {
    /// Try this deployment (an index into the fleet), after this long.
    Start {
        /// The deployment.
        deployment: usize,
        /// How long to wait before.
        after: Duration,
    },
    /// Nobody can take the call now; tell [`Event::Woken`] at this time, and whenever a deployment may have got room.
    Wait {
        /// The time; `None`: it depends on other calls alone.
        until: Option<Duration>,
    },
    /// A fallback has words of its own ([`crate::Plan::instead`]); tell [`Event::Reworded`] what the call is like in them, or
    /// [`Event::Refused`] why it cannot be sent.
    Reword,
    /// The call has failed.
    GiveUp(Box<Failure>),
}
