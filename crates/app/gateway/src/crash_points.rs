//! Every crash point of the books: a short life stopped before and after every write and torn within it, at every sync, and between
//! the journal and the store; then taken over, once and again. Each attempt is in the store once, whatever happened.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tollgate_journal::{Cursor, Fault, FaultyDisk, Found, Journal, Loss, Settings};
use tollgate_ledger::{
    Nanos, Scope, Slot,
    records::{Certainty, Facts, Outcome, Settled},
};
use tollgate_store::{EpochMs, LogFilter, LogListing, Page, Place, Projected, Store, StoreSettings, Window};
use tollgate_wire::clock::FixedClock;
use uuid::Uuid;

use crate::{
    books::{self, Books, Page as OpenPage},
    ledger::Opening,
    projection::{self, Projecting, Projector},
};

const NOW: EpochMs = EpochMs(1_700_000_000_000);
const HELD: Nanos = Nanos::new(1000);

/// What the process that dies believes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believed {
    /// It was about to write down that it goes out.
    Asked,
    /// That is written down.
    Open,
    /// It was about to write down its end.
    Ending(i64, Certainty),
    /// That is written down.
    Ended(i64, Certainty),
}

type Beliefs = BTreeMap<Uuid, Believed>;

struct World {
    store: Arc<Store>,
    clock: Arc<FixedClock>,
    disk: FaultyDisk,
    /// Numbers of journals and attempts: each point has its own in the one store.
    point: u128,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(FixedClock::at(Duration::from_secs(1_700_000_000)));
        Self { store: empty().await, clock, disk: FaultyDisk::new(), point: 0 }
    }

    /// A new disk, and numbers that nobody has used.
    fn begin(&mut self) {
        self.disk = FaultyDisk::new();
        self.point += 1;
    }

    fn open(&self, life: u128) -> (Journal, Vec<Found>) {
        // Segments as small as they may be, so that there are several.
        let settings = Settings { segment_bytes: 1, most_bytes: 1 << 20, ..Settings::default() };
        let id = Uuid::from_u128(self.point << 32 | life);
        Journal::open(Arc::new(self.disk.clone()), settings, id).expect("the journal opens")
    }

    /// Which call the attempts of this point belong to.
    fn call(&self) -> String {
        format!("point-{}", self.point)
    }

    fn facts(&self) -> Facts {
        let scopes = [Scope::Key("k".into()), Scope::Proxy];
        Facts {
            slots: scopes.into_iter().map(Slot::forever).collect(),
            call: self.call().as_str().into(),
            key: "k".into(),
            // As long as facts are: three records fill a segment.
            metadata: format!("{{\"a\":\"{}\"}}", "x".repeat(1000)).as_str().into(),
            started: Duration::from_secs(1_700_000_000),
            ..Facts::default()
        }
    }

    fn projector(&self, journal: &Journal) -> Projector {
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        Projector::new(journal.clone(), store, clock)
    }

    /// Takes over what there is, as a start does.
    async fn take_over(&self, life: u128) {
        let (journal, found) = self.open(life);
        for mut one in found {
            books::take_over(&mut one, &self.store, &Projecting::default(), NOW).await.expect("it is taken over");
        }
        drop(journal);
    }

    /// What the store has of this point's attempts: what was spent, or what is held.
    async fn booked(&self) -> Vec<(Uuid, Result<i64, i64>)> {
        let call = self.call();
        let filter = LogFilter { request_id: Some(call.clone()), ..LogFilter::default() };
        let listing = LogListing { filter, limit: 100, ..LogListing::default() };
        let rows = self.store.spend_logs(&listing).await.expect("rows").rows;
        let id = |text: &str| Uuid::parse_str(text).expect("an attempt's id");
        let mut all: Vec<_> = rows.iter().map(|row| (id(&row.attempt_id), Ok(row.spend.0))).collect();
        let page = Page { offset: 0, limit: 100_000 };
        let held = self.store.unknown_attempts(EpochMs(i64::MAX), page).await.expect("what is held");
        let ours = held.iter().filter(|one| one.call_id == call);
        all.extend(ours.map(|one| (id(&one.attempt_id), Err(one.held.0))));
        all.sort_unstable();
        all
    }

    async fn verify(&self) {
        assert_eq!(self.store.verify_totals().await.expect("the store answers"), []);
    }
}

async fn empty() -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::at(Place::Memory), NOW).await.expect("a store in memory"))
}

/// A process that writes down attempts and carries them into the store; it ends when its disk does.
struct Life<'world> {
    world: &'world World,
    books: Arc<Books>,
    projector: Projector,
    beliefs: Beliefs,
    pages: BTreeMap<u128, OpenPage>,
}

impl<'world> Life<'world> {
    fn begin(world: &'world World) -> Self {
        let (journal, _) = world.open(1);
        let projector = world.projector(&journal);
        let books = Books::new(journal, world.clock.clone());
        Self { world, books, projector, beliefs: Beliefs::new(), pages: BTreeMap::new() }
    }

    fn id(&self, number: u128) -> Uuid {
        Uuid::from_u128(self.world.point << 64 | number)
    }

