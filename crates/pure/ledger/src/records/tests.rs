use proptest::prelude::*;

use super::*;
use crate::{Scope, windows::Period};

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![3 => "[a-z0-9-]{0,40}", 1 => "\\PC{0,120}", 1 => "[ü]{100,300}"].prop_map(Into::into)
}

fn short() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9%/ü-]{0,40}".prop_map(Into::into)
}

fn slot() -> impl Strategy<Value = Slot> {
    let scope = prop_oneof![
        short().prop_map(Scope::Key),
        (short(), short()).prop_map(|(team, user)| Scope::Member { team, user }),
        short().prop_map(Scope::Tag),
        Just(Scope::Proxy),
    ];
    let period = prop_oneof![
        Just(None),
        any::<i64>().prop_map(|length| Some(Period::Seconds(length))),
        any::<i64>().prop_map(|length| Some(Period::Days(length))),
        Just(Some(Period::Week)),
        any::<i64>().prop_map(|length| Some(Period::Months(length))),
    ];
    (scope, period, any::<i64>()).prop_map(|(scope, period, since)| Slot { scope, period, since })
}

fn slots() -> impl Strategy<Value = Arc<[Slot]>> {
    proptest::collection::vec(slot(), 0..8).prop_map(Into::into)
}

/// Microseconds are what is written.
fn time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn money() -> impl Strategy<Value = Nanos> {
    any::<i64>().prop_map(Nanos::new)
}

fn usage() -> impl Strategy<Value = Usage> {
    (any::<[u64; 9]>(), any::<Option<i64>>()).prop_map(|(counts, stated)| Usage {
        input: counts[0],
        output: counts[1],
        cache_read: counts[2],
        cache_write: counts[3],
        cache_write_1h: counts[4],
        reasoning: counts[5],
        audio_input: counts[6],
        audio_output: counts[7],
        searches: counts[8],
        stated_cost_nanos: stated,
        ..Usage::default()
    })
}

prop_compose! {
    fn facts()(
        slots in slots(),
        texts in proptest::collection::vec(text(), 18),
        tags in proptest::collection::vec(text(), 0..12),
        is_streamed in any::<bool>(),
        ordinal in any::<u32>(),
        started in time(),
    ) -> Facts {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap();
        Facts {
            slots, tags, is_streamed, ordinal, started,
            call: next(), call_type: next(), key: next(), key_alias: next(), user: next(), team: next(),
            organization: next(), project: next(), customer: next(), asked: next(), group: next(), model: next(),
            provider: next(), deployment: next(), api_base: next(), requester: next(), session: next(), metadata: next(),
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Answered),
        Just(Outcome::ClientLeft),
        Just(Outcome::Died),
        "[a-z]{2,30}".prop_map(|kind| Outcome::Failed(kind.into())),
    ]
}

