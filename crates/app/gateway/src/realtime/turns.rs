//! The turns of a realtime call, each an attempt that is opened and settled.

use std::{sync::Arc, time::Duration};

use tollgate_observe::Outcome;
use tollgate_providers::{
    gauge::Reading,
    realtime::{Event, event},
    translate::Progress,
};
use tollgate_router::Landing;
use tollgate_wire::FailureKind;

use crate::{
    aboard::Seat,
    deployment::{Place, Served},
    meter::Meter,
};

/// What of a realtime call is metered. `OpenAI` ends a session after an hour, so the turns of one call are bounded.
pub(super) struct Turns {
    meter: Meter,
    served: Arc<Served>,
    place: Arc<Place>,
    /// The same, at the price of what writes down what the client says.
    listener: Arc<Place>,
    progress: Progress,
    /// The socket's place at its deployment.
    seat: Seat,
    /// Tokens that the deployment's minute has been told of.
    told: u64,
}

impl Turns {
    pub(super) fn new(meter: Meter, served: Arc<Served>, place: Arc<Place>, seat: Seat) -> Self {
        Self { meter, served, listener: Arc::clone(&place), place, progress: Progress::default(), seat, told: 0 }
    }

    /// The provider has said this.
    pub(super) fn hear(&mut self, text: &str, now: Duration) {
        match event(text) {
            None => {}
            Some(Event::Begun) => self.begin(),
            Some(Event::Said(words)) => {
                self.begin();
                self.progress.output_bytes += words.len() as u64;
                self.meter.progress(self.progress, &words);
            }
            Some(Event::Listener(model)) => self.listener = self.meter.priced_for(&self.place, &model),
            Some(Event::Heard(usage, heard_millis)) => {
                let reading = Reading { usage, heard_millis, ..Reading::default() };
                self.meter.passed_beside(&self.served, &self.listener, &reading);
                self.tell(now);
            }
            Some(Event::Done(usage)) => {
                self.begin();
                match usage {
                    Some(usage) => self.meter.settle_stated(usage),
                    None => self.meter.settle_at_once(),
                };
                self.tell(now);
            }
        }
    }

    /// The budgets of the call are used up.
    pub(super) fn is_spent(&self) -> bool {
        self.meter.is_spent(&[self.served.group.as_str()])
    }

    /// What turns use counts in the minute in which they use it.
    fn tell(&mut self, now: Duration) {
        let used = self.meter.used();
        self.seat.uses(now, used.saturating_sub(self.told));
        self.told = used;
    }

    fn begin(&mut self) {
        if self.meter.is_open() {
            return;
        }
        self.progress = Progress::default();
        // What the model reads in a turn is the conversation at the provider's, which only the provider counts.
        self.meter.open_made(&self.served.id, &self.served.group, &self.place);
        self.meter.heard(true);
    }

    /// Bytes leave for the client.
    pub(super) fn first_byte(&mut self) {
        self.meter.first_byte();
    }

    /// The call is over; a turn that runs is settled by what was heard of it.
    pub(super) fn finish(mut self, outcome: Outcome, now: Duration) {
        self.meter.settle_at_once();
        self.tell(now);
        let is_lost = matches!(outcome, Outcome::Failed(FailureKind::Connection | FailureKind::InvalidResponse));
        self.seat.land(
            now,
            if is_lost { Landing::Badly { late: None, tokens: 0 } } else { Landing::Well { tokens: 0, latency: None } },
        );
        // The status of a socket that was opened.
        self.meter.finish(101, outcome);
    }
}
