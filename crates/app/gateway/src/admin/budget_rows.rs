//! Budgets that keys, customers, tags and others refer to (surface appendix B.7).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_store::{Budget, EpochMs, Json, NanoDollars};
use tollgate_wire::Failure;

use super::{
    Desk,
    fields::{Field, iso, usd},
    parties::{missing, page, refusal, text, texts},
    rows::document,
};

/// What a budget says, as requests for customers and tags state it too.
pub(super) const FIELDS: [&str; 11] = [
    "max_budget",
    "soft_budget",
    "budget_duration",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "model_max_budget",
    "allowed_models",
    "temp_budget_increase",
    "temp_budget_expiry",
];

/// Each field with its form and what it is, for forms of the admin page.
const TOLD: [(&str, &str, &str); 7] = [
    ("max_budget", "Float", "What may be spent, USD."),
    ("soft_budget", "Float", "From where on owners are told, USD."),
    ("budget_duration", "String", "How often it begins anew, such as 30d."),
    ("max_parallel_requests", "Integer", "Calls at one time."),
    ("tpm_limit", "Integer", "Tokens a minute."),
    ("rpm_limit", "Integer", "Calls a minute."),
    ("model_max_budget", "Object", "Budgets of models."),
];

/// Writes what a request says into a row. `null` empties a field.
///
/// # Errors
/// 400 for a field of another form, naming it.
pub(super) fn write(budget: &mut Budget, fields: &Map<String, Value>) -> Result<(), Failure> {
    for (name, value) in fields.iter().filter(|(name, _)| FIELDS.contains(&name.as_str())) {
        let field = Field { name, value };
        match name.as_str() {
            "max_budget" => budget.max_budget = field.money()?,
            "soft_budget" => budget.soft_budget = field.money()?,
            "budget_duration" => {
                field.lifetime()?;
                budget.budget_duration = field.text()?;
            }
            "max_parallel_requests" => budget.max_parallel_requests = field.count()?,
            "tpm_limit" => budget.tpm_limit = field.count()?,
            "rpm_limit" => budget.rpm_limit = field.count()?,
            "tpd_limit" => budget.tpd_limit = field.count()?,
            "model_max_budget" => budget.model_max_budget = field.object()?,
            "allowed_models" => budget.allowed_models = field.list()?,
            "temp_budget_increase" => budget.temp_budget_increase = field.money()?,
            _ => budget.temp_budget_expiry = field.moment()?,
        }
    }
    Ok(())
}

/// A row as it is shown.
pub(super) fn read(budget: &Budget) -> Value {
    let money = |money: Option<NanoDollars>| money.map_or(Value::Null, |money| usd(money.0));
    let moment = |moment: Option<EpochMs>| moment.map_or(Value::Null, |moment| iso(moment).into());
    let stated = |column: &Option<Json>| document::<Value>(column.as_ref());
    json!({
        "budget_id": budget.budget_id,
        "max_budget": money(budget.max_budget),
        "soft_budget": money(budget.soft_budget),
        "budget_duration": budget.budget_duration,
        "budget_reset_at": moment(budget.budget_reset_at),
        "max_parallel_requests": budget.max_parallel_requests,
        "tpm_limit": budget.tpm_limit,
        "rpm_limit": budget.rpm_limit,
        "tpd_limit": budget.tpd_limit,
        "model_max_budget": stated(&budget.model_max_budget),
        "allowed_models": stated(&budget.allowed_models),
        "temp_budget_increase": money(budget.temp_budget_increase),
        "temp_budget_expiry": moment(budget.temp_budget_expiry),
        "created_at": iso(budget.created_at),
        "created_by": budget.created_by,
        "updated_at": iso(budget.updated_at),
        "updated_by": budget.updated_by,
        "version": budget.version,
    })
}

