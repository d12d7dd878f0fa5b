//! Reading records.

use std::{str, sync::Arc, time::Duration};

use tollgate_wire::Usage;
use uuid::Uuid;

use super::{
    Certainty, Corrected, Facts, Noted, Open, Outcome, Progress, Record, Settled,
    codec::{CORRECTED, Cut, Decoded, NOTED, OPEN, PROGRESS, ReadError, SETTLED, VERSION, tag},
};
use crate::{Nanos, Scope, Slot, windows::Period};

/// Reads a record.
///
/// # Errors
/// The bytes are none.
pub fn decode(bytes: &[u8]) -> Result<Decoded, ReadError> {
    let [version, kind, rest @ ..] = bytes else { return Err(ReadError("it is empty")) };
    if !(1..=VERSION + 1).contains(version) {
        return Err(ReadError("its version is too far from this one"));
    }
    if !(OPEN..=CORRECTED).contains(kind) {
        return Ok(Decoded::NewerKind(*kind));
    }
    let mut fields = Fields::default();
    let mut reader = Reader(rest);
    while let Some(tag) = reader.byte() {
        let length = reader.unsigned().and_then(|length| usize::try_from(length).ok());
        let value = length.and_then(|length| reader.take(length)).ok_or(ReadError("a field is cut"))?;
        fields.put(tag, value).ok_or(ReadError("a field is spoiled"))?;
    }
    Ok(Decoded::Record(fields.record(*kind)?, Cut(fields.is_cut)))
}

#[derive(Clone, Copy)]
struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'bytes [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.unsigned()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

/// The fields of any kind.
#[derive(Default)]
struct Fields {
    is_cut: bool,
    identity: Option<Uuid>,
    attempt: Option<Uuid>,
    facts: Facts,
    slots: Vec<Slot>,
    usage: Usage,
    held: Nanos,
    input: Nanos,
    so_far: Nanos,
    cost: Option<Nanos>,
    at_least: Nanos,
    saved: Option<Nanos>,
    change: Nanos,
    certainty: Option<Certainty>,
    outcome: Option<Outcome>,
    status: u16,
    first_byte: Option<Duration>,
    took: Duration,
    at: Duration,
    is_cache_hit: bool,
    states_unknown: bool,
    answer: Arc<str>,
    author: Arc<str>,
    reason: Arc<str>,
}

impl Fields {
    /// `None` for a value that cannot be.
    fn put(&mut self, tag: u8, value: &[u8]) -> Option<()> {
        let mut reader = Reader(value);
        match tag {
            tag::IDENTITY => self.identity = Some(Uuid::from_slice(value).ok()?),
            tag::ATTEMPT => self.attempt = Some(Uuid::from_slice(value).ok()?),
            tag::CUT => self.is_cut = reader.unsigned()? != 0,
            tag::SLOT => {
                let since = reader.signed()?;
                let period = period(&mut reader)?;
                let scope: Scope = str::from_utf8(reader.0).ok()?.parse().ok()?;
                self.slots.push(Slot { scope, period, since });
            }
            tag::HELD => self.held = Nanos::new(reader.signed()?),
            tag::INPUT => self.input = Nanos::new(reader.signed()?),
            tag::SO_FAR => self.so_far = Nanos::new(reader.signed()?),
            tag::COST => self.cost = Some(Nanos::new(reader.signed()?)),
            tag::AT_LEAST => self.at_least = Nanos::new(reader.signed()?),
            tag::SAVED => self.saved = Some(Nanos::new(reader.signed()?)),
            tag::CHANGE => self.change = Nanos::new(reader.signed()?),
            tag::USAGE => self.usage = usage(&mut reader)?,
            tag::CERTAINTY => {
                self.certainty = Some(match reader.unsigned()? {
                    0 => Certainty::Stated,
                    1 => Certainty::Counted,
                    // What a later version calls something else is not sure.
                    _ => Certainty::Unknown,
                });
            }
            tag::OUTCOME => {
                self.outcome = Some(match value {
                    b"+" => Outcome::Answered,
                    b"-" => Outcome::ClientLeft,
                    b"!" => Outcome::Died,
                    kind => Outcome::Failed(str::from_utf8(kind).ok()?.into()),
                });
            }
            tag::STATUS => self.status = u16::try_from(reader.unsigned()?).ok()?,
            tag::FIRST_BYTE => self.first_byte = Some(Duration::from_micros(reader.unsigned()?)),
            tag::TOOK => self.took = Duration::from_micros(reader.unsigned()?),
            tag::AT => self.at = Duration::from_micros(reader.unsigned()?),
            tag::STARTED => self.facts.started = Duration::from_micros(reader.unsigned()?),
            tag::STREAMED => self.facts.is_streamed = reader.unsigned()? != 0,
            tag::ORDINAL => self.facts.ordinal = u32::try_from(reader.unsigned()?).ok()?,
            tag::CACHE_HIT => self.is_cache_hit = reader.unsigned()? != 0,
            tag::STATES_UNKNOWN => self.states_unknown = reader.unsigned()? != 0,
            _ => return self.put_text(tag, value),
        }
        Some(())
    }

