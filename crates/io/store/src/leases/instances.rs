//! Instances: who lives, who is dead, and what becomes of a dead one's leases.

use super::tills;
use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    record::{Record as _, record},
    session::Session,
    spend::{UnknownAttempt, Window, Windows},
    statement::{Draft, Statement},
};

record! {
    /// An instance of the gateway.
    pub struct Instance {
        /// Its name, which no other ever has.
        instance: String,
        /// Its journal.
        journal: String,
        /// Where it runs.
        host: String,
        /// Since when.
        started_at: EpochMs,
        /// When it last gave a sign of life.
        heartbeat_at: EpochMs,
    }
}

/// What became of the leases of an instance that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burial {
    /// Held as unknown.
    pub unknown: NanoDollars,
    /// Back in the budgets.
    pub returned: NanoDollars,
}

record! {
    /// A lease.
    struct Lease {
        kind: String,
        id: String,
        start: EpochMs,
        granted: NanoDollars,
        used: NanoDollars,
        reserved: NanoDollars,
    }
}

impl Store {
    /// An instance begins.
    ///
    /// # Errors
    /// [`StoreError::Taken`] if there is one with this name.
    pub async fn enter(&self, instance: &Instance) -> Result<(), StoreError> {
        let mut draft = Draft::new("INSERT INTO instances (");
        draft.names("", Instance::COLUMNS).push(") VALUES ").tuple(instance.values());
        self.change(draft.done()).await.map(|_| ())
    }