impl Desk<'_> {
    pub(super) async fn new_budget(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = match body.get("budget_id").filter(|id| !id.is_null()) {
            Some(_) => text(body, "budget_id")?,
            None => self.gateway.uuid_v4().to_string(),
        };
        let mut budget =
            Budget { budget_id: id, created_at: self.now, created_by: Some(self.actor()), ..Budget::default() };
        write(&mut budget, body)?;
        let taken = format!("Budget already exists, budget_id={}; change it by /budget/update", budget.budget_id);
        let added = self.store.insert_budget(&budget, &self.stamp()).await;
        added.map_err(|error| refusal(error, &taken, "", "budget_id"))?;
        self.shown_budget(&budget.budget_id).await
    }

    pub(super) async fn update_budget(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "budget_id")?;
        let gone = || format!("Budget not found, budget_id={id}");
        let failed = |error| refusal(error, "", &gone(), "budget_id");
        let found = self.store.budget(&id).await.map_err(failed)?;
        let mut budget = found.ok_or_else(|| missing(&gone(), "budget_id"))?;
        write(&mut budget, body)?;
        let read = self.version.unwrap_or(budget.version);
        self.store.update_budget(&budget, read, &self.stamp()).await.map_err(failed)?;
        self.budgets_changed();
        self.shown_budget(&id).await
    }

    async fn shown_budget(&self, id: &str) -> Result<Value, Failure> {
        let gone = format!("Budget not found, budget_id={id}");
        let found = self.store.budget(id).await.map_err(|error| refusal(error, "", &gone, "budget_id"))?;
        found.as_ref().map(read).ok_or_else(|| missing(&gone, "budget_id"))
    }

    pub(super) async fn budget_info(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let ids = texts(body, "budgets")?;
        if ids.is_empty() {
            return Err(Failure::invalid("name the budgets to look at: {\"budgets\": [\"id\"]}").with_param("budgets"));
        }
        let found = self.budgets(ids.iter().cloned().map(Some)).await?;
        Ok(ids.iter().filter_map(|id| found.get(id)).map(read).collect())
    }

    pub(super) async fn delete_budget(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "id")?;
        let gone = format!("Budget not found, budget_id={id}");
        let deleted = self.store.delete_budgets(&[id], &self.stamp()).await;
        let deleted = deleted.map_err(|error| refusal(error, "", &gone, "id"))?;
        self.budgets_changed();
        deleted.first().map(read).ok_or_else(|| missing(&gone, "id"))
    }

    pub(super) async fn list_budgets(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let listed = self.store.list_budgets(page(query)?).await.map_err(|error| refusal(error, "", "", "page"))?;
        Ok(listed.rows.iter().map(|(budget, _)| read(budget)).collect())
    }

    pub(super) async fn budget_settings(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let shown = self.shown_budget(query.get("budget_id").map(String::as_str).unwrap_or_default()).await?;
        let setting = |(name, form, about): (&str, &str, &str)| {
            let value = shown.get(name).cloned().unwrap_or_default();
            json!({
                "field_name": name, "field_type": form, "field_description": about, "stored_in_db": !value.is_null(),
                "field_value": value, "field_default_value": null, "premium_field": false,
            })
        };
        Ok(TOLD.into_iter().map(setting).collect())
    }

    /// Whoever refers to a budget that has changed is looked up anew; other instances hear of it.
    pub(super) fn budgets_changed(&self) {
        self.callers.forget_all();
        self.callers.customers().forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_budget_says_is_shown_and_null_empties_it() {
        let mut budget = Budget::default();
        let body = json!({
            "max_budget": 1.5, "soft_budget": 1, "budget_duration": "30d", "max_parallel_requests": 3, "tpm_limit": 4,
            "rpm_limit": 5, "tpd_limit": 6, "model_max_budget": {"gpt": {"max_budget": 1}}, "allowed_models": ["gpt"],
            "temp_budget_increase": 2, "temp_budget_expiry": "2026-11-21T18:00:00Z",
        });
        write(&mut budget, body.as_object().unwrap()).unwrap();
        let shown = read(&budget);
        for name in FIELDS {
            let expected = match name {
                "temp_budget_expiry" => json!("2026-11-21T18:00:00.000000+00:00"),
                name if body[name].is_number() => json!(body[name].as_f64().unwrap()),
                name => body[name].clone(),
            };
            let told = if shown[name].is_number() { json!(shown[name].as_f64().unwrap()) } else { shown[name].clone() };
            assert_eq!(told, expected, "{name}");
        }
        let nulls: Map<String, Value> = FIELDS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        write(&mut budget, &nulls).unwrap();
        assert_eq!(budget, Budget::default());
    }
}
