//! Lists of keys.

use std::collections::HashMap;

use serde_json::{Value, json};
use tollgate_policy::{Caller, Role};
use tollgate_store::{KeyFilter, KeyListing, KeySort, KeyState};
use tollgate_wire::Failure;

use super::{Desk, failure_of, fields, keys::token_of};

/// Keys on a page at most.
pub(super) const LARGEST_PAGE: i64 = 100;
/// Pages are counted so far: what lies deeper is found by filters, or from the last key of the page before.
pub(super) const LAST_PAGE: i64 = 1_000_000;

/// A query's texts, each with its name in refusals.
pub(super) struct Asked<'q>(pub(super) &'q HashMap<String, String>);

impl Asked<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    pub(super) fn number(&self, name: &str, default: i64, most: i64) -> Result<i64, Failure> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number: &i64| *number >= 1);
        let number = number.ok_or_else(|| Failure::invalid(format!("`{name}` must be a number")).with_param(name))?;
        Ok(number.min(most))
    }
}

impl Desk<'_> {
    /// `GET /key/list`.
    pub(super) async fn list(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let page = asked.number("page", 1, LAST_PAGE)?;
        let size = asked.number("size", 10, LARGEST_PAGE)?;
        let contains = asked.flag("substring_matching");
        let alias = asked.text("key_alias");
        let state = match asked.text("status").as_deref() {
            None => None,
            Some("active") => Some(KeyState::Active(self.now)),
            Some("expired") => Some(KeyState::Expired(self.now)),
            Some("revoked" | "blocked") => Some(KeyState::Blocked),
            Some("deleted") => Some(KeyState::Deleted),
            Some(_) => {
                return Err(
                    Failure::invalid("`status` must be active, expired, revoked or deleted").with_param("status")
                );
            }
        };
        let filter = KeyFilter {
            user_id: asked.text("user_id"),
            team_id: asked.text("team_id"),
            organization_id: asked.text("organization_id"),
            project_id: asked.text("project_id"),
            agent_id: asked.text("agent_id"),
            access_group_id: asked.text("access_group_id"),
            token: asked.text("key_hash").map(|key| token_of(&key)),
            alias_contains: alias.clone().filter(|_| contains),
            key_alias: alias.filter(|_| !contains),
            search: asked.text("search"),
            state,
            ..KeyFilter::default()
        };
        let leads = match &filter.team_id {
            Some(team) => self.leads_team(team).await?,
            None => false,
        };
        let filter = if leads { filter } else { self.own(filter) };
        let sort = sort_of(asked.text("sort_by").as_deref())?;
        let descending = !asked.text("sort_order").is_some_and(|order| order.eq_ignore_ascii_case("asc"));
        let offset = (page - 1) * size;
        let listing = KeyListing { filter, sort, descending, after: None, offset, limit: size, count: true };
        let listed = self.store.list_keys(&listing).await.map_err(|error| failure_of(error, ""))?;
        let whole = asked.flag("return_full_object");
        let keys: Vec<Value> = if whole {
            let mut shown: Vec<_> =
                listed.keys.iter().map(|(row, spent)| (row, fields::info(row, *spent, self.now))).collect();
            self.tell_windows(&mut shown).await?;
            shown.into_iter().map(|(_, info)| info.into()).collect()
        } else {
            listed.keys.iter().map(|(row, _)| row.token.clone().into()).collect()
        };
        let total = listed.total.unwrap_or_default();
        let pages = total.saturating_add(size - 1) / size;
        Ok(json!({"keys": keys, "total_count": total, "current_page": page, "total_pages": pages}))
    }

    /// `GET /key/aliases`.
    pub(super) async fn aliases(&self, query: &HashMap<String, String>) -> Result<Value, Failure> {
        let asked = Asked(query);
        let page = asked.number("page", 1, LAST_PAGE)?;
        let size = asked.number("size", 50, LARGEST_PAGE)?;
        let filter = KeyFilter {
            team_id: asked.text("team_id"),
            alias_contains: asked.text("search"),
            has_alias: true,
            ..KeyFilter::default()
        };
        let listing = KeyListing {
            filter: self.own(filter),
            sort: KeySort::Alias,
            descending: false,
            after: None,
            offset: (page - 1) * size,
            limit: size,
            count: true,
        };
        let listed = self.store.list_keys(&listing).await.map_err(|error| failure_of(error, ""))?;
        let aliases: Vec<&str> = listed.keys.iter().filter_map(|(row, _)| row.key_alias.as_deref()).collect();
        let total = listed.total.unwrap_or_default();
        let pages = total.saturating_add(size - 1) / size;
        Ok(json!({
            "aliases": aliases, "total_count": total, "current_page": page, "total_pages": pages, "size": size,
        }))
    }

    /// Whoever is no admin sees his own.
    fn own(&self, mut filter: KeyFilter) -> KeyFilter {
        if let Caller::Key(key) = self.caller
            && !matches!(key.role, Role::Admin | Role::AdminViewer)
        {
            match &key.user {
                Some(user) => filter.user_id = Some(user.clone()),
                None => filter.token = Some(key.digest.to_hex()),
            }
        }
        filter
    }
}

fn sort_of(name: Option<&str>) -> Result<KeySort, Failure> {
    Ok(match name {
        None | Some("created_at") => KeySort::CreatedAt,
        Some("updated_at") => KeySort::UpdatedAt,
        Some("key_alias") => KeySort::Alias,
        Some("key_name") => KeySort::Name,
        Some("spend") => KeySort::Spend,
        Some("max_budget") => KeySort::MaxBudget,
        Some("expires") => KeySort::Expires,
        Some("user_id") => KeySort::User,
        Some("team_id") => KeySort::Team,
        Some("token") => KeySort::Token,
        Some(_) => {
            let words = "`sort_by` must be created_at, updated_at, key_alias, key_name, spend, max_budget, expires, user_id, \
                         team_id or token";
            return Err(Failure::invalid(words).with_param("sort_by"));
        }
    })
}
