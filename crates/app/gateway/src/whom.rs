//! For whom a call is made, and from where: the customer that it names (surface chapter 7.8), the tags that it is filed under,
//! the address that it comes from.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use tollgate_config::Config;
use tollgate_policy::{Budget, Limit, ModelFacts};
use tollgate_router::Group;
use tollgate_store::EpochMs;
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{customers::Customer, dispatch::Ask, gateway::Gateway, meter::Meter, snapshot::Snapshot};

/// The client's address as the server sees it: written by the server before anything else, whatever a client sends by this
/// name. Like all of ours it is not passed on to providers.
pub const PEER: &str = "x-tollgate-peer";
/// Where customers stand before anything that is configured.
const CUSTOMER_HEADERS: [&str; 2] = ["x-litellm-customer-id", "x-litellm-end-user-id"];
/// Tags that have budgets, of one call; a record has room for no more.
pub(crate) const MOST_TAGS: usize = 8;
/// Longest id of a customer, bytes; what is longer names nobody.
const LONGEST: usize = 256;

/// What the configuration says of customers and addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct WhomRules {
    /// Headers that name customers (`user_header_name`, `user_header_mappings`).
    headers: Vec<HeaderName>,
    /// The client's address stands in `x-forwarded-for`.
    forwarded: bool,
    /// What a customer may spend who has no budget of his own, nano-dollars.
    pub(crate) default_budget: Option<i64>,
    /// The budget of such a customer.
    pub(crate) default_budget_id: Option<String>,
}

impl WhomRules {
    pub(crate) fn of(config: &Config) -> Self {
        let (general, litellm) = (&config.general, &config.litellm);
        let named = general.user_header_name.iter().chain(&general.customer_headers);
        Self {
            headers: named.filter_map(|name| name.parse().ok()).collect(),
            forwarded: general.use_x_forwarded_for,
            default_budget: litellm.max_end_user_budget.and_then(crate::admin::nanos),
            default_budget_id: litellm.max_end_user_budget_id.clone(),
        }
    }

    /// The customer that headers name, else the body.
    pub(crate) fn customer(&self, headers: &HeaderMap, body: Option<&RawBody>) -> Option<String> {
        let known = CUSTOMER_HEADERS.iter().find_map(|name| headers.get(*name));
        let named = known.or_else(|| self.headers.iter().find_map(|name| headers.get(name)));
        let of_headers = named.and_then(|value| value.to_str().ok()).and_then(|text| id(&Value::from(text)));
        of_headers.or_else(|| of_body(body?))
    }

    /// Where a call comes from: what the first proxy says, if proxies are said to tell the truth.
    pub(crate) fn address(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let told = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next()?.trim().parse().ok();
        let forwarded = self.forwarded.then(|| told("x-forwarded-for")).flatten();
        forwarded.or_else(|| told(PEER))
    }
}

fn of_body(body: &RawBody) -> Option<String> {
    let within = |holder: &str, name: &str| id(body.typed::<Map<String, Value>>(holder)?.get(name)?);
    let member = |name: &str| id(&body.typed::<Value>(name)?);
    member("user")
        .or_else(|| within("litellm_metadata", "user"))
        .or_else(|| within("metadata", "user_id"))
        .or_else(|| member("safety_identifier"))
}

fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= LONGEST && !text.contains('\0')).then_some(text)
}

impl Ask {
    /// Learns what holds for the call's customer, and who pays for it beside its key.
    ///
    /// # Errors
    /// 403 for one who is blocked, or for a region that is not his; 503 while that cannot be told.
    pub(crate) async fn meet_customer(&mut self, meter: &mut Meter) -> Result<(), Failure> {
        let mut budgets = self.gateway.budgets_of_tags(&self.options.tags);
        let Some(named) = &self.options.customer else {
            meter.paid_by(budgets);
            return Ok(());
        };
        let customer = self.gateway.customer(&self.snapshot, named).await?;
        if let Some(region) = customer.as_ref().and_then(|customer| customer.region.as_ref()) {
            let asked = self.options.region.get_or_insert_with(|| region.clone());
            if asked != region {
                let words =
                    format!("customer not allowed to use this region. Customer={named}, allowed_model_region={region}");
                return Err(Failure::new(FailureKind::RouteDenied, words).with_param("allowed_model_region"));
            }
        }
        budgets.extend(customer.iter().flat_map(|customer| customer.budgets.iter().cloned()));
        meter.paid_by(budgets);
        self.customer = customer.map(Box::new);
        Ok(())
    }

