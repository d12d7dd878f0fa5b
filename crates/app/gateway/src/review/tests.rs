use std::{sync::Arc, time::Duration};

use tollgate_journal::{FaultyDisk, Journal, Settings};
use tollgate_ledger::{
    Nanos, Record, Scope, Slot,
    records::{self, Certainty, Corrected, Facts, Open, Outcome, Settled},
};
use tollgate_store::{Place, StoreSettings, Wish};
use tollgate_wire::Usage;

use super::*;
use crate::projection::{Projecting, batch};

const JOURNAL: Uuid = Uuid::from_u128(7);

fn slots() -> Arc<[Slot]> {
    Arc::from([Slot::forever(Scope::Key("k".into()))])
}

fn facts() -> Facts {
    Facts { slots: slots(), call: "call".into(), key: "k".into(), ..Facts::default() }
}

fn settled(number: u128, cost: i64, certainty: Certainty) -> Record {
    Record::Settled(Box::new(Settled {
        attempt: Uuid::from_u128(number),
        facts: facts(),
        cost: Some(Nanos::new(cost)),
        at_least: Nanos::ZERO,
        certainty,
        usage: Usage::default(),
        outcome: Outcome::Answered,
        status: 200,
        first_byte: None,
        took: Duration::ZERO,
        answer: "chatcmpl-1".into(),
    }))
}

fn open(number: u128, held: i64) -> Record {
    let (attempt, held) = (Uuid::from_u128(number), Nanos::new(held));
    Record::Open(Box::new(Open { attempt, facts: facts(), held, input: held }))
}

fn stated(number: u128, attempt: u128, change: i64) -> Record {
    Record::Corrected(Box::new(Corrected {
        id: Uuid::from_u128(number),
        attempt: Some(Uuid::from_u128(attempt)),
        slots: slots(),
        change: Nanos::new(change),
        states_unknown: true,
        author: "ann".into(),
        reason: "why".into(),
        at: Duration::from_secs(9),
    }))
}

fn bytes(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    records::encode(record, &mut bytes).unwrap();
    bytes
}

/// A journal with records, ten seconds between two of them, and a store.
struct World {
    store: Store,
    disk: Arc<FaultyDisk>,
    journal: Journal,
    written: Vec<(u64, Vec<u8>)>,
}

impl World {
    async fn new(records: &[Record]) -> Self {
        let store = Store::open(&StoreSettings::at(Place::Memory), EpochMs(0)).await.unwrap();
        let disk = Arc::new(FaultyDisk::new());
        let (journal, _) = Journal::open(Arc::<FaultyDisk>::clone(&disk), Settings::default(), JOURNAL).unwrap();
        let mut written = Vec::new();
        for (number, record) in (0..).zip(records) {
            let position = journal.append(&bytes(record), Duration::from_secs(number * 10)).unwrap();
            written.push((position.sequence, bytes(record)));
        }
        journal.force().unwrap();
        Self { store, disk, journal, written }
    }

    /// Books records as those up to this number.
    async fn book(&self, upto: i64, entries: Vec<(u64, Vec<u8>)>) {
        let batch = batch(&Projecting::default(), &JOURNAL.to_string(), (0, upto), EpochMs(0), entries);
        self.store.book(&batch).await.unwrap();
    }

    async fn review(&self) -> Review {
        let disk: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&self.disk);
        review(&self.store, Some(&disk)).await.unwrap()
    }
}

#[tokio::test]
async fn a_ledger_that_is_whole_is_sound_booked_or_not() {
    let records = [
        open(1, 90),
        settled(1, 50, Certainty::Stated),
        settled(2, 30, Certainty::Unknown),
        stated(3, 2, 20),
        settled(4, 7, Certainty::Unknown),
        // Somebody said it twice, and a record was written twice.
        stated(5, 2, 25),
        settled(1, 50, Certainty::Stated),
        open(6, 5),
    ];
    let world = World::new(&records).await;
    let before = world.review().await;
    assert!(before.is_sound());
    let pending: Vec<(NanoDollars, NanoDollars)> =
        before.pending.values().map(|pending| (pending.settled, pending.unknown)).collect();
    assert_eq!(pending, [(NanoDollars(50 + 20 + 25 + 50), NanoDollars(37))]);
    assert_eq!((before.journals[0].open, before.journals[0].is_held), (1, true));

    world.book(8, world.written.clone()).await;
    let after = world.review().await;
    assert!(after.is_sound(), "{after:?}");
    assert_eq!((after.compared, after.folded, after.unknown), (6, 0, (1, NanoDollars(7))));
    assert!(after.pending.is_empty());
    assert_eq!((after.difference(), after.elsewhere), (NanoDollars(0), 0));
}

