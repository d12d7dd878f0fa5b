//! What is left of the budgets of providers: `GET /provider/budgets`.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tollgate_router::{Nanos, Payer, Purse};
use tollgate_store::EpochMs;
use tollgate_wire::Failure;

use super::Shown;
use crate::admin::{Desk, fields};

impl Desk<'_> {
    /// The budgets of the providers that have one and a deployment, as routing sees them.
    pub(super) fn provider_budgets(&self) -> Result<Shown, Failure> {
        let purses = self.snapshot.fleet.rules().purses.all();
        let of_providers = purses.filter_map(|purse| match purse.payer() {
            Payer::Provider(name) => Some((name.as_str(), self.budget(purse))),
            Payer::Deployment { .. } | Payer::Tag(_) => None,
        });
        let providers: BTreeMap<&str, Value> = of_providers.collect();
        if providers.is_empty() {
            let words = "No provider budget config found. Set `router_settings.provider_budget_config` for a provider that has a deployment";
            return Err(Failure::invalid(words));
        }
        Ok(json!({ "providers": providers }).into())
    }

    fn budget(&self, purse: &Purse) -> Value {
        let (spent, left) = purse.state(self.gateway.clock.monotonic());
        let ends = left.and_then(|left| Some(EpochMs(self.now.0.checked_add(i64::try_from(left.as_millis()).ok()?)?)));
        json!({
            "budget_limit": dollars(purse.limit()),
            "time_period": purse.window().map(period),
            "spend": dollars(spent),
            "budget_reset_at": ends.map(fields::iso),
        })
    }
}

fn dollars(nanos: Nanos) -> Value {
    fields::usd(i64::try_from(nanos.0).unwrap_or(i64::MAX))
}

/// A span as configurations write it: `30d`, `12h`, `90s`.
fn period(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_as_people_write_it() {
        let told = [86_400, 2_592_000, 43_200, 300, 90].map(|seconds| period(Duration::from_secs(seconds)));
        assert_eq!(told, ["1d", "30d", "12h", "5m", "90s"]);
    }
}