    fn open(&mut self, number: u128) -> Option<()> {
        let id = self.id(number);
        self.beliefs.insert(id, Believed::Asked);
        let before = self.books.unwritten();
        let page = self.books.open(&Opening { attempt: id, held: HELD, input: HELD }, self.world.facts());
        if self.books.unwritten() > before {
            return None;
        }
        self.pages.insert(number, *page);
        self.beliefs.insert(id, Believed::Open);
        Some(())
    }

    fn settle(&mut self, number: u128, cost: i64, certainty: Certainty) -> Option<()> {
        let (id, page) = (self.id(number), self.pages.remove(&number)?);
        self.beliefs.insert(id, Believed::Ending(cost, certainty));
        self.books.settle(page, |facts| settled(id, facts, cost, certainty));
        if self.books.waiting() > 0 {
            return None;
        }
        self.beliefs.insert(id, Believed::Ended(cost, certainty));
        Some(())
    }

    async fn carry(&mut self) -> Option<()> {
        self.books.journal().sync().ok()?;
        self.projector.carry(Projecting::default(), |_, _, _| ()).await.expect("the store in memory takes it");
        Some(())
    }

    /// All of it, as far as the disk goes.
    async fn run(&mut self) -> Option<()> {
        self.open(1)?;
        self.open(2)?;
        self.settle(1, 700, Certainty::Stated)?;
        self.carry().await?;
        self.open(3)?;
        self.settle(2, 800, Certainty::Counted)?;
        self.open(4)?;
        self.settle(3, 900, Certainty::Unknown)?;
        self.carry().await?;
        self.open(5)?;
        self.settle(4, 0, Certainty::Stated)?;
        self.open(6)?;
        self.settle(6, 1100, Certainty::Stated)
    }
}

fn settled(attempt: Uuid, facts: Facts, cost: i64, certainty: Certainty) -> Settled {
    Settled {
        attempt,
        facts,
        cost: Some(Nanos::new(cost)),
        at_least: Nanos::ZERO,
        certainty,
        usage: tollgate_wire::Usage::default(),
        outcome: Outcome::Answered,
        status: 200,
        first_byte: None,
        took: Duration::from_secs(1),
        answer: "".into(),
    }
}

/// Whether the store may have this of an attempt of which the dead believed that.
fn fits(believed: Believed, booked: &[Result<i64, i64>]) -> bool {
    let end = |cost: i64, certainty| if certainty == Certainty::Unknown { Err(cost) } else { Ok(cost) };
    let open = Err(HELD.get());
    match (believed, booked) {
        (Believed::Asked, []) => true,
        (Believed::Asked | Believed::Open, [one]) => *one == open,
        // The record may have become whole, whatever its writer was told.
        (Believed::Ending(cost, certainty), [one]) => *one == open || *one == end(cost, certainty),
        (Believed::Ended(cost, certainty), [one]) => *one == end(cost, certainty),
        _ => false,
    }
}

/// Lives once with a fault and is taken over three times.
async fn check(world: &mut World, fault: Fault) {
    world.begin();
    // Looking through a full one takes long.
    if world.point.is_multiple_of(32) {
        world.verify().await;
        world.store = empty().await;
    }
    let world = &*world;
    let mut life = Life::begin(world);
    world.disk.plan(&[fault]);
    let outcome = life.run().await;
    assert!(outcome.is_none() && world.disk.is_dead(), "{fault:?} did not happen");
    let beliefs = std::mem::take(&mut life.beliefs);
    world.disk.restart(Loss::Nothing);
    drop(life);
    for again in 2..5 {
        world.take_over(again).await;
        let booked = world.booked().await;
        for (id, believed) in &beliefs {
            let of_it: Vec<_> = booked.iter().filter(|(one, _)| one == id).map(|(_, booked)| *booked).collect();
            assert!(fits(*believed, &of_it), "{fault:?}, taken over {again}: {believed:?} is booked as {of_it:?}");
        }
        assert!(booked.iter().all(|(id, _)| beliefs.contains_key(id)), "{fault:?}: {booked:?}");
    }
}

/// How many bytes of a write there are when the process dies.
fn cuts(write: usize, length: usize) -> Vec<usize> {
    match write {
        // The first open and the first settlement at every byte; the others at their ends and here and there.
        0 | 2 => (0..=length).collect(),
        _ => (0..length).step_by(211).chain([1, length - 1, length]).collect(),
    }
}

#[tokio::test]
async fn house_13_7_each_attempt_is_booked_once_wherever_the_process_dies() {
    let mut world = World::new().await;
    world.begin();
    let mut life = Life::begin(&world);
    world.disk.plan(&[]);
    life.run().await.expect("no fault is planned");
    let (writes, syncs) = (world.disk.writes(), world.disk.syncs());
    assert!(writes.len() >= 11 && syncs >= 2, "{writes:?} {syncs}");
    drop(life);
    world.disk.restart(Loss::Nothing);
    world.take_over(9).await;
    let mut points = 0;
    for (write, length) in writes.into_iter().enumerate() {
        for bytes in cuts(write, length) {
            check(&mut world, Fault::DiesInWrite { write, bytes }).await;
            points += 1;
        }
    }
    for sync in 0..syncs {
        check(&mut world, Fault::DiesInSync { sync }).await;
        points += 1;
    }
    assert!(points > 1000, "{points}");
    world.verify().await;
}

