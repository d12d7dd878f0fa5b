//! Instances, a store and providers in a world that is made of chance: calls, streams, aborts, crashes, lost disks, a store that
//! is away. `PROPTEST_CASES` says how many worlds are tried (256); a failure names the seed of its world.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use tollgate_ledger::{
    Book, Nanos, Record, Scope, Slot,
    book::{Applied, Verdict},
    estimate::{Asked, Reach, Stake, Step, TokenPrice, Watch, stake},
    lease::{Share, Till, Wish, bury, grant_all, slice},
    records::{Certainty, Corrected, Decoded, Facts, Open, Outcome, Progress, Settled, decode, encode},
};
use tollgate_wire::Usage;
use uuid::Uuid;

/// 15 USD for a million tokens.
const PRICE: TokenPrice = TokenPrice(15_000_000);
const STEPS: usize = 600;
/// A life of an instance: its journal's id.
type Life = u32;

/// Chance that repeats: splitmix64.
struct Chance(u64);

impl Chance {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % bound.max(1) as u64).expect("it is below a usize")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// A call that runs.
struct Call {
    attempt: Uuid,
    slots: Arc<[Slot]>,
    input: Nanos,
    held: Nanos,
    /// Of a stream that is watched.
    reach: Option<Reach>,
    /// Tokens that the provider has said, and will say.
    said: u64,
    will_say: u64,
    /// The request went out.
    is_sent: bool,
}

#[derive(Default)]
struct Instance {
    life: Life,
    book: Book,
    calls: Vec<Call>,
}

/// A journal on a disk. The number tells the order over all journals.
#[derive(Default)]
struct Journal {
    records: Vec<(u64, Record)>,
    projected: usize,
}

#[derive(Default)]
struct Row {
    budget: Nanos,
    spent: Nanos,
    unknown: Nanos,
    shares: BTreeMap<Life, Share>,
}

#[derive(Default)]
struct Store {
    rows: BTreeMap<Slot, Row>,
    attempts: HashMap<Uuid, Settled>,
    doubts: BTreeMap<Uuid, (Arc<[Slot]>, Nanos)>,
    /// What each life reported last as held.
    reported: HashMap<Life, HashMap<Slot, Nanos>>,
    is_away: bool,
}

struct World {
    chance: Chance,
    clock: u64,
    lives: Life,
    instances: Vec<Instance>,
    journals: BTreeMap<Life, Journal>,
    dead: BTreeSet<Life>,
    store: Store,
    keys: Vec<Arc<[Slot]>>,
    /// What the provider charged: the truth.
    charged: BTreeMap<Uuid, (Arc<[Slot]>, Nanos)>,
    /// Lost disks: what overspending they allow in each slot.
    bound: HashMap<Slot, Nanos>,
    /// Openings of lost journals, which nobody can know.
    lost: BTreeSet<Uuid>,
    lost_disks: usize,
    refused: usize,
}

impl Store {
    fn till(&self, slot: &Slot) -> Till {
        let row = &self.rows[slot];
        let outstanding = row.shares.values().map(Share::outstanding).sum();
        Till { budget: row.budget, spent: row.spent, unknown: row.unknown, outstanding }
    }

    /// All that is wanted in one transaction, in fixed order.
    fn grant(&mut self, life: Life, asked: &[(Slot, Wish)]) -> Vec<(Slot, Nanos, Nanos, Nanos)> {
        let tills: Vec<(Till, Wish)> = asked.iter().map(|(slot, wish)| (self.till(slot), *wish)).collect();
        let granted = grant_all(&tills).unwrap_or_else(|_| vec![Nanos::ZERO; asked.len()]);
        for ((slot, _), amount) in asked.iter().zip(&granted) {
            let share = self.rows.get_mut(slot).expect("it has a row").shares.entry(life).or_default();
            share.granted = share.granted.plus(*amount);
        }
        let word = |((slot, _), amount): (&(Slot, Wish), &Nanos)| {
            let till = self.till(slot);
            (slot.clone(), *amount, till.budget, till.left())
        };
        asked.iter().zip(&granted).map(word).collect()
    }