    fn put_text(&mut self, tag: u8, value: &[u8]) -> Option<()> {
        let place = match tag {
            tag::CALL => &mut self.facts.call,
            tag::CALL_TYPE => &mut self.facts.call_type,
            tag::KEY => &mut self.facts.key,
            tag::KEY_ALIAS => &mut self.facts.key_alias,
            tag::USER => &mut self.facts.user,
            tag::TEAM => &mut self.facts.team,
            tag::ORGANIZATION => &mut self.facts.organization,
            tag::PROJECT => &mut self.facts.project,
            tag::CUSTOMER => &mut self.facts.customer,
            tag::ASKED => &mut self.facts.asked,
            tag::GROUP => &mut self.facts.group,
            tag::MODEL => &mut self.facts.model,
            tag::PROVIDER => &mut self.facts.provider,
            tag::DEPLOYMENT => &mut self.facts.deployment,
            tag::API_BASE => &mut self.facts.api_base,
            tag::REQUESTER => &mut self.facts.requester,
            tag::SESSION => &mut self.facts.session,
            tag::METADATA => &mut self.facts.metadata,
            tag::ANSWER => &mut self.answer,
            tag::AUTHOR => &mut self.author,
            tag::REASON => &mut self.reason,
            tag::TAG => {
                self.facts.tags.push(str::from_utf8(value).ok()?.into());
                return Some(());
            }
            // Of a later version.
            _ => return Some(()),
        };
        *place = str::from_utf8(value).ok()?.into();
        Some(())
    }

    fn record(&mut self, kind: u8) -> Result<Record, ReadError> {
        let identity = self.identity.ok_or(ReadError("it has no identity"))?;
        let slots: Arc<[Slot]> = std::mem::take(&mut self.slots).into();
        let facts = Facts { slots: Arc::clone(&slots), ..std::mem::take(&mut self.facts) };
        let outcome = self.outcome.take().ok_or(ReadError("it has no outcome"));
        Ok(match kind {
            OPEN => Record::Open(Box::new(Open { attempt: identity, facts, held: self.held, input: self.input })),
            PROGRESS => Record::Progress(Progress {
                attempt: identity,
                held: self.held,
                so_far: self.so_far,
                usage: self.usage,
                at: self.at,
            }),
            SETTLED => Record::Settled(Box::new(Settled {
                attempt: identity,
                facts,
                cost: self.cost,
                at_least: self.at_least,
                certainty: self.certainty.ok_or(ReadError("it has no certainty"))?,
                usage: self.usage,
                outcome: outcome?,
                status: self.status,
                first_byte: self.first_byte,
                took: self.took,
                answer: Arc::clone(&self.answer),
            })),
            NOTED => Record::Noted(Box::new(Noted {
                id: identity,
                facts,
                is_cache_hit: self.is_cache_hit,
                saved: self.saved,
                usage: self.usage,
                outcome: outcome?,
                status: self.status,
                took: self.took,
            })),
            _ => Record::Corrected(Box::new(Corrected {
                id: identity,
                attempt: self.attempt,
                slots,
                change: self.change,
                states_unknown: self.states_unknown,
                author: Arc::clone(&self.author),
                reason: Arc::clone(&self.reason),
                at: self.at,
            })),
        })
    }
}

#[expect(clippy::option_option, reason = "the outer one says that it cannot be read")]
fn period(reader: &mut Reader<'_>) -> Option<Option<Period>> {
    Some(match reader.byte()? {
        0 => None,
        1 => Some(Period::Seconds(reader.signed()?)),
        2 => Some(Period::Days(reader.signed()?)),
        3 => Some(Period::Week),
        4 => Some(Period::Months(reader.signed()?)),
        _ => return None,
    })
}

fn usage(reader: &mut Reader<'_>) -> Option<Usage> {
    let mut next = || reader.unsigned();
    let mut usage = Usage {
        input: next()?,
        output: next()?,
        cache_read: next()?,
        cache_write: next()?,
        cache_write_1h: next()?,
        reasoning: next()?,
        audio_input: next()?,
        audio_output: next()?,
        searches: next()?,
        ..Usage::default()
    };
    if reader.byte()? == 1 {
        usage.stated_cost_nanos = Some(reader.signed()?);
    }
    // What is behind it is of a later version.
    Some(usage)
}
