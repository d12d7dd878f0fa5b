//! Spoiled records: a journal is a file, and files are spoiled.

use std::{sync::Arc, time::Duration};

use tollgate_kit::fuzz;
use tollgate_ledger::{
    Nanos, Record, Scope, Slot,
    records::{Certainty, Corrected, Decoded, Facts, Noted, Open, Outcome, Progress, Settled, decode, encode},
    windows::Period,
};
use tollgate_wire::Usage;
use uuid::Uuid;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fuzz/corpus");

fn seeds() -> Vec<Vec<u8>> {
    let slots: Arc<[Slot]> = Arc::new([
        Slot { scope: Scope::Key("k".into()), period: Some(Period::Days(3)), since: 1_763_596_800 },
        Slot::forever(Scope::Member { team: "t".into(), user: "u/%".into() }),
    ]);
    let facts = Facts {
        slots: Arc::clone(&slots),
        call: "call".into(),
        tags: vec!["a".into(), "b".into()],
        metadata: "{}".into(),
        ..Facts::default()
    };
    let (attempt, usage) = (Uuid::from_u128(7), Usage { input: 300, output: 2, ..Usage::default() });
    let (cost, at) = (Nanos::new(77_000), Duration::from_secs(9));
    let records = [
        Record::Open(Box::new(Open { attempt, facts: facts.clone(), held: cost, input: cost })),
        Record::Progress(Progress { attempt, held: cost, so_far: cost, usage, at }),
        Record::Settled(Box::new(Settled {
            attempt,
            facts: facts.clone(),
            cost: Some(cost),
            at_least: cost,
            certainty: Certainty::Counted,
            usage,
            outcome: Outcome::Failed("timeout".into()),
            status: 408,
            first_byte: None,
            took: at,
            answer: "chatcmpl-1".into(),
        })),
        Record::Noted(Box::new(Noted {
            id: attempt,
            facts,
            is_cache_hit: true,
            saved: Some(cost),
            usage,
            outcome: Outcome::Answered,
            status: 200,
            took: at,
        })),
        Record::Corrected(Box::new(Corrected {
            id: attempt,
            attempt: None,
            slots,
            change: Nanos::new(-5),
            states_unknown: true,
            author: "admin".into(),
            reason: "refund".into(),
            at,
        })),
    ];
    let written = |record: &Record| {
        let mut bytes = Vec::new();
        encode(record, &mut bytes).expect("it fits");
        bytes
    };
    records.iter().map(written).collect()
}

#[test]
fn a_spoiled_record_is_refused_or_can_be_written_again() {
    fuzz::run(CORPUS, "records", &seeds(), fuzz::garble, |bytes| {
        let Ok(Decoded::Record(record, _)) = decode(bytes) else { return };
        let mut again = Vec::new();
        if encode(&record, &mut again).is_ok() {
            let Ok(Decoded::Record(second, _)) = decode(&again) else { panic!("what was written cannot be read") };
            assert_eq!(second.identity(), record.identity());
        }
    });
}