    /// Books one record of a journal: what the store's SQL does.
    fn project(&mut self, life: Life, record: &Record) {
        match record {
            Record::Settled(settled) => {
                if self.attempts.insert(settled.attempt, (**settled).clone()).is_some() {
                    panic!("an attempt is settled twice");
                }
                let amount = settled.cost.unwrap_or_default();
                let is_unknown = settled.certainty == Certainty::Unknown;
                for slot in settled.facts.slots.iter() {
                    let row = self.rows.get_mut(slot).expect("it has a row");
                    let kind = if is_unknown { &mut row.unknown } else { &mut row.spent };
                    *kind = kind.plus(amount);
                    if settled.outcome != Outcome::Died {
                        let share = row.shares.entry(life).or_default();
                        share.used = share.used.plus(amount);
                    }
                }
                if is_unknown {
                    self.doubts.insert(settled.attempt, (Arc::clone(&settled.facts.slots), amount));
                }
            }
            Record::Corrected(corrected) => {
                let attempt = corrected.attempt.expect("all of them state an attempt here");
                let Some((slots, amount)) = self.doubts.remove(&attempt) else { return };
                for slot in slots.iter() {
                    let row = self.rows.get_mut(slot).expect("it has a row");
                    row.unknown = row.unknown.minus(amount);
                    row.spent = row.spent.plus(corrected.change);
                }
            }
            Record::Open(_) | Record::Progress(_) | Record::Noted(_) => {}
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let slot = |scope: Scope| Slot { scope, period: None, since: 1_763_596_800 };
        let (team, mut keys, mut store) = (slot(Scope::Team("t".into())), Vec::new(), Store::default());
        for key in ["a", "b", "c"] {
            let own = slot(Scope::Key(key.into()));
            // The third key has no budget of its own.
            let budget = Nanos::new(1_000_000 * i64::try_from(chance.below(3_000)).expect("it is small"));
            let budget = if key == "c" { Nanos::MAX } else { budget };
            store.rows.insert(own.clone(), Row { budget, ..Row::default() });
            keys.push([own, team.clone()].into());
        }
        store.rows.insert(team, Row { budget: Nanos::dollars(2), ..Row::default() });
        let instances = 1 + chance.below(3);
        let mut world = Self {
            chance,
            clock: 0,
            lives: 0,
            instances: Vec::new(),
            journals: BTreeMap::new(),
            dead: BTreeSet::new(),
            store,
            keys,
            charged: BTreeMap::new(),
            bound: HashMap::new(),
            lost: BTreeSet::new(),
            lost_disks: 0,
            refused: 0,
        };
        (0..instances).for_each(|_| world.begin_life());
        world
    }

    fn begin_life(&mut self) {
        self.lives += 1;
        self.journals.insert(self.lives, Journal::default());
        self.instances.push(Instance { life: self.lives, ..Instance::default() });
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.chance.roll(), self.chance.roll())
    }

    /// Writes a record, as its bytes, and books it.
    fn write(&mut self, at: usize, record: &Record) -> Applied {
        let mut bytes = Vec::new();
        encode(record, &mut bytes).expect("it fits");
        let Ok(Decoded::Record(record, _)) = decode(&bytes) else { panic!("what was written is read") };
        self.clock += 1;
        let instance = &mut self.instances[at];
        let journal = self.journals.get_mut(&instance.life).expect("a living one has a journal");
        journal.records.push((self.clock, record.clone()));
        instance.book.apply(&record)
    }

    fn step(&mut self) {
        let at = self.chance.below(self.instances.len());
        match self.chance.below(100) {
            0..=29 => self.begin_call(at),
            30..=69 => self.go_on(at),
            70..=79 => self.project(at),
            80..=84 => self.renew(at),
            85..=88 => self.report(at),
            89..=91 => self.store.is_away = self.chance.one_in(3),
            92..=93 => self.crash(at),
            94..=97 => self.recover(at),
            _ => self.state_one(at),
        }
    }