    /// The group that answers the call's customer: the one that was asked for, else the customer's default where none of it is
    /// in the customer's region.
    ///
    /// # Errors
    /// 403 for a model that is none of the customer's.
    pub(crate) fn group_of_customer<'s>(&self, snapshot: &'s Snapshot, group: Group<'s>) -> Result<Group<'s>, Failure> {
        let Some(customer) = self.customer.as_deref() else { return Ok(group) };
        let group = match (&customer.default_model, &customer.region) {
            (Some(default), Some(region)) if !snapshot.is_in(&group, region) => {
                snapshot.fleet.find(default).unwrap_or(group)
            }
            _ => group,
        };
        let facts = ModelFacts { asked: group.name, group: group.name, ..ModelFacts::default() };
        if customer.models.admit(&facts) {
            return Ok(group);
        }
        let words = format!("customer not allowed to access model. Tried to access {}", group.name);
        Err(Failure::new(FailureKind::ModelAccessDenied, words).with_param("model"))
    }

    /// The limits of the call's customer and of its tags.
    pub(crate) fn limits_of_whom(&self) -> Vec<Limit> {
        let of_customer = self.customer.as_ref().and_then(|customer| customer.limit.clone());
        of_customer.into_iter().chain(self.gateway.limits_of_tags(&self.options.tags)).collect()
    }
}

impl Gateway {
    /// The customer of this id, if anything holds for him.
    ///
    /// # Errors
    /// 403 for one who is blocked; 503 while that cannot be told.
    pub(crate) async fn customer(&self, snapshot: &Snapshot, id: &str) -> Result<Option<Customer>, Failure> {
        let Some(callers) = &self.callers else { return Ok(None) };
        let customer = callers.customers().find(id, &snapshot.whom).await?;
        if let Some(customer) = &customer {
            customer.admit()?;
        }
        Ok(customer)
    }

    /// What calls with these tags are paid from.
    fn budgets_of_tags(&self, tags: &[String]) -> Vec<Budget> {
        let Some(callers) = &self.callers else { return Vec::new() };
        let now = EpochMs(i64::try_from(self.clock.unix().as_millis()).unwrap_or(i64::MAX));
        let known = tags.iter().filter_map(|tag| Some((tag, callers.tags().terms(tag)?)));
        known.take(MOST_TAGS).flat_map(|(tag, terms)| terms.budgets(tag, now)).collect()
    }

    fn limits_of_tags(&self, tags: &[String]) -> impl Iterator<Item = Limit> {
        let known = self.callers.as_ref().map(|callers| callers.tags());
        tags.iter().filter_map(move |tag| known.as_ref()?.terms(tag)?.limit.clone())
    }
}

impl Snapshot {
    /// Whether one of the group's deployments is in the region.
    fn is_in(&self, group: &Group<'_>, region: &str) -> bool {
        let deployments = self.fleet.deployments();
        let mut members = group.members.iter().filter_map(|index| deployments.get(*index));
        members.any(|one| one.region.as_deref() == Some(region))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_customer_is_named_in_one_of_many_places_in_their_order() {
        let rules = WhomRules { headers: vec![HeaderName::from_static("x-my-user")], ..WhomRules::default() };
        let mut body = json!({
            "safety_identifier": "six", "metadata": {"user_id": "five"}, "litellm_metadata": {"user": "four"}, "user": "three",
        });
        let all = [("x-litellm-end-user-id", "one"), ("x-my-user", "two")];
        let mut found = Vec::new();
        let raw = |body: &Value| RawBody::parse(&body.to_string().into()).unwrap();
        for told in [&all[..], &all[1..], &[]] {
            found.extend(rules.customer(&headers(told), Some(&raw(&body))));
        }
        for name in ["user", "litellm_metadata", "metadata", "safety_identifier"] {
            body.as_object_mut().unwrap().remove(name);
            found.extend(rules.customer(&HeaderMap::new(), Some(&raw(&body))));
        }
        assert_eq!(found, ["one", "two", "three", "four", "five", "six"]);
    }

    #[test]
    fn what_is_no_id_names_nobody() {
        let named = |user: Value| {
            let body = RawBody::parse(&json!({ "user": user }).to_string().into()).unwrap();
            WhomRules::default().customer(&HeaderMap::new(), Some(&body))
        };
        assert_eq!((named(json!(7)), named(json!(" ann "))), (Some("7".to_owned()), Some("ann".to_owned())));
        for nobody in [json!(""), json!(null), json!({}), json!("x".repeat(257)), json!("a\0b")] {
            assert_eq!(named(nobody.clone()), None, "{nobody}");
        }
    }

    #[test]
    fn a_proxy_is_believed_where_that_is_configured() {
        let told = headers(&[(PEER, "10.0.0.1"), ("x-forwarded-for", "203.0.113.9, 10.0.0.7")]);
        let address = |forwarded: bool| WhomRules { forwarded, ..WhomRules::default() }.address(&told);
        assert_eq!((address(false), address(true)), ("10.0.0.1".parse().ok(), "203.0.113.9".parse().ok()));
        let rules = WhomRules { forwarded: true, ..WhomRules::default() };
        let garbled = headers(&[(PEER, "::1"), ("x-forwarded-for", "unknown")]);
        assert_eq!(rules.address(&garbled), "::1".parse().ok());
    }
}
