//! What keys have spent in the windows of their budgets, which is what `spend` tells of those that have one: as in `LiteLLM` it
//! begins anew with each window, while `total_spend` is of all time.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};
use tollgate_policy::{Budget, BudgetOf};
use tollgate_store::{EpochMs, Key, Window};
use tollgate_wire::Failure;

use super::{
    Desk, failure_of,
    fields::{iso, usd},
};
use crate::projection;

impl Desk<'_> {
    /// Puts what was spent in the windows of now, and when the next ones begin, into what is shown of keys.
    pub(super) async fn tell_windows(&self, shown: &mut [(&Key, Map<String, Value>)]) -> Result<(), Failure> {
        let windows: Vec<Option<(Window, i64)>> = shown.iter().map(|(row, _)| self.window_of(row)).collect();
        let mut scopes: Vec<(String, String)> =
            windows.iter().flatten().map(|(window, _)| (window.kind.clone(), window.id.clone())).collect();
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            return Ok(());
        }
        let totals = self.store.totals_of(&scopes).await.map_err(|error| failure_of(error, ""))?;
        let spent: HashMap<Window, i64> = totals.into_iter().map(|total| (total.window, total.settled.0)).collect();
        for ((_, info), window) in shown.iter_mut().zip(windows) {
            let Some((window, end)) = window else { continue };
            info.insert("spend".to_owned(), usd(spent.get(&window).copied().unwrap_or_default()));
            info.insert("budget_reset_at".to_owned(), iso(EpochMs(end.saturating_mul(1000))).into());
        }
        Ok(())
    }

    /// The window of now of a key's own budget, and its end, seconds since 1970; none where its budget is for all time.
    fn window_of(&self, row: &Key) -> Option<(Window, i64)> {
        let duration = Arc::from(row.budget_duration.as_deref()?);
        let of = BudgetOf::Key(row.origin.as_str().into());
        let budget = Budget { of, most: 0, duration: Some(duration), began: row.created_at.0.div_euclid(1000) };
        let payers = self.gateway.budgets.payers(std::iter::once(&budget));
        let slot = payers.slots().first()?;
        Some((projection::window(slot), self.gateway.budgets.end_of(slot)))
    }
}
