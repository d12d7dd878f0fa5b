//! Customers: `LiteLLM`'s end users (surface appendix B.7).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_store::{Budget, Customer, Json, NanoDollars};
use tollgate_wire::Failure;

use super::{
    Desk, budget_rows,
    fields::{Field, usd},
    parties::{missing, page, refusal, text, texts},
    rows::document,
};

/// Members of a request that are no fields of the row.
const NOT_FIELDS: [&str; 5] = ["user_id", "budget_id", "spend", "object_permission_id", "litellm_budget_table"];
/// The budget of a customer that he has for himself.
const OWN: &str = "customer:";

fn write(row: &mut Customer, fields: &Map<String, Value>) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(row.rest.as_ref());
    for (name, value) in fields {
        let field = Field { name, value };
        match name.as_str() {
            "alias" => row.alias = field.text()?,
            "blocked" => row.blocked = field.flag()?.unwrap_or_default(),
            "allowed_model_region" => {
                row.allowed_model_region = field.text()?;
                if row.allowed_model_region.as_deref().is_some_and(|region| !matches!(region, "eu" | "us")) {
                    return Err(field.refused("must be \"eu\" or \"us\""));
                }
            }
            "default_model" => row.default_model = field.text()?,
            "models" => row.models = field.list()?,
            "object_permission" => row.object_permission = field.object()?,
            name if NOT_FIELDS.contains(&name) || budget_rows::FIELDS.contains(&name) => {}
            _ if value.is_null() => {
                rest.remove(name);
            }
            _ => {
                rest.insert(name.clone(), value.clone());
            }
        }
    }
    row.rest = (!rest.is_empty()).then(|| Json(Value::Object(rest).to_string()));
    Ok(())
}

fn read(row: &Customer, spent: Option<NanoDollars>, budget: Option<&Budget>) -> Value {
    let mut shown: Map<String, Value> = document(row.rest.as_ref());
    let own = json!({
        "user_id": row.customer_id,
        "alias": row.alias,
        "blocked": row.blocked,
        "spend": usd(spent.map_or(0, |spent| spent.0)),
        "allowed_model_region": row.allowed_model_region,
        "default_model": row.default_model,
        "models": document::<Vec<String>>(row.models.as_ref()),
        "object_permission": document::<Value>(row.object_permission.as_ref()),
        "object_permission_id": null,
        "budget_id": row.budget_id,
        "litellm_budget_table": budget.map(budget_rows::read),
        "version": row.version,
    });
    if let Value::Object(own) = own {
        shown.extend(own);
    }
    shown.into()
}

fn gone(id: &str) -> Failure {
    missing(&format!("End User Id={id} does not exist in db"), "user_id")
}

