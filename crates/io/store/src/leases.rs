//! Leases: money of budgets that was moved to instances, which spend it from memory. A budget has one home, these tables; whoever
//! moves money of a window locks its total first, in the order of the windows, and so does the booking of what was spent.

mod instances;

pub use instances::{Burial, Instance};

use std::collections::BTreeMap;

use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    record::record,
    session::Session,
    spend::{Total, Window},
    statement::{Draft, Statement},
};

/// What an instance asks of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The window.
    pub window: Window,
    /// Its budget, as it is now.
    pub budget: NanoDollars,
    /// With less it can do nothing.
    pub need: NanoDollars,
    /// What it would like to have.
    pub want: NanoDollars,
}

/// What was moved of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// So much.
    pub granted: NanoDollars,
    /// What is left for others.
    pub left: NanoDollars,
    /// What is spent of it, and what is held for attempts of which nobody knows.
    pub gone: NanoDollars,
}

/// What became of wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leased {
    /// All of them have what they need; in the order of the wishes.
    Granted(Vec<Grant>),
    /// Nothing was moved: too little is left of a window.
    Refused {
        /// The number of the wish.
        wish: usize,
        /// What is left of it.
        left: NanoDollars,
        /// What is spent of it, and what is held for attempts of which nobody knows.
        gone: NanoDollars,
    },
    /// Nothing was moved: the instance was taken for dead, and its leases were settled. It has to begin anew.
    Buried,
}

record! {
    /// What instances have outstanding of a window.
    struct Outstanding {
        kind: String,
        id: String,
        start: EpochMs,
        amount: i64,
    }
}

impl Store {
    /// Moves money of several windows to an instance: what each needs and, as far as there is, what it wants; or nothing.
    ///
    /// # Errors
    /// If the database is not available: then it is not known whether something was moved, and the instance has to count on
    /// nothing. What was moved and never used comes back when it leaves.
    pub async fn lease(&self, instance: &str, now: EpochMs, wishes: &[Wish]) -> Result<Leased, StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            if !instances::beats(&mut db, instance, now).await? {
                return Ok(Leased::Buried);
            }
            let tills = tills(&mut db, wishes.iter().map(|wish| &wish.window)).await?;
            let mut grants = Vec::with_capacity(wishes.len());
            for (number, wish) in wishes.iter().enumerate() {
                let till = tills.get(&wish.window).copied().unwrap_or_default();
                let left = (wish.budget.0 - till.gone - till.outstanding).max(0);
                if wish.need.0 > left {
                    let (left, gone) = (NanoDollars(left), NanoDollars(till.gone));
                    return Ok(Leased::Refused { wish: number, left, gone });
                }
                let granted = wish.want.max(wish.need).0.clamp(0, left);
                let (granted, left) = (NanoDollars(granted), NanoDollars(left - granted));
                grants.push(Grant { granted, left, gone: NanoDollars(till.gone) });
            }
            for (wish, grant) in wishes.iter().zip(&grants) {
                add(&mut db, instance, &wish.window, grant.granted).await?;
            }
            db.commit().await?;
            Ok(Leased::Granted(grants))
        })
        .await
    }

    /// Moves money back that an instance does not need.
    ///
    /// # Errors
    /// If the database is not available: then it is not known whether it went back, and the instance has to count on it that
    /// it did.
    pub async fn give_back(&self, instance: &str, given: &[(Window, NanoDollars)]) -> Result<(), StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            tills(&mut db, given.iter().map(|(window, _)| window)).await?;
            for (window, amount) in given {
                // Never below what was used, whatever somebody says.
                let less = "UPDATE leases SET granted = CASE WHEN granted - $1 < used THEN used ELSE granted - $1 END \
                            WHERE kind = $2 AND id = $3 AND window_start = $4 AND instance = $5";
                let less =
                    Statement::new(less).bind(amount.0.max(0)).bind(window.kind.as_str()).bind(window.id.as_str());
                db.run(less.bind(window.start).bind(instance)).await?;
            }
            db.commit().await
        })
        .await
    }
}

record! {
    /// What was moved to an instance of a window, less what it gave back.
    struct Moved {
        kind: String,
        id: String,
        start: EpochMs,
        granted: NanoDollars,
    }
}