    /// An instance lives, and has so much reserved of what was moved to it: for calls that are under way, and for what is spent
    /// and not yet booked. What it does not name stays as it was last reported. False if it was taken for dead.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn heartbeat(
        &self,
        instance: &str,
        now: EpochMs,
        reserved: &[(Window, NanoDollars)],
    ) -> Result<bool, StoreError> {
        self.within(async {
            let mut db = self.writer().await?;
            if !beats(&mut db, instance, now).await? {
                return Ok(false);
            }
            let mut reserved: Vec<_> = reserved.iter().collect();
            // These rows are the instance's own, but its booking writes them as well.
            reserved.sort();
            for (window, amount) in reserved {
                let told = "UPDATE leases SET reserved = $1 WHERE kind = $2 AND id = $3 AND window_start = $4 AND instance = $5";
                let told = Statement::new(told).bind(*amount).bind(window.kind.as_str()).bind(window.id.as_str());
                db.run(told.bind(window.start).bind(instance)).await?;
            }
            db.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Instances that gave no sign of life since a moment.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn silent_instances(&self, since: EpochMs) -> Result<Vec<Instance>, StoreError> {
        let mut draft = Draft::new("SELECT ");
        draft.names("", Instance::COLUMNS).push(" FROM instances WHERE heartbeat_at < ").value(since);
        draft.push(" ORDER BY heartbeat_at, instance");
        self.within(async { self.reader().await?.all(draft.done()).await }).await
    }

    /// Settles the leases of an instance that gave no sign of life since a moment. If its journal is booked to its end, all that
    /// is outstanding goes back; else what it last reported as reserved is held as unknown. Nothing if it lives, or if another
    /// one was faster.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn bury(
        &self,
        instance: &str,
        since: EpochMs,
        is_booked: bool,
        now: EpochMs,
    ) -> Result<Option<Burial>, StoreError> {
        let gone = Statement::new("DELETE FROM instances WHERE instance = $1 AND heartbeat_at < $2");
        let gone = gone.bind(instance).bind(since);
        self.within(self.settle(instance, gone, is_booked, now)).await
    }

    /// An instance leaves whose journal is booked to its end: what it has of budgets goes back.
    ///
    /// # Errors
    /// If the database is not available. It will be buried.
    pub async fn leave(&self, instance: &str, now: EpochMs) -> Result<Option<Burial>, StoreError> {
        let gone = Statement::new("DELETE FROM instances WHERE instance = $1").bind(instance);
        self.within(self.settle(instance, gone, true, now)).await
    }

    async fn settle(
        &self,
        instance: &str,
        gone: Statement,
        is_booked: bool,
        now: EpochMs,
    ) -> Result<Option<Burial>, StoreError> {
        let mut db = self.writer().await?;
        if db.run(gone).await? == 0 {
            return Ok(None);
        }
        // Nobody leases to it any more; what it has is read again once the windows are locked, as it may still be booked.
        let windows: Vec<Window> = leases(&mut db, instance).await?.iter().map(Lease::window).collect();
        tills(&mut db, windows.iter()).await?;
        let mut burial = Burial::default();
        for lease in leases(&mut db, instance).await? {
            let outstanding = (lease.granted.0 - lease.used.0).max(0);
            let unknown = if is_booked { 0 } else { lease.reserved.0.clamp(0, outstanding) };
            burial.unknown.0 += unknown;
            burial.returned.0 += outstanding - unknown;
            if unknown > 0 {
                hold(&mut db, instance, lease.window(), NanoDollars(unknown), now).await?;
            }
        }
        db.run(Statement::new("DELETE FROM leases WHERE instance = $1").bind(instance)).await?;
        db.commit().await?;
        Ok(Some(burial))
    }
}

impl Lease {
    fn window(&self) -> Window {
        Window { kind: self.kind.clone(), id: self.id.clone(), start: self.start }
    }
}

/// A sign of life; false if the instance is none. Its row stays locked, so that nobody buries it meanwhile.
pub(super) async fn beats(db: &mut Session, instance: &str, now: EpochMs) -> Result<bool, StoreError> {
    // A clock that went back makes nobody look dead.
    let beat = "UPDATE instances SET heartbeat_at = CASE WHEN heartbeat_at > $1 THEN heartbeat_at ELSE $1 END WHERE instance = $2";
    Ok(db.run(Statement::new(beat).bind(now).bind(instance)).await? > 0)
}

async fn leases(db: &mut Session, instance: &str) -> Result<Vec<Lease>, StoreError> {
    let asked = "SELECT kind, id, window_start, granted, used, reserved FROM leases WHERE instance = $1 \
                 ORDER BY kind, id, window_start";
    db.all(Statement::new(asked).bind(instance)).await
}

/// Holds money of a lease as if it were an attempt, so that it is seen and settled like one.
async fn hold(
    db: &mut Session,
    instance: &str,
    window: Window,
    held: NanoDollars,
    now: EpochMs,
) -> Result<(), StoreError> {
    let more = "UPDATE totals SET unknown = unknown + $1 WHERE kind = $2 AND id = $3 AND window_start = $4";
    let more = Statement::new(more).bind(held).bind(window.kind.as_str()).bind(window.id.as_str());
    db.run(more.bind(window.start)).await?;
    let attempt = UnknownAttempt {
        attempt_id: name_of(&format!("lease {instance} {} {} {}", window.kind, window.id, window.start.0)),
        opened_at: now,
        held,
        windows: Windows(vec![window]),
        ..UnknownAttempt::default()
    };
    let mut draft = Draft::new("INSERT INTO unknown (");
    draft.names("", UnknownAttempt::COLUMNS).push(") VALUES ").tuple(attempt.values());
    db.run(draft.done()).await?;
    Ok(())
}

/// An id in the form that attempts have, so that it can be stated like one; the same for the same text. FNV-1a of 128 bits
/// as a UUID of version 8 (RFC 9562).
fn name_of(text: &str) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let part = |shift: u32, bits: u32| (hash >> shift) & ((1 << bits) - 1);
    let (variant, version) = (0x8000 | part(48, 14), 0x8000 | part(64, 12));
    format!("{:08x}-{:04x}-{version:04x}-{variant:04x}-{:012x}", part(96, 32), part(80, 16), part(0, 48))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lease_is_named_as_attempts_are() {
        let (one, other) = (name_of("lease a key k 0"), name_of("lease a key k 1"));
        assert_eq!(one, name_of("lease a key k 0"));
        assert_ne!(one, other);
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('8') && parts[3].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
