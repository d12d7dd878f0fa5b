//! The meters of a call that is asked at two deployments at once: each attempt has its own, what they settle comes together
//! in a tray, and the call's own meter, or the one that a stream goes on with, makes the one record.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tollgate_observe::{AttemptRecord, CallRecord, Hedge, Outcome};

use super::Meter;

/// Where the meters of attempts put what they have settled.
#[derive(Default)]
struct Tray {
    /// One has answered: whoever is dropped now was outrun.
    decided: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    attempts: Vec<(Turn, AttemptRecord)>,
    first_byte: Option<Duration>,
}

impl Tray {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of two attempts it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The one that routing chose.
    First,
    /// The one beside it.
    Second,
}

/// What a meter has to do with those of the same call.
pub(super) struct Side {
    tray: Arc<Tray>,
    /// The attempt that it is of; none: it is the call's own.
    turn: Option<Turn>,
    /// How long providers were waited for before it began.
    pub(super) before: Duration,
}

impl Side {
    /// How an attempt ends that is dropped now.
    pub(super) fn cut_off(&self) -> Outcome {
        if self.tray.decided.load(Ordering::Relaxed) { Outcome::Outrun } else { Outcome::ClientLeft }
    }
}

impl Meter {
    /// The call is asked at two deployments at once: its attempts get meters of their own ([`Self::beside`]).
    pub(crate) fn splits(&mut self) {
        self.side = Some(Box::new(Side { tray: Arc::default(), turn: None, before: Duration::ZERO }));
    }

    /// A meter for one of two attempts, of which the second begins after so long.
    pub(crate) fn beside(&self, turn: Turn, waited: Duration) -> Self {
        let record = CallRecord { attempts: Vec::new(), ..self.record.clone() };
        let tray = self.side.as_ref().map(|side| Arc::clone(&side.tray)).unwrap_or_default();
        let side = Side { tray, turn: Some(turn), before: self.upstream().saturating_add(waited) };
        Self {
            gateway: Arc::clone(&self.gateway),
            client: self.client,
            started: self.started,
            speaks: self.speaks,
            record,
            open: None,
            aboard: None,
            permit: None,
            side: Some(Box::new(side)),
            finished: false,
            tags: self.tags.clone(),
            caller: self.caller.clone(),
            whom: self.whom.clone(),
            others: self.others.clone(),
            stake: None,
            lowered: None,
            breakdown: None,
        }
    }

    /// One has answered.
    pub(crate) fn decide(&self) {
        if let Some(side) = &self.side {
            side.tray.decided.store(true, Ordering::Relaxed);
        }
    }

    /// Takes over what the attempts have settled, the one that is the call's at the end.
    pub(crate) fn gather(&mut self, last: Turn) {
        let Some(side) = self.side.take_if(|side| side.turn.is_none()) else { return };
        let mut kept = side.tray.kept();
        let mut attempts = std::mem::take(&mut kept.attempts);
        attempts.sort_by_key(|(turn, _)| *turn == last);
        self.record.attempts.extend(attempts.into_iter().map(|(_, attempt)| attempt));
        self.record.first_byte = self.record.first_byte.or(kept.first_byte);
    }

    /// A second attempt was made, and came in first or not.
    pub(crate) fn hedged(&mut self, end: Hedge) {
        self.record.hedge = Some(end);
    }

    /// What the last attempt that is over has used.
    pub(crate) fn last_used(&self) -> tollgate_wire::Usage {
        self.record.attempts.last().map(|attempt| attempt.usage).unwrap_or_default()
    }

    /// The answer goes on with another attempt.
    pub(crate) fn goes_on(&mut self) {
        self.record.continued += 1;
    }

    /// The stream that this attempt has begun is the call's answer: from here on it is the call's own meter.
    pub(crate) fn becomes(&mut self, mut call: Self) {
        self.side = None;
        // The place under the limits is the call's, and the stream's from here on.
        self.permit = call.permit.take();
        let own = std::mem::take(&mut self.record.attempts);
        let first_byte = self.record.first_byte;
        call.finished = true;
        std::mem::swap(&mut self.record, &mut call.record);
        self.record.attempts.extend(own);
        self.record.first_byte = self.record.first_byte.or(first_byte);
    }

    /// At its end the meter of an attempt puts what it has settled into the tray, and the call's own takes it out: only the
    /// latter writes a record.
    pub(super) fn is_beside(&mut self) -> bool {
        let Some(turn) = self.side.as_ref().and_then(|side| side.turn) else {
            self.gather(Turn::First);
            return false;
        };
        let Some(side) = self.side.take() else { return false };
        let mut kept = side.tray.kept();
        kept.attempts.extend(self.record.attempts.drain(..).map(|attempt| (turn, attempt)));
        kept.first_byte = kept.first_byte.or(self.record.first_byte);
        true
    }
}
