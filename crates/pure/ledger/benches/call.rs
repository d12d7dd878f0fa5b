//! What the money machine costs one call: held, opened and settled in the books, and both records as bytes.
//! `cargo bench -p tollgate-ledger`.
#![expect(clippy::expect_used, reason = "a benchmark stops with a message")]

use std::{hint::black_box, sync::Arc, time::Duration};

use divan::{AllocProfiler, Bencher};
use tollgate_ledger::{
    Book, Nanos, Record, Scope, Slot,
    book::Verdict,
    records::{Certainty, Facts, Open, Outcome, RECORD_MOST, Settled, encode},
    windows::Period,
};
use tollgate_wire::Usage;
use uuid::Uuid;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Key, member, team, user and deployment: what a call of a company's key is booked to.
fn facts() -> Facts {
    let slot = |scope: Scope| Slot { scope, period: Some(Period::Months(1)), since: 1_763_596_800 };
    let id = |letter: &str| -> Arc<str> { letter.repeat(36).into() };
    let slots = [
        slot(Scope::Key("d".repeat(64).into())),
        slot(Scope::Member { team: id("t"), user: id("u") }),
        slot(Scope::Team(id("t"))),
        slot(Scope::User(id("u"))),
        Slot::forever(Scope::Deployment("e".repeat(64).into())),
    ];
    Facts {
        slots: slots.into(),
        call: id("c"),
        call_type: "acompletion".into(),
        key: "d".repeat(64).into(),
        user: id("u"),
        team: id("t"),
        asked: "gpt-5".into(),
        group: "gpt-5".into(),
        model: "gpt-5-2025-08-07".into(),
        provider: "openai".into(),
        deployment: "e".repeat(64).into(),
        requester: "10.0.0.7".into(),
        started: Duration::from_secs(1_763_600_000),
        ..Facts::default()
    }
}

fn settled(attempt: Uuid, facts: Facts) -> Record {
    Record::Settled(Box::new(Settled {
        attempt,
        facts,
        cost: Some(Nanos::new(12_345)),
        at_least: Nanos::ZERO,
        certainty: Certainty::Stated,
        usage: Usage { input: 1200, output: 80, ..Usage::default() },
        outcome: Outcome::Answered,
        status: 200,
        first_byte: Some(Duration::from_millis(300)),
        took: Duration::from_millis(900),
        answer: "chatcmpl-1".into(),
    }))
}

#[divan::bench]
fn a_call(bencher: Bencher<'_, '_>) {
    let (facts, mut book, mut bytes, mut number) = (facts(), Book::default(), Vec::with_capacity(RECORD_MOST), 0);
    for slot in facts.slots.iter() {
        book.fund(slot, Nanos::dollars(1_000_000), Nanos::dollars(1_000_000), Nanos::ZERO);
    }
    bencher.bench_local(|| {
        number += 1;
        let attempt = Uuid::from_u128(number);
        let held = Nanos::new(20_000);
        assert_eq!(book.reserve(attempt, &facts.slots, held, Nanos::new(10_000)), Verdict::Holds);
        bytes.clear();
        let open = Record::Open(Box::new(Open { attempt, facts: facts.clone(), held, input: Nanos::new(10_000) }));
        encode(&open, &mut bytes).expect("it fits");
        black_box(&bytes);
        bytes.clear();
        let settled = settled(attempt, facts.clone());
        encode(&settled, &mut bytes).expect("it fits");
        black_box(&bytes);
        book.apply(&settled)
    });
}

#[divan::bench]
fn one_record(bencher: Bencher<'_, '_>) {
    let (settled, mut bytes) = (settled(Uuid::nil(), facts()), Vec::with_capacity(RECORD_MOST));
    bencher.bench_local(|| {
        bytes.clear();
        encode(black_box(&settled), &mut bytes).is_ok()
    });
}
