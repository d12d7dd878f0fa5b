//! What a call is told when nobody of a group can take it.

use std::time::Duration;

use tollgate_wire::{Failure, FailureKind};

use crate::look::Why;

/// Everybody rests or is full.
pub(super) fn later(group: &str, after: Duration) -> Failure {
    let seconds = after.as_secs_f64().ceil().max(1.0);
    let words =
        format!("No deployments available for selected model, Try again in {seconds} seconds. Passed model={group}.");
    let mut failure = Failure::new(FailureKind::NoDeployment, words);
    failure.retry_after = Some(Duration::from_secs_f64(seconds));
    failure
}

/// Nobody can ever answer this call.
pub(super) fn nobody(group: &str, why: Option<Why>) -> Failure {
    match why {
        Some(Why::Window(most)) => Failure::new(
            FailureKind::ContextWindowExceeded,
            format!("the messages are longer than any deployment of '{group}' takes; this one takes {most} tokens"),
        ),
        Some(Why::Tags) => {
            let words = "Not allowed to access model due to tags configuration";
            let mut failure = Failure::new(FailureKind::RouteDenied, words);
            failure.status = Some(401);
            failure
        }
        Some(Why::Unservable(reason)) => Failure::new(FailureKind::Misconfigured, format!("model '{group}': {reason}")),
        Some(why @ (Why::Region | Why::Schema)) => {
            Failure::new(FailureKind::NoDeployment, format!("no deployment of '{group}' fits the call: one {why}"))
        }
        _ => Failure::new(FailureKind::NoDeployment, "No deployments available for selected model"),
    }
}
