//! What a key has spent in all, as far as this process knows.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// A sum that copies share. Nano-dollars.
#[derive(Clone, Debug, Default)]
pub struct Spending(Arc<AtomicI64>);

impl Spending {
    /// So much is spent already.
    #[must_use]
    pub fn new(spent: i64) -> Self {
        Self(Arc::new(AtomicI64::new(spent)))
    }

    /// A call has cost so much.
    pub fn add(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// What is spent.
    #[must_use]
    pub fn spent(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_what_is_spent() {
        let spending = Spending::new(3);
        spending.clone().add(4);
        assert_eq!(spending.spent(), 7);
    }
}
