//! What the configuration says of new keys: `default_key_generate_params` and `upperbound_key_generate_params`.

use serde_json::{Map, Value};
use tollgate_policy::Lifetime;
use tollgate_wire::Failure;

/// Defaults and bounds of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRules {
    /// Fields that a new key has where its request says nothing.
    pub(crate) defaults: Map<String, Value>,
    /// What fields may be at most; a new key that says nothing gets this.
    pub(crate) bounds: Map<String, Value>,
}

impl KeyRules {
    pub(crate) fn of(config: &tollgate_config::Config) -> Self {
        Self {
            defaults: config.litellm.default_key_generate_params.clone(),
            bounds: config.litellm.upperbound_key_generate_params.clone(),
        }
    }

    /// Adds what a request for a new key leaves out.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn complete(&self, body: &mut Map<String, Value>) -> Result<(), Failure> {
        self.check(body)?;
        for (name, value) in self.defaults.iter().chain(&self.bounds) {
            if body.get(name).is_none_or(Value::is_null) {
                body.insert(name.clone(), value.clone());
            }
        }
        // A default may be above a bound.
        self.check(body)
    }

    /// Whether a request stays within the bounds.
    ///
    /// # Errors
    /// 400 naming the field and its bound.
    pub(crate) fn check(&self, body: &Map<String, Value>) -> Result<(), Failure> {
        for (name, bound) in &self.bounds {
            let Some(value) = body.get(name).filter(|value| !value.is_null()) else { continue };
            if is_above(name, value, bound)? {
                let words = format!("{name} is over max limit set in config - user_value={value}; max_value={bound}");
                return Err(Failure::invalid(words).with_param(name));
            }
        }
        Ok(())
    }
}

fn is_above(name: &str, value: &Value, bound: &Value) -> Result<bool, Failure> {
    if let (Some(value), Some(bound)) = (value.as_f64(), bound.as_f64()) {
        return Ok(value > bound);
    }
    let (Some(value), Some(bound)) = (value.as_str(), bound.as_str()) else { return Ok(false) };
    // -1 is `LiteLLM`'s word for what never ends.
    Ok(value == "-1" || Lifetime::parse(value, name)?.ends(0) > Lifetime::parse(bound, name)?.ends(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> KeyRules {
        let map = |value: Value| value.as_object().cloned().unwrap();
        KeyRules {
            defaults: map(json!({"max_budget": 1.5, "models": ["a"]})),
            bounds: map(json!({"max_budget": 100, "duration": "30d", "rpm_limit": 10})),
        }
    }

    #[test]
    fn what_is_left_out_is_the_default_or_the_bound() {
        let mut body = json!({"models": null, "rpm_limit": 3}).as_object().cloned().unwrap();
        rules().complete(&mut body).unwrap();
        let expected = json!({"models": ["a"], "rpm_limit": 3, "max_budget": 1.5, "duration": "30d"});
        assert_eq!(Value::Object(body), expected);
    }

    #[test]
    fn what_is_above_the_bound_is_refused() {
        for body in [
            json!({"max_budget": 100.1}),
            json!({"duration": "31d"}),
            json!({"duration": "-1"}),
            json!({"rpm_limit": 11}),
        ] {
            let refused = rules().check(body.as_object().unwrap()).unwrap_err();
            assert_eq!(refused.http_status(), 400, "{body}");
        }
        assert!(rules().check(json!({"max_budget": 100, "duration": "4w"}).as_object().unwrap()).is_ok());
    }
}
