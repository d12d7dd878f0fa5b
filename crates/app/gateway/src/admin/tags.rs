//! Tags with limits and budgets (surface appendix B.8).

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tollgate_store::{Budget, Json, NanoDollars, Tag};
use tollgate_wire::Failure;

use super::{
    Desk, budget_rows,
    fields::{Field, iso, usd},
    parties::{missing, page, refusal, text, texts},
    rows::document,
};

/// Members of a request that are no fields of the row.
const NOT_FIELDS: [&str; 4] = ["name", "budget_id", "spend", "litellm_budget_table"];
/// The budget that a tag has for itself.
const OWN: &str = "tag:";

fn write(row: &mut Tag, fields: &Map<String, Value>) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(row.rest.as_ref());
    for (name, value) in fields {
        let field = Field { name, value };
        match name.as_str() {
            "description" => row.description = field.text()?,
            "models" => row.models = field.list()?,
            "model_info" => row.model_info = field.object()?,
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

fn read(row: &Tag, spent: Option<NanoDollars>, budget: Option<&Budget>) -> Value {
    let mut shown: Map<String, Value> = document(row.rest.as_ref());
    let own = json!({
        "name": row.tag_name,
        "tag_name": row.tag_name,
        "description": row.description,
        "models": document::<Vec<String>>(row.models.as_ref()),
        "model_info": document::<Value>(row.model_info.as_ref()),
        "spend": usd(spent.map_or(0, |spent| spent.0)),
        "budget_id": row.budget_id,
        "litellm_budget_table": budget.map(budget_rows::read),
        "created_at": iso(row.created_at),
        "created_by": row.created_by,
        "updated_at": iso(row.updated_at),
        "version": row.version,
    });
    if let Value::Object(own) = own {
        shown.extend(own);
    }
    shown.into()
}

impl Desk<'_> {
    pub(super) async fn new_tag(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let name = text(body, "name")?;
        let taken = format!("Tag {name} already exists");
        let failed = |error| refusal(error, &taken, "", "name");
        let mut row =
            Tag { tag_name: name.clone(), created_at: self.now, created_by: Some(self.actor()), ..Tag::default() };
        write(&mut row, body)?;
        if self.store.tag(&name).await.map_err(failed)?.is_some() {
            return Err(Failure::invalid(taken).with_param("name"));
        }
        row.budget_id = self.budget_for(body, &format!("{OWN}{name}"), None).await?;
        self.store.insert_tag(&row, &self.stamp()).await.map_err(failed)?;
        self.tags_changed().await;
        let tag = self.shown_tags(std::slice::from_ref(&name)).await?.remove(&name);
        Ok(json!({"message": format!("Tag {name} created successfully"), "tag": tag}))
    }

    pub(super) async fn update_tag(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let name = text(body, "name")?;
        let gone = format!("Tag {name} not found");
        let failed = |error| refusal(error, "", &gone, "name");
        let mut row = self.store.tag(&name).await.map_err(failed)?.ok_or_else(|| missing(&gone, "name"))?;
        let read = self.version.unwrap_or(row.version);
        if read != row.version {
            return Err(failed(tollgate_store::StoreError::Stale));
        }
        write(&mut row, body)?;
        row.budget_id = self.budget_for(body, &format!("{OWN}{name}"), row.budget_id.take()).await?;
        self.store.update_tag(&row, read, &self.stamp()).await.map_err(failed)?;
        self.tags_changed().await;
        let tag = self.shown_tags(std::slice::from_ref(&name)).await?.remove(&name);
        Ok(json!({"message": format!("Tag {name} updated successfully"), "tag": tag}))
    }

    pub(super) async fn tag_info(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let names = texts(body, "names")?;
        let shown = self.shown_tags(&names).await?;
        if shown.is_empty() {
            return Err(missing(&format!("No tags found with names: {names:?}"), "names"));
        }
        Ok(Value::Object(shown.into_iter().collect()))
    }

    async fn shown_tags(&self, names: &[String]) -> Result<HashMap<String, Value>, Failure> {
        let rows = self.store.find_tags(names).await.map_err(|error| refusal(error, "", "", "names"))?;
        let budgets = self.budgets(rows.iter().map(|row| row.budget_id.clone())).await?;
        let spent = self.spent_under("tag", names).await?;
        let shown = |row: &Tag| {
            let budget = row.budget_id.as_ref().and_then(|id| budgets.get(id));
            (row.tag_name.clone(), read(row, spent.get(&row.tag_name).copied(), budget))
        };
        Ok(rows.iter().map(shown).collect())
    }

    pub(super) async fn delete_tag(&self, body: &Map<String, Value>) -> Result<Value, Failure> {
        let name = text(body, "name")?;
        let failed = |error| refusal(error, "", "", "name");
        let deleted = self.store.delete_tags(std::slice::from_ref(&name), &self.stamp()).await.map_err(failed)?;
        if deleted.is_empty() {
            return Err(missing(&format!("Tag {name} not found"), "name"));
        }
        self.store.delete_budgets(&[format!("{OWN}{name}")], &self.stamp()).await.map_err(failed)?;
        self.tags_changed().await;
        Ok(json!({"message": format!("Tag {name} deleted successfully")}))
    }

    pub(super) async fn list_tags(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let listed = self.store.list_tags(page(query)?).await.map_err(|error| refusal(error, "", "", "page"))?;
        let budgets = self.budgets(listed.rows.iter().map(|(row, _)| row.budget_id.clone())).await?;
        let of = |row: &Tag| row.budget_id.as_ref().and_then(|id| budgets.get(id));
        Ok(listed.rows.iter().map(|(row, spent)| read(row, Some(spent.settled), of(row))).collect())
    }

    /// What is done here holds here at once; other instances hear of it.
    async fn tags_changed(&self) {
        if let Err(error) = self.callers.tags().read(self.store).await {
            tracing::debug!(target: "tollgate::store", %error, "tags are read anew a little later");
        }
    }
}