fn certainty() -> impl Strategy<Value = Certainty> {
    prop_oneof![Just(Certainty::Stated), Just(Certainty::Counted), Just(Certainty::Unknown)]
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn record() -> impl Strategy<Value = Record> {
    let open = (id(), facts(), money(), money())
        .prop_map(|(attempt, facts, held, input)| Record::Open(Box::new(Open { attempt, facts, held, input })));
    let progress = (id(), money(), money(), usage(), time())
        .prop_map(|(attempt, held, so_far, usage, at)| Record::Progress(Progress { attempt, held, so_far, usage, at }));
    let settled = (
        (id(), facts(), proptest::option::of(money()), money(), certainty()),
        (usage(), outcome(), any::<u16>(), proptest::option::of(time()), time(), text()),
    )
        .prop_map(
            |((attempt, facts, cost, at_least, certainty), (usage, outcome, status, first_byte, took, answer))| {
                Record::Settled(Box::new(Settled {
                    attempt,
                    facts,
                    cost,
                    at_least,
                    certainty,
                    usage,
                    outcome,
                    status,
                    first_byte,
                    took,
                    answer,
                }))
            },
        );
    let noted = (id(), facts(), any::<bool>(), proptest::option::of(money()), usage(), outcome(), any::<u16>(), time())
        .prop_map(|(id, facts, is_cache_hit, saved, usage, outcome, status, took)| {
            Record::Noted(Box::new(Noted { id, facts, is_cache_hit, saved, usage, outcome, status, took }))
        });
    let corrected = (id(), proptest::option::of(id()), slots(), money(), any::<bool>(), text(), text(), time())
        .prop_map(|(id, attempt, slots, change, states_unknown, author, reason, at)| {
            Record::Corrected(Box::new(Corrected { id, attempt, slots, change, states_unknown, author, reason, at }))
        });
    prop_oneof![open, progress, settled, noted, corrected]
}

fn slots_of(record: &Record) -> Arc<[Slot]> {
    match record {
        Record::Open(open) => Arc::clone(&open.facts.slots),
        Record::Settled(settled) => Arc::clone(&settled.facts.slots),
        Record::Noted(noted) => Arc::clone(&noted.facts.slots),
        Record::Corrected(corrected) => Arc::clone(&corrected.slots),
        Record::Progress(_) => Arc::default(),
    }
}

/// What a record that was cut says about money, of which nothing may be lost.
fn money_of(record: &Record) -> String {
    match record {
        Record::Open(open) => format!("{} {} {}", open.attempt, open.held, open.input),
        Record::Settled(it) => {
            format!("{} {:?} {} {:?} {:?} {:?}", it.attempt, it.cost, it.at_least, it.certainty, it.usage, it.outcome)
        }
        Record::Noted(noted) => format!("{} {:?} {:?}", noted.id, noted.saved, noted.usage),
        Record::Corrected(it) => format!("{} {:?} {} {}", it.id, it.attempt, it.change, it.states_unknown),
        Record::Progress(progress) => format!("{progress:?}"),
    }
}

fn bytes(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(record, &mut bytes).expect("its slots are short");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn a_record_is_read_as_it_was_written_or_says_that_it_is_cut(record in record()) {
        let mut bytes = b"before".to_vec();
        let cut = encode(&record, &mut bytes).unwrap();
        prop_assert!(bytes.len() <= RECORD_MOST + 6);
        let Ok(Decoded::Record(read, told)) = decode(&bytes[6..]) else { panic!("it cannot be read") };
        prop_assert_eq!(told, cut);
        if cut == Cut(false) {
            prop_assert_eq!(&read, &record);
        }
        prop_assert_eq!(slots_of(&read), slots_of(&record));
        prop_assert_eq!(money_of(&read), money_of(&record));
    }

    #[test]
    fn a_settlement_of_what_could_be_opened_always_fits(facts in facts(), many in proptest::collection::vec(slot(), 0..120)) {
        let facts = Facts { slots: many.into(), ..facts };
        let open = Open { attempt: Uuid::nil(), facts: facts.clone(), held: Nanos::MAX, input: Nanos::MAX };
        let most = Usage {
            input: u64::MAX, output: u64::MAX, cache_read: u64::MAX, cache_write: u64::MAX, cache_write_1h: u64::MAX,
            reasoning: u64::MAX, audio_input: u64::MAX, audio_output: u64::MAX, searches: u64::MAX,
            stated_cost_nanos: Some(i64::MIN), ..Usage::default()
        };
        let settled = Settled {
            attempt: Uuid::nil(), facts, cost: Some(Nanos::new(i64::MIN)), at_least: Nanos::MAX,
            certainty: Certainty::Unknown, usage: most, outcome: Outcome::Failed("x".repeat(300).into()), status: u16::MAX,
            first_byte: Some(Duration::MAX), took: Duration::MAX, answer: "y".repeat(300).into(),
        };
        if encode(&Record::Open(Box::new(open)), &mut Vec::new()).is_ok() {
            prop_assert!(encode(&Record::Settled(Box::new(settled)), &mut Vec::new()).is_ok());
        }
    }

    #[test]
    fn fields_of_a_later_version_are_skipped(record in record(), tag in 100..=255_u8, value in "\\PC{0,100}") {
        let mut newer = bytes(&record);
        let older = decode(&newer).unwrap();
        newer[0] = VERSION + 1;
        newer.push(tag);
        newer.push(u8::try_from(value.len() & 0x7f).unwrap());
        newer.extend_from_slice(&value.as_bytes()[..value.len() & 0x7f]);
        prop_assert_eq!(decode(&newer).unwrap(), older);
    }

    #[test]
    fn a_record_that_is_cut_off_never_makes_the_reader_fail(record in record(), cut in any::<prop::sample::Index>()) {
        let bytes = bytes(&record);
        let _ = decode(&bytes[..cut.index(bytes.len())]);
    }
}

fn example() -> Record {
    let key = "d".repeat(64);
    let facts = Facts {
        slots: Arc::new([
            Slot { scope: Scope::Key(key.as_str().into()), period: Some(Period::Months(1)), since: 1_763_596_800 },
            Slot::forever(Scope::Team("0f6c2f7e-52f0-4a3c-9a0c-0c7a9f4c2d11".into())),
            Slot::forever(Scope::Deployment("e".repeat(64).into())),
        ]),
        call: "0193e0a0-7a0e-7c0e-a000-000000000001".into(),
        call_type: "acompletion".into(),
        key: key.as_str().into(),
        team: "0f6c2f7e-52f0-4a3c-9a0c-0c7a9f4c2d11".into(),
        group: "gpt-5".into(),
        model: "gpt-5-2025-08-07".into(),
        provider: "openai".into(),
        deployment: "e".repeat(64).into(),
        requester: "10.0.0.7".into(),
        started: Duration::from_micros(1_763_750_000_000_000),
        ..Facts::default()
    };
    Record::Settled(Box::new(Settled {
        attempt: Uuid::from_u128(9),
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

#[test]
fn house_13_4_a_usual_record_is_small() {
    let length = bytes(&example()).len();
    assert!(length < 700, "{length} bytes");
}

#[test]
fn house_13_4_what_does_not_fit_is_left_out_and_said() {
    let Record::Settled(mut settled) = example() else { panic!("it is settled") };
    settled.facts.metadata = format!("{{\"a\":\"{}\"}}", "x".repeat(5000)).into();
    settled.facts.tags = (0..100).map(|_| Arc::from("t".repeat(200))).collect();
    settled.facts.customer = "ü".repeat(300).into();
    let bytes = bytes(&Record::Settled(settled));
    assert!(bytes.len() <= RECORD_MOST);
    let Ok(Decoded::Record(Record::Settled(read), Cut(true))) = decode(&bytes) else {
        panic!("it says that it is cut")
    };
    assert_eq!(read.facts.customer.len(), 256);
    assert!(read.facts.metadata.is_empty() && !read.facts.tags.is_empty());
}

#[test]
fn slots_that_fill_a_record_refuse_it_and_leave_nothing_behind() {
    let tags = (0..100).map(|tag| Slot::forever(Scope::Tag(format!("{tag}{}", "t".repeat(60)).into())));
    let open = Open { facts: Facts { slots: tags.collect(), ..Facts::default() }, ..open_of_nothing() };
    let mut bytes = b"before".to_vec();
    assert_eq!(encode(&Record::Open(Box::new(open)), &mut bytes), Err(TooLong));
    assert_eq!(bytes, b"before");
}

fn open_of_nothing() -> Open {
    Open { attempt: Uuid::nil(), facts: Facts::default(), held: Nanos::ZERO, input: Nanos::ZERO }
}

#[test]
fn house_13_4_a_newer_kind_is_known_as_such_and_other_versions_are_refused() {
    assert_eq!(decode(&[VERSION, 77, 1, 2, 3]), Ok(Decoded::NewerKind(77)));
    assert_eq!(decode(&[VERSION + 1, 77]), Ok(Decoded::NewerKind(77)));
    assert!(decode(&[VERSION + 2, OPEN_KIND]).is_err() && decode(&[0, OPEN_KIND]).is_err() && decode(b"").is_err());
}

const OPEN_KIND: u8 = 1;

/// The bytes of a record that some version has written: they are read for ever.
#[test]
fn what_was_written_once_is_read_for_ever() {
    let open = Record::Open(Box::new(Open {
        attempt: Uuid::from_u128(0x0102),
        facts: Facts {
            slots: Arc::new([Slot { scope: Scope::Key("k".into()), period: Some(Period::Days(1)), since: 60 }]),
            call: "c".into(),
            started: Duration::from_micros(300),
            ..Facts::default()
        },
        held: Nanos::new(1000),
        input: Nanos::new(-1),
    }));
    let written =
        b"\x01\x01\x01\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x04\x02\xd0\x0f\x05\x01\x01\x03\x08\x78\x02\x02key:k\
        \x18\x01\x00\x19\x01\x00\x1a\x02\xac\x02\x20\x01c";
    assert_eq!(bytes(&open), written);
    assert_eq!(decode(written), Ok(Decoded::Record(open, Cut(false))));
}
