//! Models without a price: their calls work and are booked as unpriced, unless the configuration refuses them. Whoever has given a
//! budget to a key that uses one is told in the log, since no budget holds what nobody can price.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tollgate_policy::Key;
use tollgate_wire::Failure;

use crate::{deployment::Place, snapshot::Snapshot};

/// A model is told of once in so long.
const AGAIN: Duration = Duration::from_secs(3600);
/// Models that are remembered as told of.
const MOST: usize = 4096;

/// The models that were told of lately.
#[derive(Debug, Default)]
pub(crate) struct Unpriced {
    told: Mutex<HashMap<String, Duration>>,
}

impl Unpriced {
    /// A call of this key was booked without a price.
    pub(crate) fn tell(&self, place: &Place, key: Option<&Key>, now: Duration) {
        let Some(key) = key.filter(|key| !key.budgets.is_empty()) else { return };
        let provider = place.target.provider.name;
        if !self.is_due(format!("{provider}/{}", place.model), now) {
            return;
        }
        tracing::warn!(
            target: "tollgate::spend",
            provider,
            model = &*place.model,
            key_alias = key.alias.as_deref().unwrap_or_default(),
            user = key.user.as_deref().unwrap_or_default(),
            team = key.team.as_deref().unwrap_or_default(),
            "a key with a budget uses a model without a price, so its calls are booked as unpriced and no budget holds them: set \
             input_cost_per_token and output_cost_per_token in its litellm_params, or take a newer price map with \
             `tollgate prices update`"
        );
    }

    fn is_due(&self, model: String, now: Duration) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.retain(|_, at| now.saturating_sub(*at) < AGAIN);
        }
        match told.get(&model) {
            Some(at) if now.saturating_sub(*at) < AGAIN => false,
            None if told.len() >= MOST => false,
            _ => {
                told.insert(model, now);
                true
            }
        }
    }
}

/// The place, unless it has no price and such places are not called (`block_requests_for_models_without_pricing`).
pub(crate) fn admitted(place: Arc<Place>, snapshot: &Snapshot) -> Result<Arc<Place>, Failure> {
    if snapshot.refuses_unpriced && !place.price.is_known() { Err(refused(&place)) } else { Ok(place) }
}

fn refused(place: &Place) -> Failure {
    Failure::invalid(format!(
        "the model {}/{} has no price, and litellm_settings.block_requests_for_models_without_pricing refuses such models: set \
         input_cost_per_token and output_cost_per_token in its litellm_params or model_info, name a priced model as \
         model_info.base_model, or load a newer price map with `tollgate prices update`",
        place.target.provider.name, place.model
    ))
    .with_param("model")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_told_of_once_an_hour() {
        let unpriced = Unpriced::default();
        let at = |minutes: u64| Duration::from_secs(60 * minutes);
        let due = |model: &str, minutes| unpriced.is_due(model.to_owned(), at(minutes));
        assert!(due("openai/a", 0) && due("openai/b", 1));
        assert!(!due("openai/a", 59));
        assert!(due("openai/a", 60) && !due("openai/b", 60));
    }
}
