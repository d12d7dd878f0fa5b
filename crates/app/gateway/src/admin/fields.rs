//! The fields of a key, as clients write and read them (surface appendix B.1 and B.2), and the columns they are kept in.

use serde_json::{Map, Value, json};
use tollgate_policy::Lifetime;
use tollgate_store::{EpochMs, Json, Key, NanoDollars, Spent};
use tollgate_wire::Failure;

use super::rows::document;

/// Members of a request that are not the key's fields.
const NOT_FIELDS: [&str; 8] =
    ["key", "keys", "new_key", "new_master_key", "grace_period", "send_invite_email", "spend", "key_aliases"];

/// Writes what a request says into a row. `null` empties a field.
///
/// # Errors
/// 400 for a field of another form, naming it.
pub(crate) fn write(key: &mut Key, fields: &Map<String, Value>, now: EpochMs) -> Result<(), Failure> {
    let mut rest: Map<String, Value> = document(key.rest.as_ref());
    for (name, value) in fields {
        write_one(key, &mut rest, name, value, now)?;
    }
    key.rest = (!rest.is_empty()).then(|| Json(Value::Object(rest).to_string()));
    Ok(())
}

fn write_one(
    key: &mut Key,
    rest: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    now: EpochMs,
) -> Result<(), Failure> {
    let field = Field { name, value };
    match name {
        // A key that is thought to be bound to addresses and is not, is worse than none.
        "allowed_ips" if !value.is_null() && value.as_array().is_none_or(|ips| !ips.is_empty()) => {
            return Err(field.refused("is not enforced by this version; leave it out"));
        }
        "key_alias" => key.key_alias = field.text()?,
        "user_id" => key.user_id = field.text()?,
        "team_id" => key.team_id = field.text()?,
        "organization_id" => key.organization_id = field.text()?,
        "project_id" => key.project_id = field.text()?,
        "agent_id" => key.agent_id = field.text()?,
        "budget_id" => key.budget_id = field.text()?,
        "blocked" => key.blocked = field.flag()?,
        "duration" => key.expires = field.lifetime()?.map(|lifetime| EpochMs(lifetime.ends(now.0))),
        "key_type" => write_type(key, &field)?,
        "models" => key.models = field.list()?,
        "tags" => key.tags = field.list()?,
        "allowed_routes" => key.allowed_routes = field.list()?,
        "allowed_cache_controls" => key.allowed_cache_controls = field.list()?,
        "access_group_ids" => key.access_group_ids = field.list()?,
        "budget_limits" => key.budget_limits = field.budgets()?,
        "aliases" => key.aliases = field.texts_by_name()?,
        "config" => key.config = field.object()?,
        "permissions" => key.permissions = field.object()?,
        "metadata" => key.metadata = field.object()?,
        "model_max_budget" => key.model_max_budget = field.budgets_by_model()?,
        "model_rpm_limit" => key.model_rpm_limit = field.numbers_by_name()?,
        "model_tpm_limit" => key.model_tpm_limit = field.numbers_by_name()?,
        "router_settings" => key.router_settings = field.object()?,
        "object_permission" => key.object_permission = field.object()?,
        "max_budget" => key.max_budget = field.money()?,
        "soft_budget" => key.soft_budget = field.money()?,
        "temp_budget_increase" => key.temp_budget_increase = field.money()?,
        "temp_budget_expiry" => key.temp_budget_expiry = field.moment()?,
        "budget_duration" => {
            field.lifetime()?;
            key.budget_duration = field.text()?;
        }
        "max_parallel_requests" => key.max_parallel_requests = field.count()?,
        "tpm_limit" => key.tpm_limit = field.count()?,
        "rpm_limit" => key.rpm_limit = field.count()?,
        "tpd_limit" => key.tpd_limit = field.count()?,
        "auto_rotate" => key.auto_rotate = field.flag()?,
        "rotation_interval" => {
            field.lifetime()?;
            key.rotation_interval = field.text()?;
        }
        name if NOT_FIELDS.contains(&name) => {}
        _ if value.is_null() => {
            rest.remove(name);
        }
        _ => {
            rest.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

/// `LiteLLM`'s short words for lists of routes.
fn write_type(key: &mut Key, field: &Field<'_>) -> Result<(), Failure> {
    let routes = match field.text()?.as_deref() {
        None | Some("default") => None,
        Some("llm_api") => Some("llm_api_routes"),
        Some("management") => Some("management_routes"),
        Some("read_only") => Some("info_routes"),
        Some(_) => return Err(field.refused("must be default, llm_api, management or read_only")),
    };
    key.key_type = field.text()?;
    if let Some(routes) = routes {
        key.allowed_routes = Some(Json(json!([routes]).to_string()));
    }
    Ok(())
}

/// One field of a request.
pub(super) struct Field<'v> {
    pub(super) name: &'v str,
    pub(super) value: &'v Value,
}

/// Characters of a text field at most.
const LONGEST_TEXT: usize = 1024;
/// Bytes of a document at most.
const LARGEST_DOCUMENT: usize = 256 << 10;

impl Field<'_> {
    fn budgets(&self) -> Result<Option<Json>, Failure> {
        super::budgets::check_limits(self.value)?;
        self.items()
    }

    fn budgets_by_model(&self) -> Result<Option<Json>, Failure> {
        super::budgets::check_models(self.value)?;
        self.object()
    }

    pub(super) fn refused(&self, what: &str) -> Failure {
        Failure::invalid(format!("`{}` {what}", self.name)).with_param(self.name)
    }

    pub(super) fn text(&self) -> Result<Option<String>, Failure> {
        match self.value {
            Value::Null => Ok(None),
            Value::String(text) if text.is_empty() => Ok(None),
            // PostgreSQL has no room for this one character.
            Value::String(text) if text.contains('\0') => Err(self.refused("must not hold the character U+0000")),
            Value::String(text) if text.len() <= LONGEST_TEXT => Ok(Some(text.clone())),
            Value::String(_) => Err(self.refused("is longer than 1,024 bytes")),
            _ => Err(self.refused("must be text")),
        }
    }

    pub(super) fn flag(&self) -> Result<Option<bool>, Failure> {
        match self.value {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(*flag)),
            _ => Err(self.refused("must be true or false")),
        }
    }

    pub(super) fn count(&self) -> Result<Option<i64>, Failure> {
        match self.value {
            Value::Null => Ok(None),
            value => {
                let whole = value.as_i64().or_else(|| whole(value.as_f64()?));
                let number = whole.filter(|number| *number >= 0);
                number.map(Some).ok_or_else(|| self.refused("must be a whole number from 0 on"))
            }
        }
    }

    pub(super) fn money(&self) -> Result<Option<NanoDollars>, Failure> {
        match self.value {
            Value::Null => Ok(None),
            value => {
                let nanos = value.as_f64().and_then(nanos).filter(|nanos| *nanos >= 0);
                let nanos =
                    nanos.ok_or_else(|| self.refused("must be an amount of USD from 0 on, below nine billion"))?;
                Ok(Some(NanoDollars(nanos)))
            }
        }
    }

    pub(super) fn lifetime(&self) -> Result<Option<Lifetime>, Failure> {
        // `LiteLLM` writes "-1" for what never ends.
        match self.text()?.as_deref() {
            None | Some("-1") => Ok(None),
            Some(text) => Lifetime::parse(text, self.name).map(Some),
        }
    }

    pub(super) fn moment(&self) -> Result<Option<EpochMs>, Failure> {
        let Some(text) = self.text()? else { return Ok(None) };
        let zoned = text.parse::<jiff::Timestamp>().ok();
        let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let moment = zoned.or_else(|| civil().map(|zoned| zoned.timestamp()));
        let moment = moment.ok_or_else(|| self.refused("must be a moment such as 2026-11-21T18:00:00Z"))?;
        Ok(Some(EpochMs(moment.as_millisecond())))
    }

    fn document(&self, fits: impl Fn(&Value) -> bool, what: &str) -> Result<Option<Json>, Failure> {
        if self.value.is_null() {
            return Ok(None);
        }
        if !fits(self.value) {
            return Err(self.refused(what));
        }
        let text = self.value.to_string();
        if text.len() > LARGEST_DOCUMENT {
            return Err(self.refused("is larger than 256 KiB"));
        }
        if text.contains("\\u0000") {
            return Err(self.refused("must not hold the character U+0000"));
        }
        Ok(Some(Json(text)))
    }

    pub(super) fn list(&self) -> Result<Option<Json>, Failure> {
        let fits = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        self.document(fits, "must be a list of texts")
    }

    pub(super) fn items(&self) -> Result<Option<Json>, Failure> {
        let fits = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_object));
        self.document(fits, "must be a list of objects")
    }

    pub(super) fn object(&self) -> Result<Option<Json>, Failure> {
        self.document(Value::is_object, "must be an object")
    }

    pub(super) fn texts_by_name(&self) -> Result<Option<Json>, Failure> {
        let fits = |value: &Value| value.as_object().is_some_and(|members| members.values().all(Value::is_string));
        self.document(fits, "must be an object of texts")
    }

    pub(super) fn numbers_by_name(&self) -> Result<Option<Json>, Failure> {
        let fits = |value: &Value| value.as_object().is_some_and(|members| members.values().all(Value::is_u64));
        self.document(fits, "must be an object of whole numbers from 0 on")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a whole number within what i64 holds exactly")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// USD as nano-dollars.
#[expect(clippy::cast_possible_truncation, reason = "checked to be within i64")]
pub(crate) fn nanos(usd: f64) -> Option<i64> {
    let nanos = (usd * 1e9).round();
    (nanos.is_finite() && nanos.abs() < 9e18).then_some(nanos as i64)
}

/// Nano-dollars as a number of USD (decision 18).
#[expect(clippy::cast_precision_loss, reason = "nine decimals of what fits JSON's numbers")]
pub(crate) fn usd(nanos: i64) -> Value {
    json!(nanos as f64 / 1e9)
}

/// A moment as `LiteLLM` writes it: `2023-11-19T01:38:25.838000+00:00`.
pub(crate) fn iso(moment: EpochMs) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.0).unwrap_or(jiff::Timestamp::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// A column that holds a document, or what stands for an empty one.
fn doc(column: Option<&Json>, empty: Value) -> Value {
    column.and_then(|json| serde_json::from_str(&json.0).ok()).unwrap_or(empty)
}

/// The fields that a request may have set, as they are: what `/key/generate` answers with, and part of `/key/info`.
pub(crate) fn read(key: &Key) -> Map<String, Value> {
    let money = |money: Option<NanoDollars>| money.map_or(Value::Null, |money| usd(money.0));
    let moment = |moment: Option<EpochMs>| moment.map_or(Value::Null, |moment| iso(moment).into());
    let (list, object) = (
        |column: &Option<Json>| doc(column.as_ref(), json!([])),
        |column: &Option<Json>| doc(column.as_ref(), json!({})),
    );
    let either = |column: &Option<Json>| doc(column.as_ref(), Value::Null);
    let fields = [
        ("key_name", json!(key.key_name)),
        ("key_alias", json!(key.key_alias)),
        ("expires", moment(key.expires)),
        ("models", list(&key.models)),
        ("aliases", object(&key.aliases)),
        ("config", object(&key.config)),
        ("permissions", object(&key.permissions)),
        ("metadata", object(&key.metadata)),
        ("tags", either(&key.tags)),
        ("user_id", json!(key.user_id)),
        ("team_id", json!(key.team_id)),
        ("organization_id", json!(key.organization_id)),
        ("org_id", json!(key.organization_id)),
        ("project_id", json!(key.project_id)),
        ("agent_id", json!(key.agent_id)),
        ("budget_id", json!(key.budget_id)),
        ("blocked", json!(key.blocked)),
        ("key_type", json!(key.key_type)),
        ("allowed_routes", list(&key.allowed_routes)),
        ("allowed_cache_controls", list(&key.allowed_cache_controls)),
        ("access_group_ids", either(&key.access_group_ids)),
        ("max_budget", money(key.max_budget)),
        ("soft_budget", money(key.soft_budget)),
        ("budget_duration", json!(key.budget_duration)),
        ("budget_reset_at", moment(key.budget_reset_at)),
        ("budget_limits", either(&key.budget_limits)),
        ("temp_budget_increase", money(key.temp_budget_increase)),
        ("temp_budget_expiry", moment(key.temp_budget_expiry)),
        ("model_max_budget", object(&key.model_max_budget)),
        ("model_rpm_limit", either(&key.model_rpm_limit)),
        ("model_tpm_limit", either(&key.model_tpm_limit)),
        ("max_parallel_requests", json!(key.max_parallel_requests)),
        ("tpm_limit", json!(key.tpm_limit)),
        ("rpm_limit", json!(key.rpm_limit)),
        ("tpd_limit", json!(key.tpd_limit)),
        ("router_settings", either(&key.router_settings)),
        ("object_permission", either(&key.object_permission)),
        ("auto_rotate", json!(key.auto_rotate)),
        ("rotation_interval", json!(key.rotation_interval)),
        ("created_at", iso(key.created_at).into()),
        ("created_by", json!(key.created_by)),
        ("updated_at", iso(key.updated_at).into()),
        ("updated_by", json!(key.updated_by)),
    ];
    let mut rest: Map<String, Value> = NULLS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    rest.extend(document::<Map<String, Value>>(key.rest.as_ref()));
    let mut all: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (name, value) in rest {
        // What has a column is not overwritten by what was sent under its name.
        all.entry(name).or_insert(value);
    }
    all
}

/// Fields of `LiteLLM`'s that have no column here: kept as they are sent, answered as null where they are not.
const NULLS: [&str; 14] = [
    "budget_fallbacks",
    "guardrails",
    "policies",
    "prompts",
    "mcp_rpm_limit",
    "tag_rpm_limit",
    "enforced_params",
    "allowed_passthrough_routes",
    "allowed_vector_store_indexes",
    "rpm_limit_type",
    "tpm_limit_type",
    "disable_global_guardrails",
    "throttle_on_budget_exceeded",
    "end_user_budget_id",
];

/// A row as `/key/info` and `/key/list` show it (surface appendix B.2), with what was spent.
pub(crate) fn info(key: &Key, spent: Spent, now: EpochMs) -> Map<String, Value> {
    let moment = |moment: Option<EpochMs>| moment.map_or(Value::Null, |moment| iso(moment).into());
    let mut info = read(key);
    let status = match (key.blocked, key.expires) {
        (Some(true), _) => "revoked",
        (_, Some(expires)) if expires <= now => "expired",
        _ => "active",
    };
    let more = json!({
        "token": key.token,
        "spend": usd(spent.settled.0),
        "total_spend": usd(spent.settled.0),
        "status": status,
        "model_spend": {},
        "soft_budget_cooldown": false,
        "litellm_budget_table": Value::Null,
        "last_active": moment(spent.last_active),
        "settings_updated_at": moment(key.settings_updated_at),
        "rotation_count": key.rotation_count,
        "last_rotation_at": moment(key.last_rotation_at),
        "key_rotation_at": moment(key.key_rotation_at),
    });
    if let Value::Object(more) = more {
        info.extend(more);
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EpochMs = EpochMs(1_700_000_000_000);

    fn written(fields: &Value) -> Result<Key, Failure> {
        let mut key = Key::default();
        write(&mut key, fields.as_object().unwrap(), NOW)?;
        Ok(key)
    }

    #[test]
    fn what_is_written_is_read() {
        let fields = json!({
            "key_alias": "ci", "models": ["gpt-4o"], "aliases": {"a": "b"}, "metadata": {"user": "x@y"}, "max_budget": 0.1,
            "tpm_limit": 200, "rpm_limit": 4.0, "max_parallel_requests": 10, "guardrails": ["g"], "own_word": {"x": 1},
        });
        let key = written(&fields).unwrap();
        let read = read(&key);
        for (name, value) in fields.as_object().unwrap() {
            let expected = if name == "rpm_limit" { &json!(4) } else { value };
            assert_eq!(read.get(name), Some(expected), "{name}");
        }
        assert_eq!((key.max_budget, &read["expires"]), (Some(NanoDollars(100_000_000)), &Value::Null));
    }

    #[test]
    fn null_empties_a_field() {
        let mut key = written(&json!({"models": ["a"], "max_budget": 1, "own_word": 1, "duration": "20m"})).unwrap();
        assert_eq!(key.expires, Some(EpochMs(NOW.0 + 1_200_000)));
        let nulls = json!({"models": null, "max_budget": null, "own_word": null, "duration": "-1"});
        write(&mut key, nulls.as_object().unwrap(), NOW).unwrap();
        assert_eq!(key, Key::default());
    }

    #[test]
    fn a_field_of_another_form_is_refused_by_name() {
        for (name, value) in [
            ("models", json!("gpt-4o")),
            ("models", json!([1])),
            ("aliases", json!({"a": 1})),
            ("metadata", json!([])),
            ("max_budget", json!(-1)),
            ("max_budget", json!("10")),
            ("max_budget", json!(1e30)),
            ("rpm_limit", json!(1.5)),
            ("tpm_limit", json!(-1)),
            ("duration", json!("soon")),
            ("budget_duration", json!("30 days")),
            ("key_alias", json!("a\0b")),
            ("key_alias", json!("x".repeat(1025))),
            ("metadata", json!({"a": "x".repeat(300_000)})),
            ("metadata", json!({"a": "\0"})),
            ("key_type", json!("root")),
            ("blocked", json!("yes")),
            ("temp_budget_expiry", json!("tomorrow")),
            ("model_rpm_limit", json!({"gpt-4o": "many"})),
        ] {
            let refused = written(&json!({name: value})).unwrap_err();
            assert_eq!((refused.http_status(), refused.param.as_deref()), (400, Some(name)), "{name}");
        }
    }

    #[test]
    fn moments_look_as_the_seeds_show_them() {
        assert_eq!(iso(EpochMs(1_700_357_905_838)), "2023-11-19T01:38:25.838000+00:00");
    }

    #[test]
    fn money_keeps_nine_decimals() {
        for text in ["0.000000001", "0.1", "25.000000004", "1234567.123456789"] {
            let usd: f64 = text.parse().unwrap();
            assert_eq!(super::usd(nanos(usd).unwrap()), json!(usd), "{text}");
        }
    }

    #[test]
    fn a_row_tells_how_the_key_is() {
        let spent = Spent { settled: NanoDollars(1_500_000_000), last_active: None };
        let status = |key: &Key| info(key, spent, NOW)["status"].clone();
        let mut key = Key { expires: Some(EpochMs(NOW.0 + 1)), ..Key::default() };
        assert_eq!((status(&key), &info(&key, spent, NOW)["spend"]), (json!("active"), &json!(1.5)));
        key.expires = Some(NOW);
        assert_eq!(status(&key), "expired");
        key.blocked = Some(true);
        assert_eq!(status(&key), "revoked");
    }
}