#[tokio::test]
async fn a_record_that_the_store_lacks_or_has_otherwise_is_found() {
    let records =
        [settled(1, 50, Certainty::Stated), settled(2, 30, Certainty::Unknown), settled(3, 9, Certainty::Counted)];
    let world = World::new(&records).await;
    // The first is not booked, the second one neither, the third at another cost.
    world.book(3, vec![(3, bytes(&settled(3, 8, Certainty::Counted)))]).await;
    let found = world.review().await;
    assert!(!found.is_sound() && found.differences.is_empty());
    let lost: Vec<(u64, i64, &str)> =
        found.lost.iter().map(|lost| (lost.records.0, lost.amount.0, lost.what.as_str())).collect();
    assert_eq!(
        lost,
        [
            (1, 50, "the store does not have it"),
            (2, 30, "it is neither held as unknown nor stated"),
            (3, 9, "the store has it with 8 nano-dollars instead of 9"),
        ]
    );
    assert_eq!(found.to_json()["lost"][0]["id"], Uuid::from_u128(1).to_string());
}

#[tokio::test]
async fn rows_that_are_gone_on_purpose_are_no_loss() {
    let world = World::new(&[settled(1, 50, Certainty::Stated)]).await;
    world.book(1, world.written.clone()).await;
    assert_eq!(world.store.prune_spend(EpochMs(i64::MAX), 10).await.unwrap(), 1);
    let found = world.review().await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.folded, 1);
}

#[tokio::test]
async fn records_that_are_damaged_before_the_store_had_them_are_lost() {
    let records = [1, 2, 3, 4].map(|number| settled(number, 10, Certainty::Stated));
    let world = World::new(&records).await;
    let folder = JOURNAL.to_string();
    let file = world.disk.files(&folder).unwrap().into_iter().find(|file| file.bytes > 0).unwrap().name;
    let all = world.disk.read(&folder, &file, 0, usize::MAX).unwrap();
    let second = &world.written[1].1;
    let at = all.windows(second.len()).position(|part| part == second.as_slice()).unwrap();
    world.disk.spoil(&folder, &file, at);
    let found = world.review().await;
    assert_eq!(found.lost.iter().map(|lost| lost.records).collect::<Vec<_>>(), [(2, 2)]);
    // What the store has is not lost.
    world.book(2, world.written[..2].to_vec()).await;
    assert!(world.review().await.is_sound());
}

#[tokio::test]
async fn what_the_dead_left_open_is_expected_as_soon_as_its_journal_is_taken_over() {
    let World { store, disk, journal, written } = World::new(&[open(1, 90)]).await;
    drop(journal);
    let world = World { journal: other(), store, disk, written };
    let found = world.review().await;
    assert_eq!(found.pending.values().map(|pending| pending.unknown.0).sum::<i64>(), 90);
    // Taken over, but for what it left open.
    world.book(2, world.written.clone()).await;
    let found = world.review().await;
    assert_eq!(found.lost.iter().map(|lost| lost.amount.0).collect::<Vec<_>>(), [90]);
}

/// A journal that has nothing to do with it.
fn other() -> Journal {
    Journal::open(Arc::new(FaultyDisk::new()), Settings::default(), Uuid::from_u128(8)).unwrap().0
}

#[tokio::test]
async fn leases_are_told_and_one_whose_instance_is_gone_is_found() {
    let world = World::new(&[]).await;
    let instance = Instance { instance: "a".to_owned(), ..Instance::default() };
    world.store.enter(&instance).await.unwrap();
    let window = Window { kind: "key".to_owned(), id: "k".to_owned(), start: EpochMs(0) };
    let (budget, need) = (NanoDollars(100), NanoDollars(10));
    world.store.lease("a", EpochMs(0), &[Wish { window, budget, need, want: need }]).await.unwrap();
    let found = world.review().await;
    assert!(found.is_sound());
    let lease = &found.leases[0];
    assert_eq!((lease.instance.as_str(), lease.granted, lease.used), ("a", NanoDollars(10), NanoDollars(0)));
    assert_eq!(found.to_json()["leases"][0]["scope"], "key:k");
    let lost = Review { orphans: orphans(&found.leases, &[]), ..Review::default() };
    assert!(lost.orphans.len() == 1 && !lost.is_sound());
}

#[tokio::test]
async fn all_that_is_said_of_a_call_is_told_in_its_order() {
    let records = [open(1, 90), settled(1, 30, Certainty::Unknown), stated(2, 1, 20), settled(3, 1, Certainty::Stated)];
    let world = World::new(&records).await;
    world.book(2, world.written[..2].to_vec()).await;
    let disk: Arc<dyn Disk> = Arc::<FaultyDisk>::clone(&world.disk);
    let said = trace(&world.store, Some(&disk), &Uuid::from_u128(1).to_string()).await.unwrap();
    let mut told: Vec<(&str, &str, Option<i64>)> = said
        .iter()
        .map(|said| (said.what, said.place.split(' ').next().unwrap(), said.amount.map(|amount| amount.0)))
        .collect();
    assert_eq!(told.pop(), Some(("corrected", "journal", Some(20))));
    told.sort_unstable();
    assert_eq!(told, [("held", "unknown", Some(30)), ("open", "journal", Some(90)), ("settled", "journal", Some(30))]);
    // By the call's id both of its attempts are found, by the answer's too, and nothing by another one.
    for (id, count) in [("call", 5), ("chatcmpl-1", 5), ("nobody", 0)] {
        assert_eq!(trace(&world.store, Some(&disk), id).await.unwrap().len(), count, "{id}");
    }
}