    fn begin_call(&mut self, at: usize) {
        let slots = Arc::clone(&self.keys[self.chance.below(self.keys.len())]);
        if !self.look_up(at, &slots) {
            return;
        }
        let input = Nanos::new(1_000 * i64::try_from(self.chance.below(2_000)).expect("it is small"));
        let most = [40, 800, 20_000][self.chance.below(3)];
        let watch = if self.chance.one_in(2) { Watch::Visible } else { Watch::Hidden };
        let asked = Asked { input, output: PRICE, most, watch };
        let reach = self.instances[at].book.within_reach(&slots).expect("it has a budget");
        let Stake::Holds { amount, tokens, lowered } = stake(&asked, reach) else {
            self.refused += 1;
            return;
        };
        let attempt = self.id();
        if !self.hold(at, |book| book.reserve(attempt, &slots, amount, input)) {
            self.refused += 1;
            return;
        }
        // The journal may be full: nothing was sent.
        if self.chance.one_in(20) {
            self.instances[at].book.give_up(attempt);
            return;
        }
        let facts = Facts { slots: Arc::clone(&slots), ..Facts::default() };
        self.write(at, &Record::Open(Box::new(Open { attempt, facts, held: amount, input })));
        let will_say = self.chance.below(usize::try_from(lowered.unwrap_or(most)).expect("it is small") + 1) as u64;
        let reach = (watch == Watch::Visible).then(|| Reach::new(&asked, tokens));
        let is_sent = !self.chance.one_in(10);
        let call = Call { attempt, slots, input, held: amount, reach, said: 0, will_say, is_sent };
        self.instances[at].calls.push(call);
    }

    /// The first word on a budget comes with the look-up of the key.
    fn look_up(&mut self, at: usize, slots: &Arc<[Slot]>) -> bool {
        let instance = &mut self.instances[at];
        let is_new = |slot: &&Slot| instance.book.within_reach(std::slice::from_ref(*slot)).is_none();
        let first = |slot: &Slot| (slot.clone(), Wish { need: Nanos::ZERO, want: slice(self.store.rows[slot].budget) });
        let unknown: Vec<(Slot, Wish)> = slots.iter().filter(is_new).map(first).collect();
        if unknown.is_empty() {
            return true;
        }
        if self.store.is_away {
            return false;
        }
        for (slot, granted, budget, left) in self.store.grant(instance.life, &unknown) {
            instance.book.fund(&slot, granted, budget, left);
        }
        true
    }

    /// Asks the store where it may have what is missing.
    fn hold(&mut self, at: usize, mut ask: impl FnMut(&mut Book) -> Verdict) -> bool {
        for _ in 0..3 {
            let instance = &mut self.instances[at];
            match ask(&mut instance.book) {
                Verdict::Holds => return true,
                Verdict::Ask(asked) if !self.store.is_away => {
                    for (slot, granted, budget, left) in self.store.grant(instance.life, &asked) {
                        instance.book.fund(&slot, granted, budget, left);
                    }
                }
                Verdict::Ask(_) | Verdict::Wait(_) | Verdict::Refused(_) => return false,
            }
        }
        false
    }

    /// One of the calls gets a step further, or ends.
    fn go_on(&mut self, at: usize) {
        if self.instances[at].calls.is_empty() {
            return;
        }
        let chosen = self.chance.below(self.instances[at].calls.len());
        let mut call = self.instances[at].calls.swap_remove(chosen);
        if !call.is_sent {
            if self.chance.one_in(3) {
                // The provider was never reached.
                self.settle(at, &call, Some(Nanos::ZERO), Certainty::Stated);
            } else {
                call.is_sent = true;
                self.instances[at].calls.push(call);
            }
            return;
        }
        let more = 1 + self.chance.below(300) as u64;
        let next = (call.said + more).min(call.will_say);
        let is_ended = !self.pay_for(at, &mut call, next);
        let cost = call.input.plus(PRICE.times(call.said));
        if is_ended || call.said == call.will_say {
            let certainty = if self.chance.one_in(4) { Certainty::Counted } else { Certainty::Stated };
            self.settle(at, &call, Some(cost), certainty);
        } else if self.chance.one_in(10) {
            // The client leaves: what came is counted. Of a whole answer nothing came.
            let hidden = call.reach.is_none();
            self.settle(
                at,
                &call,
                (!hidden).then_some(cost),
                if hidden { Certainty::Unknown } else { Certainty::Counted },
            );
        } else {
            self.instances[at].calls.push(call);
        }
    }