impl Store {
    /// What was moved to an instance in all, by window, less what it gave back.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn leases_of(&self, instance: &str) -> Result<Vec<(Window, NanoDollars)>, StoreError> {
        let asked =
            Statement::new("SELECT kind, id, window_start, granted FROM leases WHERE instance = $1").bind(instance);
        let rows: Vec<Moved> = self.within(async { self.reader().await?.all(asked).await }).await?;
        let pair = |Moved { kind, id, start, granted }| (Window { kind, id, start }, granted);
        Ok(rows.into_iter().map(pair).collect())
    }

    /// Takes out leases of which nothing is outstanding, in windows that the instance has done with.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn forget_leases(&self, instance: &str, windows: &[Window]) -> Result<(), StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            tills(&mut db, windows.iter()).await?;
            for window in windows {
                let gone = "DELETE FROM leases WHERE kind = $1 AND id = $2 AND window_start = $3 AND instance = $4 AND granted <= used";
                let gone = Statement::new(gone).bind(window.kind.as_str()).bind(window.id.as_str());
                db.run(gone.bind(window.start).bind(instance)).await?;
            }
            db.commit().await
        })
        .await
    }

    /// When the last window of a scope began that anything was moved of or booked to.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn latest_window(&self, kind: &str, id: &str) -> Result<Option<EpochMs>, StoreError> {
        let asked = Statement::new(
            "SELECT window_start FROM totals WHERE kind = $1 AND id = $2 ORDER BY window_start DESC LIMIT 1",
        );
        let asked = asked.bind(kind).bind(id);
        let start: Option<i64> = self.within(async { self.reader().await?.first(asked).await }).await?;
        Ok(start.map(EpochMs))
    }
}

/// What is not left of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Till {
    /// Spent or unknown.
    gone: i64,
    /// In the hands of instances.
    outstanding: i64,
}

/// Locks windows, each at its place in the order, and says what is not left of them.
async fn tills<'wish>(
    db: &mut Session,
    windows: impl Iterator<Item = &'wish Window>,
) -> Result<BTreeMap<Window, Till>, StoreError> {
    let mut tills: BTreeMap<Window, Till> = windows.map(|window| (window.clone(), Till::default())).collect();
    if tills.is_empty() {
        return Ok(tills);
    }
    let mut locked = Draft::new("INSERT INTO totals AS t (kind, id, window_start, settled, unknown, last_at) VALUES ");
    let mut asked = Draft::new(
        "SELECT kind, id, window_start, CAST(SUM(CASE WHEN granted > used THEN granted - used ELSE 0 END) AS bigint) \
         FROM leases WHERE (kind, id, window_start) IN (",
    );
    for (number, Window { kind, id, start }) in tills.keys().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let (kind, id) = (kind.as_str(), id.as_str());
        locked.push(comma).tuple([kind.into(), id.into(), (*start).into(), 0.into(), 0.into(), 0.into()]);
        asked.push(comma).tuple([kind.into(), id.into(), (*start).into()]);
    }
    // Writing what is there already locks the row, and gives it as it is after those who had it locked.
    locked.push(
        " ON CONFLICT (kind, id, window_start) DO UPDATE SET last_at = t.last_at \
         RETURNING kind, id, window_start, settled, unknown",
    );
    for Total { window, settled, unknown } in db.all(locked.done()).await? {
        tills.entry(window).or_default().gone = settled.0 + unknown.0;
    }
    // A statement of its own sees what was committed until the locks were had.
    asked.push(") GROUP BY kind, id, window_start");
    for Outstanding { kind, id, start, amount } in db.all(asked.done()).await? {
        tills.entry(Window { kind, id, start }).or_default().outstanding = amount;
    }
    Ok(tills)
}

async fn add(db: &mut Session, instance: &str, window: &Window, granted: NanoDollars) -> Result<(), StoreError> {
    let added = Statement::new(
        "INSERT INTO leases AS t (kind, id, window_start, instance, granted, used, reserved) VALUES ($1, $2, $3, $4, $5, 0, 0) \
         ON CONFLICT (kind, id, window_start, instance) DO UPDATE SET granted = t.granted + excluded.granted",
    );
    let added = added.bind(window.kind.as_str()).bind(window.id.as_str()).bind(window.start);
    db.run(added.bind(instance).bind(granted)).await?;
    Ok(())
}
