//! What instances have spent of the budgets that routing goes by, added up in Redis. Without it each counts its own, and
//! tells the rest when it is back.

use std::{sync::Arc, time::Duration};

use tollgate_kv::KvError;
use tollgate_router::{Nanos, Purse};

use super::{AT_ONCE, PATIENCE, Sharing, positive};
use crate::{gateway::Gateway, snapshot::Snapshot};

impl Gateway {
    /// Tells what this instance has spent, and hears what all have.
    pub(super) async fn tell_spending(&self, sharing: &Sharing, snapshot: &Snapshot) -> Result<(), KvError> {
        let purses: Vec<&Arc<Purse>> = snapshot.fleet.rules().purses.all().collect();
        for chunk in purses.chunks(AT_ONCE) {
            let now = self.clock.monotonic();
            let told: Vec<Nanos> = chunk.iter().map(|purse| purse.tell(now)).collect();
            let keys: Vec<String> =
                chunk.iter().map(|purse| format!("{{{}}}:spend:{}", sharing.namespace, purse.name())).collect();
            let arguments: Vec<String> =
                chunk.iter().zip(&told).flat_map(|(purse, nanos)| two(purse, *nanos)).collect();
            let heard = sharing.kv.run(&sharing.spending, &keys, &arguments, PATIENCE).await;
            let now = self.clock.monotonic();
            let rows = match heard {
                Ok(numbers) => numbers,
                Err(why) => {
                    // Had it been heard after all it would count twice: too much is better than too little.
                    chunk.iter().zip(told).for_each(|(purse, nanos)| purse.was_not_told(nanos, now));
                    return Err(why);
                }
            };
            for (purse, row) in chunk.iter().zip(rows.chunks_exact(2)) {
                let &[together, left] = row else { continue };
                let left = (left > 0).then(|| Duration::from_millis(positive(left)));
                purse.hear(Nanos(positive(together)), left, now);
            }
        }
        Ok(())
    }
}

/// What the script takes for a purse.
fn two(purse: &Purse, nanos: Nanos) -> [String; 2] {
    let window = purse.window().map_or(0, |window| window.as_millis());
    [nanos.0.to_string(), window.to_string()]
}