#[tokio::test]
async fn house_13_7_a_batch_of_the_dead_that_arrives_while_its_journal_is_taken_over_is_not_booked_again() {
    let mut world = World::new().await;
    world.begin();
    let mut life = Life::begin(&world);
    life.run().await.expect("no fault is planned");
    let id = life.books.journal().id().to_string();
    life.books.journal().sync().expect("the disk is well");
    let mut entries = Vec::new();
    let tail = life.books.journal().tail(&mut Cursor::default(), |position, payload| {
        entries.push((position.sequence, payload.to_vec()));
        true
    });
    tail.expect("the journal can be read");
    drop(life);
    world.disk.restart(Loss::Nothing);
    // A transaction that the dead process had sent off: the store makes it between a look at the position and the first batch.
    let at = world.store.watermark(&id).await.expect("the store answers");
    let late: Vec<_> =
        entries.into_iter().filter(|(sequence, _)| i64::try_from(*sequence).unwrap() > at).take(2).collect();
    let upto = i64::try_from(late.last().expect("some are left").0).unwrap();
    let late = projection::batch(&Projecting::default(), &id, (at, upto), NOW, late);
    let (_journal, mut found) = world.open(2);
    let found = found.first_mut().expect("the journal of the dead");
    let settings = Projecting::default();
    let taking = books::take_over(found, &world.store, &settings, NOW);
    // The one connection serves who comes first: the look, then the late batch, then the rest of the taking over.
    let (taken, booked) = tokio::join!(taking, world.store.book(&late));
    taken.expect("it is taken over");
    assert_eq!(booked.expect("the store takes it"), Projected::Done { quarantined: Vec::new() });
    let booked: Vec<_> = world.booked().await.into_iter().map(|(_, booked)| booked).collect();
    assert_eq!(booked, [Ok(700), Ok(800), Err(900), Ok(0), Err(1000), Ok(1100)]);
    world.verify().await;
}

#[tokio::test]
async fn house_13_7_what_the_store_has_taken_without_saying_so_has_arrived() {
    let mut world = World::new().await;
    world.begin();
    let mut life = Life::begin(&world);
    life.open(1).expect("open");
    life.settle(1, 700, Certainty::Stated).expect("settled");
    life.books.journal().sync().expect("the disk is well");
    // Its answer is lost: a second projector of the same journal knows nothing of the first.
    let mut twin = world.projector(life.books.journal());
    twin.carry(Projecting::default(), |_, _, _| ()).await.expect("the store takes it");
    let arrived = std::cell::Cell::new(0);
    let hear = |window: &Window, nanos, _| {
        if window.kind == "key" {
            arrived.set(arrived.get() + nanos);
        }
    };
    while life.projector.carry(Projecting::default(), hear).await.expect("the store answers") > 0 {}
    assert_eq!(arrived.get(), 700);
    assert_eq!(world.booked().await.len(), 1);
}

#[tokio::test]
async fn house_13_7_a_store_restored_from_a_backup_is_caught_up_by_journals_that_were_kept() {
    let mut world = World::new().await;
    world.begin();
    let mut life = Life::begin(&world);
    life.run().await.expect("no fault is planned");
    drop(life);
    world.disk.restart(Loss::Nothing);
    world.take_over(2).await;
    let before = world.booked().await;
    assert_eq!(before.len(), 6);
    // A backup from before all of it.
    world.store = empty().await;
    world.take_over(3).await;
    assert_eq!(world.booked().await, before);
    world.verify().await;
    // And once it has caught up, what is kept is not even read.
    let (_journal, mut found) = world.open(4);
    for one in &mut found {
        books::take_over(one, &world.store, &Projecting::default(), NOW).await.expect("nothing is left");
    }
    assert_eq!(world.booked().await, before);
}

#[tokio::test]
async fn house_13_7_a_record_of_a_newer_version_is_kept_for_it() {
    let mut world = World::new().await;
    world.begin();
    let mut life = Life::begin(&world);
    life.open(1).expect("open");
    let newer = [tollgate_ledger::records::VERSION + 1, 77, 1, 2, 3];
    life.books.journal().append(&newer, Duration::ZERO).expect("the disk is well");
    life.settle(1, 700, Certainty::Stated).expect("settled");
    life.carry().await.expect("the disk is well");
    assert_eq!(world.booked().await.into_iter().map(|(_, booked)| booked).collect::<Vec<_>>(), [Ok(700)]);
    let kept = world.store.quarantined(Page { offset: 0, limit: 10 }).await.expect("the store answers");
    assert_eq!(
        kept.iter().map(|one| (one.position, one.record.as_slice())).collect::<Vec<_>>(),
        [(2, newer.as_slice())]
    );
    world.verify().await;
}
