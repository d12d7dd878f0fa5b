//! Budgets are at home in the store. It moves money to instances in slices, and calls spend from those.
//!
//! What the store has to compute is [`Till`]; its SQL says the same. What an instance knows is a [`Purse`]. For each slot and
//! instance the store adds up what it moved there and what came back as spent or unknown ([`Share`]); both sums only grow, but
//! for money that is given back. A bound on overspending follows: none while disks last, since what an instance spends it holds, and
//! each cent spent is in its journal; one lease for an instance whose disk is lost.

use crate::Nanos;

/// The least that is moved at once.
const LEAST: Nanos = Nanos::new(10_000_000);

/// What is moved at once: 2 % of the budget, and at least a cent.
#[must_use]
pub fn slice(budget: Nanos) -> Nanos {
    budget.part(2, 100).max(LEAST)
}

/// What one instance has of one slot, as the store knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Moved to it, less what it gave back.
    pub granted: Nanos,
    /// What came back from it as spent or as unknown, by its records that are in the store.
    pub used: Nanos,
}

impl Share {
    /// What it may still spend, or has spent and not yet told.
    #[must_use]
    pub fn outstanding(&self) -> Nanos {
        self.granted.less(self.used)
    }
}

/// One slot's budget in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Till {
    /// The budget, as it is now: it may be changed.
    pub budget: Nanos,
    /// What is spent, corrections included.
    pub spent: Nanos,
    /// What is held for attempts that nobody knows the cost of.
    pub unknown: Nanos,
    /// What all instances have outstanding.
    pub outstanding: Nanos,
}

/// What an instance asks for one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// With less it can do nothing.
    pub need: Nanos,
    /// What it would like to have.
    pub want: Nanos,
}

impl Till {
    /// What can still be moved to somebody.
    #[must_use]
    pub fn left(&self) -> Nanos {
        self.budget.less(self.spent.plus(self.unknown).plus(self.outstanding))
    }

    /// What is moved: all that is wanted, what is left of it, or nothing where less than what is needed is left.
    #[must_use]
    pub fn grant(&self, wish: Wish) -> Nanos {
        let granted = wish.want.max(wish.need).min(self.left());
        if granted < wish.need { Nanos::ZERO } else { granted }
    }
}

/// What is moved for all slots of a call: everything that is needed, or nothing at all.
///
/// # Errors
/// The place of the first slot that has too little left.
pub fn grant_all(asked: &[(Till, Wish)]) -> Result<Vec<Nanos>, usize> {
    match asked.iter().position(|(till, wish)| wish.need > till.left()) {
        Some(place) => Err(place),
        None => Ok(asked.iter().map(|(till, wish)| till.grant(*wish)).collect()),
    }
}

/// What becomes of the lease of an instance that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burial {
    /// Held as unknown.
    pub unknown: Nanos,
    /// Back in the till.
    pub returned: Nanos,
}

/// Settles the lease of a dead instance. With its journal replayed, `reported` is `None`: its records have said all, and what
/// they left open is unknown by its own settlement. Without it, what it last reported as reserved becomes unknown.
#[must_use]
pub fn bury(share: Share, reported: Option<Nanos>) -> Burial {
    let outstanding = share.outstanding();
    let unknown = reported.unwrap_or_default().max(Nanos::ZERO).min(outstanding);
    Burial { unknown, returned: outstanding.minus(unknown) }
}

/// What an instance has of one slot, and what the store said last of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    budget: Nanos,
    granted: Nanos,
    used: Nanos,
    left: Nanos,
}

impl Purse {
    /// The budget.
    #[must_use]
    pub fn budget(&self) -> Nanos {
        self.budget
    }

    /// What can be spent at once, when so much of it is held already. Negative when something cost more than was held.
    #[must_use]
    pub fn free(&self, held: Nanos) -> Nanos {
        self.granted.minus(self.used).minus(held)
    }

    /// What the store could still move here, when it was asked last.
    #[must_use]
    pub fn left(&self) -> Nanos {
        self.left
    }

    /// What is gone from the budget as far as is known here: spent, or in the hands of other instances.
    #[must_use]
    pub fn gone(&self) -> Nanos {
        self.budget.minus(self.left).minus(self.granted.less(self.used))
    }

    /// What was spent here, or became unknown.
    #[must_use]
    pub fn used(&self) -> Nanos {
        self.used
    }

    /// What the store moved here, less what was given back.
    #[must_use]
    pub fn granted(&self) -> Nanos {
        self.granted
    }

    /// The store moved this here, and says what is left.
    pub fn receive(&mut self, granted: Nanos, budget: Nanos, left: Nanos) {
        self.granted = self.granted.plus(granted);
        self.budget = budget;
        self.left = left;
    }

    /// Something was spent of it, or became unknown.
    pub fn spend(&mut self, amount: Nanos) {
        self.used = self.used.plus(amount);
    }

    /// What to ask for, when a call lacks so much: that, and a slice where there is one.
    #[must_use]
    pub fn wish(&self, lacking: Nanos) -> Wish {
        Wish { need: lacking, want: lacking.plus(slice(self.budget).part(1, 2)).max(slice(self.budget)) }
    }

    /// What to ask for in the background: at less than half a slice, what is missing to a whole one.
    #[must_use]
    pub fn renewal(&self, held: Nanos) -> Option<Wish> {
        let (slice, free) = (slice(self.budget), self.free(held));
        let is_due = self.left > Nanos::ZERO && free < slice.part(1, 2);
        is_due.then(|| Wish { need: Nanos::ZERO, want: slice.minus(free) })
    }

