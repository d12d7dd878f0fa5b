use proptest::prelude::*;

use super::*;
use crate::Scope;

const DOLLAR: Nanos = Nanos::dollars(1);

fn slot(name: &str) -> Slot {
    Slot::forever(Scope::Key(name.into()))
}

fn slots(names: &[&str]) -> Arc<[Slot]> {
    names.iter().map(|name| slot(name)).collect()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn cents(cents: i64) -> Nanos {
    Nanos::new(cents * 10_000_000)
}

/// A book in which this much is free for each of them, and nothing more can be had.
fn book(funds: &[(&str, Nanos)]) -> Book {
    let mut book = Book::default();
    for (name, amount) in funds {
        book.fund(&slot(name), *amount, *amount, Nanos::ZERO);
    }
    book
}

fn open(attempt: Uuid, slots: &Arc<[Slot]>, held: Nanos, input: Nanos) -> Record {
    let facts = Facts { slots: Arc::clone(slots), ..Facts::default() };
    Record::Open(Box::new(Open { attempt, facts, held, input }))
}

fn settled(attempt: Uuid, slots: &Arc<[Slot]>, cost: Nanos, certainty: Certainty) -> Record {
    let facts = Facts { slots: Arc::clone(slots), started: Duration::from_secs(100), ..Facts::default() };
    Record::Settled(Box::new(Settled {
        attempt,
        facts,
        cost: Some(cost),
        at_least: cents(1),
        certainty,
        usage: tollgate_wire::Usage::default(),
        outcome: Outcome::Answered,
        status: 200,
        first_byte: None,
        took: Duration::from_secs(1),
        answer: Arc::default(),
    }))
}

fn states(correction: u128, attempt: Uuid, slots: &Arc<[Slot]>, change: Nanos) -> Record {
    Record::Corrected(Box::new(Corrected {
        id: id(correction),
        attempt: Some(attempt),
        slots: Arc::clone(slots),
        change,
        states_unknown: true,
        author: "admin".into(),
        reason: "the bill says so".into(),
        at: Duration::ZERO,
    }))
}

fn balance(settled: i64, held: i64, unknown: i64) -> Balance {
    Balance { settled: cents(settled), held: cents(held), unknown: cents(unknown) }
}

#[test]
fn house_13_2_money_is_held_in_all_slots_or_in_none() {
    let mut book = book(&[("rich", DOLLAR), ("poor", cents(5))]);
    let both = slots(&["rich", "poor", "without a budget"]);
    let Verdict::Refused(refusal) = book.reserve(id(1), &both, cents(6), Nanos::ZERO) else { panic!() };
    assert_eq!((refusal.slot, refusal.budget, refusal.needs), (slot("poor"), cents(5), cents(6)));
    assert_eq!(book.balances().count(), 0);
    assert_eq!(book.reserve(id(1), &both, cents(5), Nanos::ZERO), Verdict::Holds);
    assert_eq!(book.balance(&slot("rich")), balance(0, 5, 0));
    assert_eq!(book.balance(&slot("without a budget")), balance(0, 5, 0));
}

#[test]
fn house_13_3_what_is_merely_held_is_waited_for_and_what_the_store_has_is_asked_for() {
    let mut book = Book::default();
    let key = slots(&["key"]);
    book.fund(&key[0], cents(2), DOLLAR, cents(3));
    assert_eq!(book.reserve(id(1), &key, cents(2), Nanos::ZERO), Verdict::Holds);
    let Verdict::Ask(asked) = book.reserve(id(2), &key, cents(3), Nanos::ZERO) else { panic!() };
    assert_eq!((asked[0].1.need, asked[0].1.want), (cents(3), cents(4)));
    let Verdict::Wait(refusal) = book.reserve(id(2), &key, cents(5), Nanos::ZERO) else { panic!() };
    assert_eq!((refusal.spent, refusal.held), (cents(95), cents(2)));
    assert!(matches!(book.reserve(id(2), &key, cents(6), Nanos::ZERO), Verdict::Refused(_)));
    assert_eq!(book.within_reach(&key), Some(cents(3)));
    assert_eq!(book.within_reach(&slots(&["free"])), None);
}

#[test]
fn house_13_3_what_costs_nothing_is_never_refused() {
    let mut book = book(&[("spent", cents(1))]);
    let key = slots(&["spent"]);
    book.apply(&settled(id(1), &key, cents(9), Certainty::Stated));
    assert_eq!(book.reserve(id(2), &key, Nanos::ZERO, Nanos::ZERO), Verdict::Holds);
}

#[test]
fn house_13_3_a_reservation_that_is_given_up_is_free_again() {
    let mut book = book(&[("key", cents(5))]);
    let key = slots(&["key"]);
    assert_eq!(book.reserve(id(1), &key, cents(2), Nanos::ZERO), Verdict::Holds);
    assert_eq!(book.top_up(id(1), cents(3)), Verdict::Holds);
    assert!(matches!(book.top_up(id(1), cents(1)), Verdict::Refused(_)));
    book.give_up(id(1));
    book.give_up(id(1));
    assert_eq!(book.balance(&key[0]), balance(0, 0, 0));
}

#[test]
fn house_13_3_a_sweep_compares_guards_with_totals_and_repairs_differences() {
    let mut book = book(&[("key", DOLLAR)]);
    let key = slots(&["key"]);
    book.reserve(id(1), &key, cents(2), Nanos::ZERO);
    book.reserve(id(2), &key, cents(3), Nanos::ZERO);
    assert_eq!(book.sweep(|_| true), Swept::default());
    book.accounts.get_mut(&key[0]).unwrap().balance.held = cents(77);
    let swept = book.sweep(|attempt| attempt == id(1));
    assert_eq!((swept.repaired, swept.abandoned), (vec![key[0].clone()], vec![id(2)]));
    assert_eq!(book.balance(&key[0]), balance(0, 5, 0));
}

#[test]
fn house_13_6_a_settlement_is_booked_once_by_its_certainty() {
    let mut book = book(&[("key", DOLLAR)]);
    let key = slots(&["key"]);
    for (attempt, certainty) in [(1, Certainty::Stated), (2, Certainty::Counted), (3, Certainty::Unknown)] {
        book.reserve(id(attempt), &key, cents(10), Nanos::ZERO);
        assert_eq!(book.apply(&open(id(attempt), &key, cents(10), Nanos::ZERO)), Applied::Again);
        let record = settled(id(attempt), &key, cents(7), certainty);
        assert_eq!((book.apply(&record), book.apply(&record)), (Applied::Booked, Applied::Again));
    }
    assert_eq!(book.balance(&key[0]), balance(14, 0, 7));
    assert_eq!(book.within_reach(&key), Some(cents(79)));
}

#[test]
fn house_13_10_a_reservation_settles_into_the_window_it_opened_in() {
    let mut book = Book::default();
    let (old, new) = (slot("key"), Slot { since: 3600, ..slot("key") });
    let frozen: Arc<[Slot]> = Arc::new([old.clone()]);
    book.reserve(id(1), &frozen, cents(4), Nanos::ZERO);
    book.apply(&settled(id(1), &[new.clone()].into(), cents(3), Certainty::Stated));
    assert_eq!((book.balance(&old), book.balance(&new)), (balance(3, 0, 0), balance(0, 0, 0)));
    book.forget(|slot| slot.since < 3600);
    assert_eq!(book.balances().count(), 0);
}

#[test]
fn house_13_11_unknown_holds_its_amount_until_it_is_stated_once() {
    let mut book = book(&[("key", DOLLAR)]);
    let key = slots(&["key"]);
    book.apply(&settled(id(1), &key, cents(9), Certainty::Unknown));
    assert_eq!(book.balance(&key[0]), balance(0, 0, 9));
    assert_eq!(book.apply(&states(50, id(1), &key, cents(4))), Applied::Booked);
    assert_eq!(book.apply(&states(51, id(1), &key, cents(6))), Applied::Again);
    assert_eq!(book.balance(&key[0]), balance(4, 0, 0));
}

#[test]
fn house_13_11_after_a_day_an_unknown_attempt_is_charged_what_it_costs_at_least() {
    let mut book = Book::default();
    let (key, day) = (slots(&["key"]), Duration::from_hours(24));
    book.apply(&settled(id(1), &key, cents(9), Certainty::Unknown));
    assert_eq!(book.overdue(Duration::from_secs(100) + day, day).len(), 0);
    let due = book.overdue(Duration::from_secs(101) + day, day);
    assert_eq!((due[0].0, due[0].1.at_least), (id(1), cents(1)));
}

#[test]
fn house_13_11_spend_is_changed_by_corrections_only() {
    let mut book = Book::default();
    let key = slots(&["key"]);
    book.apply(&settled(id(1), &key, cents(9), Certainty::Stated));
    let Record::Corrected(mut reset) = states(50, id(1), &key, cents(-9)) else { panic!() };
    (reset.attempt, reset.states_unknown) = (None, false);
    let reset = Record::Corrected(reset);
    assert_eq!((book.apply(&reset), book.apply(&reset)), (Applied::Booked, Applied::Again));
    assert_eq!(book.balance(&key[0]), balance(0, 0, 0));
}

#[test]
fn house_13_8_what_a_dead_process_left_open_is_unknown() {
    let mut book = Book::default();
    let key = slots(&["key"]);
    book.apply(&open(id(1), &key, cents(9), cents(2)));
    book.apply(&open(id(2), &key, cents(9), cents(2)));
    book.apply(&settled(id(2), &key, cents(5), Certainty::Stated));
    let (held, so_far) = (cents(12), cents(8));
    let usage = tollgate_wire::Usage::default();
    book.apply(&Record::Progress(Progress { attempt: id(1), held, so_far, usage, at: Duration::ZERO }));
    let left = book.left_open();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].cost, left[0].at_least, left[0].certainty), (Some(held), so_far, Certainty::Unknown));
    assert_eq!(book.apply(&Record::Settled(Box::new(left[0].clone()))), Applied::Booked);
    assert_eq!(book.balance(&key[0]), balance(5, 0, 12));
}