    /// What a visible stream says is paid for before it comes; `false` when its money ends.
    fn pay_for(&mut self, at: usize, call: &mut Call, next: u64) -> bool {
        let Some(mut reach) = call.reach else {
            call.said = next;
            return true;
        };
        let mut goes_on = true;
        while call.said < next {
            if let Step::TopUp { amount, tokens } = reach.at(call.said) {
                let attempt = call.attempt;
                if self.hold(at, |book| book.top_up(attempt, amount)) {
                    reach.topped_up(tokens);
                    call.held = call.held.plus(amount);
                    let so_far = call.input.plus(PRICE.times(call.said));
                    let (held, usage, at_time) = (call.held, Usage::default(), Duration::ZERO);
                    self.write(at, &Record::Progress(Progress { attempt, held, so_far, usage, at: at_time }));
                } else if reach.refused(call.said) == Step::End {
                    goes_on = false;
                    break;
                }
            }
            call.said += 1;
        }
        call.reach = Some(reach);
        goes_on
    }

    fn settle(&mut self, at: usize, call: &Call, cost: Option<Nanos>, certainty: Certainty) {
        let charged = call.input.plus(PRICE.times(call.said));
        let charged = if call.is_sent { charged } else { Nanos::ZERO };
        self.charged.insert(call.attempt, (Arc::clone(&call.slots), charged));
        let facts = Facts { slots: Arc::clone(&call.slots), ..Facts::default() };
        let settled = Settled {
            attempt: call.attempt,
            facts,
            cost: cost.or(Some(call.held)),
            at_least: call.input,
            certainty,
            usage: Usage::default(),
            outcome: Outcome::Answered,
            status: 200,
            first_byte: None,
            took: Duration::ZERO,
            answer: Arc::default(),
        };
        let record = Record::Settled(Box::new(settled));
        assert_eq!(self.write(at, &record), Applied::Booked);
        // Now and then it is not sure that it was written, and is written again.
        if self.chance.one_in(10) {
            assert_eq!(self.write(at, &record), Applied::Again);
        }
    }

    fn project(&mut self, at: usize) {
        if !self.store.is_away {
            let (life, batch) = (self.instances[at].life, 1 + self.chance.below(20));
            self.project_some(life, batch);
        }
    }

    fn project_some(&mut self, life: Life, batch: usize) {
        let journal = self.journals.get_mut(&life).expect("it has a journal");
        for (_, record) in journal.records.iter().skip(journal.projected).take(batch) {
            // By attempt and kind, a second settlement says nothing new.
            let is_again =
                matches!(record, Record::Settled(settled) if self.store.attempts.contains_key(&settled.attempt));
            if !is_again {
                self.store.project(life, record);
            }
        }
        journal.projected = journal.records.len().min(journal.projected + batch);
    }

    fn renew(&mut self, at: usize) {
        if self.store.is_away {
            return;
        }
        let instance = &mut self.instances[at];
        let wishes: Vec<(Slot, Wish)> = instance.book.renewals().map(|(slot, wish)| (slot.clone(), wish)).collect();
        for (slot, granted, budget, left) in self.store.grant(instance.life, &wishes) {
            instance.book.fund(&slot, granted, budget, left);
        }
        if self.chance.one_in(4) {
            for slot in self.store.rows.keys().cloned().collect::<Vec<_>>() {
                let back = instance.book.give_back(&slot, Nanos::ZERO);
                if back > Nanos::ZERO {
                    let share = self.store.rows.get_mut(&slot).and_then(|row| row.shares.get_mut(&instance.life));
                    let share = share.expect("it had a share");
                    share.granted = share.granted.minus(back);
                }
            }
        }
    }

    fn report(&mut self, at: usize) {
        if !self.store.is_away {
            let instance = &self.instances[at];
            let held = instance.book.balances().map(|(slot, balance)| (slot.clone(), balance.held)).collect();
            self.store.reported.insert(instance.life, held);
        }
    }

