//! The audit log: what every change leaves in it, without secrets, and how it is read (surface 4.6, C.20).

use serde_json::{Map, Value, json};
use tollgate_store::{Audit, AuditEntry, AuditFilter, AuditSort, Json, Key, Page, Stamp};
use tollgate_wire::Failure;

use super::{Desk, failure_of, fields, keys::token_of, ledger::gone, spend::asked::Asked};

/// `LiteLLM`'s name for the table of keys.
pub(super) const KEYS: &str = "LiteLLM_VerificationToken";
/// What stands for a secret.
const HIDDEN: &str = "***";
/// Ends of names whose texts are secrets.
const SECRET: [&str; 7] = ["key", "secret", "password", "token", "credential", "credentials", "authorization"];
/// Entries on a page, and at most.
const PAGE_SIZE: i64 = 10;
const LARGEST_PAGE: i64 = 100;
const LAST_PAGE: i64 = 1_000_000;

impl Desk<'_> {
    /// A stamp for a change of a key's row.
    pub(super) fn noted_key(&self, action: &str, before: Option<&Key>, after: Option<&Key>) -> Stamp {
        let Some(named) = after.or(before).filter(|_| self.snapshot.audits) else { return self.stamp() };
        let read = |row: &Key| Value::Object(fields::read(row));
        self.noted(action, KEYS, &named.token, (before.map(read), after.map(read)))
    }

    /// A stamp for a change of something, with what was there before and what is there now.
    pub(super) fn noted(
        &self,
        action: &str,
        table: &str,
        object: &str,
        (before, after): (Option<Value>, Option<Value>),
    ) -> Stamp {
        let mut stamp = self.stamp();
        if self.snapshot.audits {
            let kept = |value: Value| Json(without_secrets(value).to_string());
            stamp.audit = Some(Audit {
                id: self.gateway.uuid_v7().to_string(),
                changed_by: Some(self.author().to_string()),
                changed_by_key: self.caller.key().map(|key| key.digest.to_hex()),
                action: action.to_owned(),
                table_name: table.to_owned(),
                object_id: object.to_owned(),
                before: before.map(kept),
                after: after.map(kept),
            });
        }
        stamp
    }

    /// `GET /audit`
    pub(super) async fn audits(&self, asked: &Asked<'_>) -> Result<Value, Failure> {
        let size = asked.number("page_size", PAGE_SIZE, LARGEST_PAGE)?;
        let page = asked.number("page", 1, LAST_PAGE)?;
        let of_team = asked.text("object_team_id").map(|team| format!("\"team_id\":{}", Value::from(team)));
        let of_key = asked.text("object_key_hash").map(|key| token_of(&key));
        let filter = AuditFilter {
            changed_by: asked.text("changed_by"),
            changed_by_key: asked.text("changed_by_api_key").map(|key| token_of(&key)),
            action: asked.text("action"),
            table_name: asked.text("table_name"),
            object_id: asked.text("object_id").or(of_key),
            value: of_team,
            words: asked.text("search"),
            from: asked.moment("start_date")?,
            to: asked.moment("end_date")?,
        };
        let sorts = [
            ("updated_at", AuditSort::At),
            ("changed_by", AuditSort::ChangedBy),
            ("action", AuditSort::Action),
            ("table_name", AuditSort::TableName),
            ("object_id", AuditSort::ObjectId),
        ];
        let sort = asked.word("sort_by", &sorts)?.unwrap_or_default();
        let descending = asked.word("sort_order", &[("desc", true), ("asc", false)])?.unwrap_or(true);
        let part = Page { offset: (page - 1) * size, limit: size };
        let found = self.store.audit_log(&filter, (sort, descending), part).await;
        let (entries, total) = found.map_err(|error| failure_of(error, ""))?;
        let entries: Vec<Value> = entries.iter().map(shown).collect();
        Ok(json!({
            "audit_logs": entries, "total": total, "page": page, "page_size": size,
            "total_pages": (total + size - 1) / size,
        }))
    }

    /// `GET /audit/{id}`
    pub(super) async fn audit(&self, id: &str) -> Result<Value, Failure> {
        let found = self.store.audit_entry(id).await.map_err(|error| failure_of(error, ""))?;
        found.as_ref().map(shown).ok_or_else(|| gone(404, "the audit log has no entry with this id"))
    }
}

fn shown(AuditEntry { at, audit }: &AuditEntry) -> Value {
    let value = |json: &Option<Json>| -> Value {
        json.as_ref().and_then(|json| serde_json::from_str(&json.0).ok()).unwrap_or_default()
    };
    json!({
        "id": audit.id,
        "updated_at": fields::iso(*at),
        "changed_by": audit.changed_by.as_deref().unwrap_or_default(),
        "changed_by_api_key": audit.changed_by_key.as_deref().unwrap_or_default(),
        "action": audit.action,
        "table_name": audit.table_name,
        "object_id": audit.object_id,
        "before_value": value(&audit.before),
        "updated_values": value(&audit.after),
    })
}

/// The same without texts whose names say that they are secrets: people keep those of their callbacks in metadata.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let cleaned = members.into_iter().map(|(name, value)| {
                let lower = name.to_ascii_lowercase();
                let is_secret = value.is_string() && SECRET.iter().any(|end| lower.ends_with(end));
                let value = if is_secret { HIDDEN.into() } else { without_secrets(value) };
                (name, value)
            });
            Value::Object(cleaned.collect::<Map<String, Value>>())
        }
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_kept() {
        let value = json!({
            "key_name": "sk-...cdef", "max_tokens": 5, "tokens": ["a"],
            "metadata": {"logging": [{"callback_vars": {"langfuse_secret_key": "sk-lf-1", "host": "h"}}], "Password": "p"},
        });
        let kept = without_secrets(value);
        assert_eq!(kept["metadata"]["logging"][0]["callback_vars"], json!({"langfuse_secret_key": "***", "host": "h"}));
        assert_eq!(kept["metadata"]["Password"], "***");
        assert_eq!((&kept["key_name"], &kept["max_tokens"]), (&json!("sk-...cdef"), &json!(5)));
    }
}