    /// Takes out what is free beyond `keep`, to be given back to the store.
    pub fn give_back(&mut self, held: Nanos, keep: Nanos) -> Nanos {
        let back = self.free(held).less(keep);
        self.granted = self.granted.minus(back);
        back
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CENT: Nanos = Nanos::new(10_000_000);

    fn till(budget: i64, spent: i64, outstanding: i64) -> Till {
        let cents = |cents: i64| CENT.part(cents, 1);
        Till { budget: cents(budget), spent: cents(spent), unknown: Nanos::ZERO, outstanding: cents(outstanding) }
    }

    #[test]
    fn house_13_2_a_slice_is_two_percent_and_at_least_a_cent() {
        assert_eq!(slice(Nanos::dollars(100)), Nanos::dollars(2));
        assert_eq!(slice(Nanos::new(1)), CENT);
    }

    #[test]
    fn house_13_2_a_grant_is_what_is_wanted_or_left_and_never_less_than_needed() {
        let wish = |need: i64, want: i64| Wish { need: CENT.part(need, 1), want: CENT.part(want, 1) };
        assert_eq!(till(100, 50, 10).grant(wish(5, 20)), CENT.part(20, 1));
        assert_eq!(till(100, 50, 40).grant(wish(5, 20)), CENT.part(10, 1));
        assert_eq!(till(100, 50, 48).grant(wish(5, 20)), Nanos::ZERO);
        assert_eq!(till(100, 150, 0).left(), Nanos::ZERO);
    }

    #[test]
    fn house_13_2_all_scopes_of_a_call_get_what_they_need_or_none_does() {
        let wish = Wish { need: CENT, want: CENT.part(3, 1) };
        assert_eq!(grant_all(&[(till(100, 0, 0), wish), (till(1, 1, 0), wish), (till(0, 0, 0), wish)]), Err(1));
        assert_eq!(
            grant_all(&[(till(100, 0, 0), wish), (till(2, 0, 0), wish)]),
            Ok(vec![CENT.part(3, 1), CENT.part(2, 1)])
        );
    }

    #[test]
    fn house_13_2_a_lease_is_renewed_at_half_while_something_is_left() {
        let mut purse = Purse::default();
        purse.receive(CENT.part(2, 1), Nanos::dollars(1), Nanos::dollars(1).minus(CENT.part(2, 1)));
        assert_eq!(purse.renewal(CENT), None);
        let wish = purse.renewal(CENT.plus(Nanos::new(1))).expect("less than half is free");
        assert_eq!(wish, Wish { need: Nanos::ZERO, want: CENT.plus(Nanos::new(1)) });
        purse.receive(Nanos::ZERO, Nanos::dollars(1), Nanos::ZERO);
        assert_eq!(purse.renewal(CENT.part(2, 1)), None, "there is nothing to ask for");
    }

    #[test]
    fn house_13_2_the_lease_of_a_dead_instance_returns() {
        let share = Share { granted: CENT.part(10, 1), used: CENT.part(4, 1) };
        assert_eq!(bury(share, None), Burial { unknown: Nanos::ZERO, returned: CENT.part(6, 1) });
        assert_eq!(bury(share, Some(CENT)), Burial { unknown: CENT, returned: CENT.part(5, 1) });
        assert_eq!(
            bury(share, Some(CENT.part(99, 1))).unknown,
            CENT.part(6, 1),
            "it cannot have reserved more than it had"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What is granted, spent and left is the budget, whatever is asked in which order.
        #[test]
        fn house_13_2_no_money_is_made_by_moving_it(
            budget in 0..1_000_000_000_i64,
            steps in proptest::collection::vec((0..3_usize, 0..100_000_000_i64, 0..100_000_000_i64, any::<bool>()), 0..60),
        ) {
            let (mut spent, mut shares) = (Nanos::ZERO, [Share::default(); 3]);
            let mut purses = [Purse::default(); 3];
            for (who, need, amount, spends) in steps {
                let outstanding = shares.iter().map(Share::outstanding).sum();
                let till = Till { budget: Nanos::new(budget), spent, unknown: Nanos::ZERO, outstanding };
                if spends {
                    // An instance spends only what it has, and the store hears of it.
                    let amount = Nanos::new(amount).min(purses[who].free(Nanos::ZERO));
                    purses[who].spend(amount);
                    shares[who].used = shares[who].used.plus(amount);
                    spent = spent.plus(amount);
                } else if need % 7 == 0 {
                    let back = purses[who].give_back(Nanos::ZERO, Nanos::new(amount));
                    shares[who].granted = shares[who].granted.minus(back);
                } else {
                    let granted = till.grant(purses[who].wish(Nanos::new(need)));
                    shares[who].granted = shares[who].granted.plus(granted);
                    purses[who].receive(granted, till.budget, till.left().minus(granted));
                }
                let outstanding: Nanos = shares.iter().map(Share::outstanding).sum();
                let till = Till { outstanding, spent, ..till };
                prop_assert_eq!(till.spent.plus(till.outstanding).plus(till.left()), till.budget);
                for (purse, share) in purses.iter().zip(&shares) {
                    prop_assert_eq!(purse.free(Nanos::ZERO), share.outstanding());
                }
            }
        }
    }
}