    /// The process dies, with its calls; another one begins. Sometimes its disk dies as well.
    fn crash(&mut self, at: usize) {
        let instance = self.instances.swap_remove(at);
        for call in instance.calls {
            // The provider bills what it had said, or all of it, or never got the request.
            let said = if self.chance.one_in(2) { call.said } else { call.will_say.min(paid(&call)) };
            let charged = if call.is_sent { call.input.plus(PRICE.times(said)) } else { Nanos::ZERO };
            self.charged.insert(call.attempt, (call.slots, charged));
        }
        if self.chance.one_in(8) {
            self.lose_disk(instance.life);
        } else {
            self.dead.insert(instance.life);
        }
        self.begin_life();
    }

    /// What was in its journal and not in the store is gone. What it last reported is unknown from now on.
    fn lose_disk(&mut self, life: Life) {
        self.lost_disks += 1;
        let journal = self.journals.remove(&life).expect("it had a journal");
        for (_, record) in &journal.records {
            if let Record::Open(open) = record
                && !self.store.attempts.contains_key(&open.attempt)
            {
                self.lost.insert(open.attempt);
            }
        }
        let reported = self.store.reported.remove(&life).unwrap_or_default();
        for (slot, row) in &mut self.store.rows {
            let Some(share) = row.shares.remove(&life) else { continue };
            let bound = self.bound.entry(slot.clone()).or_default();
            *bound = bound.plus(share.outstanding());
            // It was never stated by anybody, so it is charged nothing in the end.
            let burial = bury(share, Some(reported.get(slot).copied().unwrap_or_default()));
            assert_eq!(burial.unknown.plus(burial.returned), share.outstanding());
        }
    }

    /// A living instance takes over the journal of a dead one.
    fn recover(&mut self, at: usize) {
        let Some(life) = self.dead.first().copied().filter(|_| !self.store.is_away) else { return };
        self.project_some(life, 1 << 20);
        let mut book = Book::default();
        for (_, record) in &self.journals[&life].records {
            book.apply(record);
        }
        let mut left = book.left_open();
        left.sort_by_key(|settled| settled.attempt);
        let is_interrupted = self.chance.one_in(5);
        let known = |attempt: &Uuid| self.store.attempts.contains_key(attempt);
        left.retain(|settled| !known(&settled.attempt));
        let count = if is_interrupted { left.len() / 2 } else { left.len() };
        for settled in left.into_iter().take(count) {
            self.write(at, &Record::Settled(Box::new(settled)));
        }
        if is_interrupted {
            return;
        }
        // First what it left open is unknown in the store, then its lease returns.
        self.project_some(self.instances[at].life, 1 << 20);
        for row in self.store.rows.values_mut() {
            if let Some(share) = row.shares.remove(&life) {
                assert_eq!(bury(share, None).returned, share.outstanding());
            }
        }
        self.dead.remove(&life);
    }

    /// Somebody states what an unknown attempt has cost.
    fn state_one(&mut self, at: usize) {
        let Some((attempt, (slots, _))) = self.store.doubts.iter().next().map(|(id, doubt)| (*id, doubt.clone()))
        else {
            return;
        };
        let change = self.charged[&attempt].1;
        let (id, author, reason) = (self.id(), "admin".into(), "the bill says so".into());
        let at_time = Duration::ZERO;
        let corrected =
            Corrected { id, attempt: Some(attempt), slots, change, states_unknown: true, author, reason, at: at_time };
        self.write(at, &Record::Corrected(Box::new(corrected)));
    }

    /// After every step: no money is made or lost in the store, and nobody has spent what was not there.
    fn check(&self) {
        for (slot, row) in &self.store.rows {
            let till = self.store.till(slot);
            let gone = till.spent.plus(till.unknown);
            assert!(till.left() == row.budget.less(gone.plus(till.outstanding)));
            // Between what a dead instance left open is booked and its lease returns, that money is held twice.
            let living = row.shares.iter().filter(|(life, _)| !self.dead.contains(life));
            let parts = gone.plus(living.map(|(_, share)| share.outstanding()).sum());
            let bound = self.bound.get(slot).copied().unwrap_or_default();
            assert!(parts <= row.budget.plus(bound), "{slot:?}: {till:?}");
            for instance in &self.instances {
                let balance = instance.book.balance(slot);
                assert!(balance.held >= Nanos::ZERO, "{slot:?}: {balance:?}");
            }
        }
        // What providers charged is within each budget, but for what lost disks allow.
        let mut charged: HashMap<&Slot, Nanos> = HashMap::new();
        for (slots, cost) in self.charged.values() {
            for slot in slots.iter() {
                let sum = charged.entry(slot).or_default();
                *sum = sum.plus(*cost);
            }
        }
        for (slot, sum) in charged {
            let bound = self.bound.get(slot).copied().unwrap_or_default();
            assert!(sum <= self.store.rows[slot].budget.plus(bound), "{slot:?}: {sum} was charged");
        }
    }

