//! Writing records.

use std::time::Duration;

use tollgate_wire::Usage;

use super::{
    Certainty, Corrected, Facts, Noted, Outcome, Record, Settled,
    codec::{
        CORRECTED, Cut, NOTED, OPEN, PROGRESS, RECORD_MOST, SETTLED, SETTLEMENT_ROOM, TEXT_MOST, TooLong, VERSION, tag,
    },
};
use crate::{Slot, windows::Period};

/// Appends the record to `into`, at most [`RECORD_MOST`] bytes; an opening leaves [`SETTLEMENT_ROOM`] of them free, so that
/// its settlement, which has the same slots, always fits.
///
/// # Errors
/// The slots alone are too long.
pub fn encode(record: &Record, into: &mut Vec<u8>) -> Result<Cut, TooLong> {
    let start = into.len();
    let most = match record {
        Record::Open(_) => RECORD_MOST - SETTLEMENT_ROOM,
        _ => RECORD_MOST,
    };
    let mut writer = Writer { bytes: into, end: start + most, is_cut: false };
    // The mark of a cut record is written last, and there is always room for it.
    writer.end -= 3;
    let done = writer.record(record);
    let is_cut = writer.is_cut;
    if done.is_err() {
        into.truncate(start);
        return Err(TooLong);
    }
    if is_cut {
        into.extend_from_slice(&[tag::CUT, 1, 1]);
    }
    Ok(Cut(is_cut))
}

struct Writer<'bytes> {
    bytes: &'bytes mut Vec<u8>,
    end: usize,
    is_cut: bool,
}

