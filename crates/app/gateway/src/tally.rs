//! What the results of a batch add up to: each is priced by its own model and length, at the prices of batches.

use std::sync::Arc;

use tollgate_catalog::{Cost, cost_breakdown};
use tollgate_observe::Certainty;
use tollgate_providers::batches::Line;
use tollgate_wire::Usage;

use crate::{
    deployment::{GoesTo, Place},
    snapshot::Snapshot,
};

/// Models that are told apart in one batch; providers allow one.
const MOST_MODELS: usize = 64;

/// The results read so far.
#[derive(Default)]
pub(crate) struct Tally {
    shares: Vec<Share>,
    silent: u64,
}

/// What one model has in it.
struct Share {
    model: Option<String>,
    /// The model's place, at the prices of batches.
    place: Arc<Place>,
    usage: Usage,
    /// Before a discount and a margin, which come when it is booked.
    cost: Cost,
}

impl Tally {
    /// Adds a result of a batch at `home`.
    pub(crate) fn add(&mut self, line: Line, snapshot: &Snapshot, home: &Arc<Place>) {
        let (model, usage) = match line {
            Line::Refused => return,
            Line::Silent => {
                self.silent += 1;
                return;
            }
            Line::Answered { model, usage } => (model, usage),
        };
        let at = self.shares.iter().position(|share| share.model == model);
        if at.is_none() {
            if self.shares.len() >= MOST_MODELS {
                self.silent += 1;
                return;
            }
            let place = place_of_model(snapshot, home, model.as_deref());
            self.shares.push(Share { model, place, usage: Usage::default(), cost: Cost::default() });
        }
        let share = match at {
            Some(at) => self.shares.get_mut(at),
            None => self.shares.last_mut(),
        };
        if let Some(share) = share {
            share.cost = share.cost.saturating_add(cost_breakdown(&usage, &share.place.price).original);
            share.usage = share.usage.plus(usage);
        }
    }

    /// Results that do not say what they used.
    pub(crate) fn silent(&self) -> u64 {
        self.silent
    }

    /// How sure the whole is.
    pub(crate) fn certainty(&self) -> Certainty {
        if self.silent == 0 { Certainty::Stated } else { Certainty::Unknown }
    }

    /// Place and usage of each model; the usage holds the cost, where the model has a price.
    pub(crate) fn shares(&self) -> Vec<(Arc<Place>, Usage)> {
        let share = |share: &Share| {
            let known = share.place.price.is_stated() || share.usage.stated_cost_nanos.is_some();
            let stated_cost_nanos = known.then(|| share.cost.money().nanos());
            (Arc::clone(&share.place), Usage { stated_cost_nanos, ..share.usage })
        };
        self.shares.iter().map(share).collect()
    }
}

/// The place of a model that answered at `home`, at the prices of batches: those of the provider's deployment that serves
/// it, under its own name or without the date in that (`gpt-4o-2024-08-06`), else those of the catalog.
fn place_of_model(snapshot: &Snapshot, home: &Arc<Place>, model: Option<&str>) -> Arc<Place> {
    let provider = home.target.provider.name;
    let batched = |place: &Place, model: &str| {
        Arc::new(Place {
            target: Arc::clone(&place.target),
            price: place.price.in_batches(),
            address: place.address.clone(),
            model: model.into(),
        })
    };
    let Some(model) = model else { return batched(home, &home.model) };
    let served = std::iter::once(home).chain(snapshot.served.iter().filter_map(|served| match &served.goes_to {
        GoesTo::Fixed(place) if place.target.provider.name == provider => Some(place),
        _ => None,
    }));
    let serving = served.filter(|place| serves(&place.target.model, model));
    if let Some(place) = serving.max_by_key(|place| place.target.model.len()) {
        return batched(place, model);
    }
    let price = snapshot.catalog.find(provider, model).map(|model| model.price()).unwrap_or_default();
    Arc::new(Place {
        target: Arc::clone(&home.target),
        price: price.in_batches(),
        address: home.address.clone(),
        model: model.into(),
    })
}

/// Whether this is the model of that name, or its state of a day.
fn serves(name: &str, model: &str) -> bool {
    model.strip_prefix(name).is_some_and(|rest| {
        let date = rest.strip_prefix('-').unwrap_or(rest);
        rest.is_empty() || (rest != date && date.len() >= 8 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_served_under_its_name_and_that_of_its_day() {
        for (name, model, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-2024-08-06", true),
            ("claude-haiku-4-5", "claude-haiku-4-5-20251001", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o", "gpt-4o-mini-2024-07-18", false),
            ("gpt-4", "gpt-4-0613", false),
            ("", "gpt-4o", false),
        ] {
            assert_eq!(serves(name, model), expected, "{name} {model}");
        }
    }
}