impl Desk<'_> {
    pub(super) async fn new_customer(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "user_id")?;
        let taken = format!("Customer already exists, passed user_id={id}. Please pass a new user_id.");
        let failed = |error| refusal(error, &taken, "", "user_id");
        let mut row = Customer {
            customer_id: id.clone(),
            created_at: self.now,
            created_by: Some(self.actor()),
            ..Customer::default()
        };
        write(&mut row, body)?;
        self.knows_default(&row)?;
        if self.store.customer(&id).await.map_err(failed)?.is_some() {
            return Err(Failure::invalid(taken).with_param("user_id"));
        }
        row.budget_id = self.budget_for(body, &format!("{OWN}{id}"), None).await?;
        self.store.insert_customer(&row, &self.stamp()).await.map_err(failed)?;
        self.customer_changed(&id);
        self.shown_customer(&id).await
    }

    pub(super) async fn update_customer(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let id = text(body, "user_id")?;
        let failed = |error| refusal(error, "", &format!("End User Id={id} does not exist in db"), "user_id");
        let mut row = self.store.customer(&id).await.map_err(failed)?.ok_or_else(|| gone(&id))?;
        let read = self.version.unwrap_or(row.version);
        if read != row.version {
            return Err(failed(tollgate_store::StoreError::Stale));
        }
        write(&mut row, body)?;
        self.knows_default(&row)?;
        row.budget_id = self.budget_for(body, &format!("{OWN}{id}"), row.budget_id.take()).await?;
        self.store.update_customer(&row, read, &self.stamp()).await.map_err(failed)?;
        self.customer_changed(&id);
        self.shown_customer(&id).await
    }

    /// A default must be there, or it is one in name only.
    fn knows_default(&self, row: &Customer) -> Result<(), Failure> {
        match &row.default_model {
            Some(model) if self.snapshot.fleet.find(model).is_none() => {
                let words = format!(
                    "Default Model not on proxy. Configure via `/model/new` or config.yaml. Default_model={model}"
                );
                let mut failure = Failure::invalid(words).with_param("default_model");
                failure.status = Some(422);
                Err(failure)
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn delete_customers(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let ids = texts(body, "user_ids")?;
        let failed = |error| refusal(error, "", "", "user_ids");
        let deleted = self.store.delete_customers(&ids, &self.stamp()).await.map_err(failed)?;
        if deleted.is_empty() {
            return Err(missing("none of these customers is there", "user_ids"));
        }
        let own: Vec<String> = deleted.iter().map(|row| format!("{OWN}{}", row.customer_id)).collect();
        self.store.delete_budgets(&own, &self.stamp()).await.map_err(failed)?;
        let named: Vec<&String> = deleted.iter().map(|row| &row.customer_id).collect();
        named.iter().for_each(|id| self.customer_changed(id));
        let message = format!("Successfully deleted customers with ids: {named:?}");
        Ok(json!({"deleted_customers": named.len(), "message": message}))
    }

    /// Blocks customers, also those that are not there yet.
    pub(super) async fn block_customers(&self, body: &Map<String, Value>, blocked: bool) -> Result<Value, Failure> {
        let mut shown = Vec::new();
        for id in texts(body, "user_ids")? {
            let failed = |error| refusal(error, "this customer was made meanwhile; try again", "", "user_ids");
            match self.store.customer(&id).await.map_err(failed)? {
                Some(row) => {
                    let (version, row) = (row.version, Customer { blocked, ..row });
                    self.store.update_customer(&row, version, &self.stamp()).await.map_err(failed)?;
                }
                None if blocked => {
                    let id = text(&Map::from_iter([("user_ids".to_owned(), id.as_str().into())]), "user_ids")?;
                    let by = Some(self.actor());
                    let row = Customer {
                        customer_id: id,
                        blocked,
                        created_at: self.now,
                        created_by: by,
                        ..Customer::default()
                    };
                    self.store.insert_customer(&row, &self.stamp()).await.map_err(failed)?;
                }
                None => return Err(gone(&id)),
            }
            self.customer_changed(&id);
            shown.push(self.shown_customer(&id).await?);
        }
        Ok(json!({ "blocked_users": shown }))
    }

    pub(super) async fn customer_info(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        match query.get("end_user_id").filter(|id| !id.is_empty()) {
            Some(id) => self.shown_customer(id).await,
            None => Err(Failure::invalid("name the customer: /customer/info?end_user_id=…").with_param("end_user_id")),
        }
    }

    async fn shown_customer(&self, id: &str) -> Result<Value, Failure> {
        let failed = |error| refusal(error, "", "", "user_id");
        let spent = self.spent_under("customer", &[id.to_owned()]).await?.remove(id);
        let row = match (self.store.customer(id).await.map_err(failed)?, spent) {
            (Some(row), _) => row,
            // One for whom calls were made is a customer, though nobody has said anything of him.
            (None, Some(_)) => Customer { customer_id: id.to_owned(), ..Customer::default() },
            (None, None) => return Err(gone(id)),
        };
        let budget = self.budgets(std::iter::once(row.budget_id.clone())).await?;
        Ok(read(&row, spent, budget.values().next()))
    }

    pub(super) async fn list_customers(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let listed = self.store.list_customers(page(query)?).await.map_err(|error| refusal(error, "", "", "page"))?;
        let budgets = self.budgets(listed.rows.iter().map(|(row, _)| row.budget_id.clone())).await?;
        let of = |row: &Customer| row.budget_id.as_ref().and_then(|id| budgets.get(id));
        Ok(listed.rows.iter().map(|(row, spent)| read(row, Some(spent.settled), of(row))).collect())
    }

    fn customer_changed(&self, id: &str) {
        self.callers.customers().forget(id);
    }
}