    /// Faults stop; everything ends.
    fn drain(&mut self) {
        self.store.is_away = false;
        for at in 0..self.instances.len() {
            let mut steps = 0;
            while !self.instances[at].calls.is_empty() {
                self.go_on(at);
                steps += 1;
                assert!(steps < 200_000, "calls do not end");
            }
        }
        for _ in 0..10_000 {
            if self.dead.is_empty() {
                break;
            }
            self.recover(0);
        }
        assert!(self.dead.is_empty(), "dead instances are not recovered");
        for _ in 0..10_000 {
            let lives: Vec<Life> = self.instances.iter().map(|instance| instance.life).collect();
            lives.into_iter().for_each(|life| self.project_some(life, 1 << 20));
            if self.store.doubts.is_empty() {
                break;
            }
            self.state_one(0);
        }
    }

    /// In the end: each attempt is booked once, at what the provider charged; nothing else is booked, but for openings that
    /// were never sent; nothing is held or unknown; and whoever reads all journals comes to the same.
    fn account(&self) {
        let mut sums: BTreeMap<&Slot, Nanos> = BTreeMap::new();
        for (attempt, (slots, cost)) in &self.charged {
            let is_booked = self.store.attempts.contains_key(attempt);
            assert!(is_booked != self.lost.contains(attempt), "{attempt} is booked: {is_booked}");
            for slot in slots.iter().filter(|_| is_booked) {
                let sum = sums.entry(slot).or_default();
                *sum = sum.plus(*cost);
            }
        }
        assert!(self.store.attempts.keys().all(|attempt| self.charged.contains_key(attempt)));
        let mut all: Vec<&(u64, Record)> = self.journals.values().flat_map(|journal| &journal.records).collect();
        all.sort_by_key(|(clock, _)| *clock);
        let mut read = Book::default();
        for (_, record) in all {
            read.apply(record);
        }
        for (slot, row) in &self.store.rows {
            assert_eq!(row.spent, sums.get(slot).copied().unwrap_or_default(), "{slot:?}");
            assert_eq!(row.unknown, Nanos::ZERO, "{slot:?}");
            // A lost disk may have held what a third instance had left open, too.
            if self.lost_disks == 0 {
                let balance = read.balance(slot);
                assert_eq!((balance.settled, balance.held, balance.unknown), (row.spent, Nanos::ZERO, Nanos::ZERO));
            }
            for instance in &self.instances {
                assert_eq!(instance.book.balance(slot).held, Nanos::ZERO, "{slot:?}");
                // What an instance thinks that it has is what the store thinks.
                let share = row.shares.get(&instance.life).copied().unwrap_or_default();
                assert_eq!(instance.book.clone().give_back(slot, Nanos::ZERO), share.outstanding(), "{slot:?}");
            }
        }
    }
}

/// Tokens of a stream that were paid for; of a hidden answer all are.
fn paid(call: &Call) -> u64 {
    let held = call.held.minus(call.input);
    call.reach.map_or(u64::MAX, |_| PRICE.tokens_for(held))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_and_no_budget_is_passed_whatever_happens(seed: u64) {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
            world.check();
        }
        world.drain();
        world.check();
        world.account();
    }
}

/// The worlds are worth something: calls are made and refused, processes and disks die.
#[test]
fn the_worlds_are_full_of_life_and_death() {
    let (mut attempts, mut refused, mut lost, mut died) = (0, 0, 0, 0);
    for seed in 0..30 {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        world.drain();
        attempts += world.charged.len();
        refused += world.refused;
        lost += world.lost.len();
        died += world.store.attempts.values().filter(|settled| settled.outcome == Outcome::Died).count();
    }
    assert!(attempts > 1_000 && refused > 100 && lost > 5 && died > 50, "{attempts} {refused} {lost} {died}");
}