/// One thing that happens to a book.
#[derive(Clone, Debug)]
enum Move {
    Reserve(u128, usize, i64),
    TopUp(u128, i64),
    GiveUp(u128),
    Settle(u128, i64, u8),
    State(u128, i64),
    Refund(usize, i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let (attempt, amount) = (0..12_u128, 0..40_i64);
    let one = prop_oneof![
        4 => (attempt.clone(), 0..3_usize, amount.clone()).prop_map(|(id, who, amount)| Move::Reserve(id, who, amount)),
        2 => (attempt.clone(), amount.clone()).prop_map(|(id, amount)| Move::TopUp(id, amount)),
        1 => attempt.clone().prop_map(Move::GiveUp),
        3 => (attempt.clone(), amount.clone(), 0..3_u8).prop_map(|(id, cost, how)| Move::Settle(id, cost, how)),
        1 => (attempt, amount.clone()).prop_map(|(id, cost)| Move::State(id, cost)),
        1 => (0..3_usize, amount).prop_map(|(who, amount)| Move::Refund(who, amount)),
    ];
    proptest::collection::vec(one, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The books of who lived through it are those of who reads the records; and nobody ever holds more than there is.
    #[test]
    fn house_13_4_the_books_are_a_fold_of_the_records(moves in moves()) {
        let callers = [slots(&["a", "team"]), slots(&["b", "team"]), slots(&["c"])];
        let mut live = book(&[("a", DOLLAR), ("b", cents(60)), ("team", cents(120))]);
        let (mut written, mut whose, mut next) = (Vec::new(), HashMap::new(), 1000_u128);
        for one in moves {
            next += 1;
            let before = written.len();
            match one {
                Move::Reserve(attempt, who, amount) => {
                    let is_new = !live.running.contains_key(&id(attempt)) && !live.ended.contains(&id(attempt));
                    if is_new && live.reserve(id(attempt), &callers[who], cents(amount), cents(1)) == Verdict::Holds {
                        whose.insert(attempt, who);
                        written.push(open(id(attempt), &callers[who], cents(amount), cents(1)));
                    }
                }
                Move::TopUp(attempt, by) => {
                    if live.running.contains_key(&id(attempt)) && live.top_up(id(attempt), cents(by)) == Verdict::Holds {
                        let held = live.running[&id(attempt)].held;
                        let usage = tollgate_wire::Usage::default();
                        written.push(Record::Progress(Progress {
                            attempt: id(attempt), held, so_far: cents(2), usage, at: Duration::ZERO,
                        }));
                    }
                }
                // Its opening could not be written: there is no record of it.
                Move::GiveUp(attempt) => {
                    if matches!(written.last(), Some(Record::Open(open)) if open.attempt == id(attempt)) {
                        live.give_up(id(attempt));
                        written.pop();
                    }
                    continue;
                }
                Move::Settle(attempt, cost, how) => {
                    let certainty = [Certainty::Stated, Certainty::Counted, Certainty::Unknown][usize::from(how)];
                    if let Some(running) = live.running.get(&id(attempt)) {
                        let cost = cents(cost).min(running.held);
                        written.push(settled(id(attempt), &callers[whose[&attempt]], cost, certainty));
                    }
                }
                Move::State(attempt, cost) => {
                    if let Some(who) = whose.get(&attempt).filter(|_| live.doubts.contains_key(&id(attempt))) {
                        written.push(states(next, id(attempt), &callers[*who], cents(cost)));
                    }
                }
                Move::Refund(who, amount) => {
                    let Record::Corrected(mut refund) = states(next, id(0), &callers[who], cents(-amount)) else { panic!() };
                    (refund.attempt, refund.states_unknown) = (None, false);
                    written.push(Record::Corrected(refund));
                }
            }
            for record in &written[before..] {
                live.apply(record);
            }
            for (name, funds) in [("a", DOLLAR), ("b", cents(60)), ("team", cents(120))] {
                let account = &live.accounts[&slot(name)];
                prop_assert!(account.free().unwrap() >= Nanos::ZERO, "{name} of {funds}");
            }
        }
        let mut read = Book::default();
        for record in written.iter().chain(&written) {
            read.apply(record);
        }
        let sorted = |book: &Book| {
            let mut all: Vec<_> = book.balances().map(|(slot, balance)| (slot.clone(), balance)).collect();
            all.sort_by(|one, other| one.0.cmp(&other.0));
            all
        };
        prop_assert_eq!(sorted(&live), sorted(&read));
        prop_assert_eq!(live.sweep(|_| true), Swept::default());
        prop_assert_eq!(read.sweep(|_| true), Swept::default());
    }
}