impl Writer<'_> {
    fn record(&mut self, record: &Record) -> Result<(), TooLong> {
        let kind = match record {
            Record::Open(_) => OPEN,
            Record::Progress(_) => PROGRESS,
            Record::Settled(_) => SETTLED,
            Record::Noted(_) => NOTED,
            Record::Corrected(_) => CORRECTED,
        };
        self.bytes.extend_from_slice(&[VERSION, kind]);
        self.must(tag::IDENTITY, record.identity().as_bytes())?;
        match record {
            Record::Open(open) => {
                self.signed(tag::HELD, open.held.get())?;
                self.signed(tag::INPUT, open.input.get())?;
                self.facts(&open.facts)
            }
            Record::Progress(progress) => {
                self.signed(tag::HELD, progress.held.get())?;
                self.signed(tag::SO_FAR, progress.so_far.get())?;
                self.usage(&progress.usage)?;
                self.time(tag::AT, progress.at)
            }
            Record::Settled(settled) => self.settled(settled),
            Record::Noted(noted) => self.noted(noted),
            Record::Corrected(corrected) => self.corrected(corrected),
        }
    }

    fn settled(&mut self, settled: &Settled) -> Result<(), TooLong> {
        if let Some(cost) = settled.cost {
            self.signed(tag::COST, cost.get())?;
        }
        self.signed(tag::AT_LEAST, settled.at_least.get())?;
        let certainty = match settled.certainty {
            Certainty::Stated => 0,
            Certainty::Counted => 1,
            Certainty::Unknown => 2,
        };
        self.unsigned(tag::CERTAINTY, certainty)?;
        self.usage(&settled.usage)?;
        self.unsigned(tag::STATUS, settled.status.into())?;
        if let Some(first_byte) = settled.first_byte {
            self.time(tag::FIRST_BYTE, first_byte)?;
        }
        self.time(tag::TOOK, settled.took)?;
        self.outcome(&settled.outcome)?;
        self.slots(&settled.facts.slots)?;
        self.text(tag::ANSWER, &settled.answer);
        self.rest(&settled.facts)
    }

    fn noted(&mut self, noted: &Noted) -> Result<(), TooLong> {
        self.unsigned(tag::CACHE_HIT, noted.is_cache_hit.into())?;
        if let Some(saved) = noted.saved {
            self.signed(tag::SAVED, saved.get())?;
        }
        self.usage(&noted.usage)?;
        self.unsigned(tag::STATUS, noted.status.into())?;
        self.time(tag::TOOK, noted.took)?;
        self.outcome(&noted.outcome)?;
        self.facts(&noted.facts)
    }

    fn corrected(&mut self, corrected: &Corrected) -> Result<(), TooLong> {
        if let Some(attempt) = corrected.attempt {
            self.must(tag::ATTEMPT, attempt.as_bytes())?;
        }
        self.signed(tag::CHANGE, corrected.change.get())?;
        self.unsigned(tag::STATES_UNKNOWN, corrected.states_unknown.into())?;
        self.time(tag::AT, corrected.at)?;
        self.slots(&corrected.slots)?;
        self.text(tag::AUTHOR, &corrected.author);
        self.text(tag::REASON, &corrected.reason);
        Ok(())
    }

    fn facts(&mut self, facts: &Facts) -> Result<(), TooLong> {
        self.slots(&facts.slots)?;
        self.rest(facts)
    }

    /// What a row shows beside whom it is booked to, the important first: what does not fit is left out.
    fn rest(&mut self, facts: &Facts) -> Result<(), TooLong> {
        self.unsigned(tag::STREAMED, facts.is_streamed.into())?;
        self.unsigned(tag::ORDINAL, facts.ordinal.into())?;
        self.time(tag::STARTED, facts.started)?;
        for (tag, text) in [
            (tag::CALL, &facts.call),
            (tag::CALL_TYPE, &facts.call_type),
            (tag::KEY, &facts.key),
            (tag::USER, &facts.user),
            (tag::TEAM, &facts.team),
            (tag::ORGANIZATION, &facts.organization),
            (tag::PROJECT, &facts.project),
            (tag::CUSTOMER, &facts.customer),
            (tag::ASKED, &facts.asked),
            (tag::GROUP, &facts.group),
            (tag::MODEL, &facts.model),
            (tag::PROVIDER, &facts.provider),
            (tag::DEPLOYMENT, &facts.deployment),
            (tag::KEY_ALIAS, &facts.key_alias),
            (tag::API_BASE, &facts.api_base),
            (tag::REQUESTER, &facts.requester),
            (tag::SESSION, &facts.session),
        ] {
            self.text(tag, text);
        }
        for text in &facts.tags {
            self.text(tag::TAG, text);
        }
        // Half a document is none.
        if !facts.metadata.is_empty() && !self.field(tag::METADATA, facts.metadata.as_bytes()) {
            self.is_cut = true;
        }
        Ok(())
    }

    fn slots(&mut self, slots: &[Slot]) -> Result<(), TooLong> {
        slots.iter().try_for_each(|slot| {
            self.value(tag::SLOT, |into| {
                put_signed(into, slot.since);
                put_period(into, slot.period);
                slot.scope.write(&mut |piece| into.extend_from_slice(piece.as_bytes()));
            })
        })
    }

    fn usage(&mut self, usage: &Usage) -> Result<(), TooLong> {
        self.value(tag::USAGE, |into| {
            for count in counts(usage) {
                put_unsigned(into, count);
            }
            // Later counts come behind it: it is the one that may be missing.
            into.push(usage.stated_cost_nanos.is_some().into());
            if let Some(nanos) = usage.stated_cost_nanos {
                put_signed(into, nanos);
            }
        })
    }

    fn outcome(&mut self, outcome: &Outcome) -> Result<(), TooLong> {
        let word: &[u8] = match outcome {
            Outcome::Answered => b"+",
            Outcome::ClientLeft => b"-",
            Outcome::Died => b"!",
            Outcome::Failed(kind) => {
                let kind = beginning(kind, 64);
                return self.must(tag::OUTCOME, kind.as_bytes());
            }
        };
        self.must(tag::OUTCOME, word)
    }

    fn time(&mut self, tag: u8, time: Duration) -> Result<(), TooLong> {
        self.unsigned(tag, u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    fn unsigned(&mut self, tag: u8, number: u64) -> Result<(), TooLong> {
        self.value(tag, |into| put_unsigned(into, number))
    }

    fn signed(&mut self, tag: u8, number: i64) -> Result<(), TooLong> {
        self.value(tag, |into| put_signed(into, number))
    }

    /// A field whose value is written in place, and its length afterwards.
    fn value(&mut self, tag: u8, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), TooLong> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[tag, 0]);
        let from = self.bytes.len();
        write(self.bytes);
        let length = self.bytes.len() - from;
        let [low, high, ..] = length.to_le_bytes();
        if length >= 0x80 {
            // Two bytes of seven bits are enough for whatever fits into a record.
            self.bytes.insert(from, (high << 1) | (low >> 7));
        }
        if self.bytes.len() > self.end {
            self.bytes.truncate(start);
            return Err(TooLong);
        }
        if let Some(place) = self.bytes.get_mut(start + 1) {
            *place = if length >= 0x80 { low | 0x80 } else { low };
        }
        Ok(())
    }

    fn text(&mut self, tag: u8, text: &str) {
        if text.is_empty() {
            return;
        }
        let short = beginning(text, TEXT_MOST);
        let is_in = self.field(tag, short.as_bytes());
        self.is_cut |= !is_in || short.len() < text.len();
    }

    fn must(&mut self, tag: u8, value: &[u8]) -> Result<(), TooLong> {
        if self.field(tag, value) { Ok(()) } else { Err(TooLong) }
    }

    /// Whether there was room for it.
    fn field(&mut self, tag: u8, value: &[u8]) -> bool {
        let start = self.bytes.len();
        self.bytes.push(tag);
        put_unsigned(self.bytes, value.len() as u64);
        if self.bytes.len() + value.len() > self.end {
            self.bytes.truncate(start);
            return false;
        }
        self.bytes.extend_from_slice(value);
        true
    }
}

fn counts(usage: &Usage) -> [u64; 9] {
    [
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_1h,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
        usage.searches,
    ]
}

/// At most so many bytes of it, and whole characters.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// Its kind, and its length where it has one.
fn put_period(into: &mut Vec<u8>, period: Option<Period>) {
    let (kind, length) = match period {
        None => (0, None),
        Some(Period::Seconds(length)) => (1, Some(length)),
        Some(Period::Days(length)) => (2, Some(length)),
        Some(Period::Week) => (3, None),
        Some(Period::Months(length)) => (4, Some(length)),
    };
    into.push(kind);
    if let Some(length) = length {
        put_signed(into, length);
    }
}

fn put_unsigned(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes().first().copied().unwrap_or_default() | 0x80);
        number >>= 7;
    }
    into.extend(number.to_le_bytes().first());
}

fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_unsigned(into, ((number << 1) ^ (number >> 63)).cast_unsigned());
}
