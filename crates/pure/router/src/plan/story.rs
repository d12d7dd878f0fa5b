//! How a plan ends that came to nothing: what the client is told.

use std::time::Duration;

use tollgate_wire::{Failure, FailureKind};

use super::{Frame, Plan};
use crate::{fallbacks::shown, look::Why};

impl Plan<'_> {
    /// A failure with what was tried after it, in the words of the seeds (SEED-146).
    pub(super) fn story(&self, frame: Frame<'_>) -> Failure {
        let Some(over) = frame.over else { return Failure::bug("a group that is not over") };
        let mut failure = over.failure;
        // A refusal of our own tells its story itself, but for what was tried instead.
        if failure.kind.class().is_empty() {
            add(&mut failure, over.unsaid.iter().chain(&over.told));
            return failure;
        }
        let (group, rules) = (frame.group.label(), self.rules());
        // Without fallbacks there is no story: the provider's words are the message.
        if rules.is_empty() || self.asked.no_fallbacks {
            return failure;
        }
        let mut told = over.told;
        if over.to.is_none() {
            failure.message.push_str(&format!(
                "No fallback model group found for original model_group={group}. Fallbacks={}",
                rules.list(failure.kind).shown()
            ));
            told = Some(failure.client_message());
        }
        let names = over.to.as_deref().map_or_else(|| "None".to_owned(), shown);
        failure.message.push_str(&format!("\nReceived Model Group={group}\nAvailable Model Group Fallbacks={names}"));
        add(&mut failure, over.unsaid.iter().chain(&told));
        failure
    }
}

/// What came of the fallbacks.
fn add<'t>(failure: &mut Failure, told: impl Iterator<Item = &'t String>) {
    for told in told {
        failure.message.push_str(&format!("\nError doing the fallback: {told}"));
    }
}

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
