//! Databricks Model Serving.

use serde_json::{Value, json};
use tollgate_wire::{Failure, RawBody, Secret};

use crate::{
    auth::{Account, TokenExchange},
    dialects::openai::messages,
    locate::{Located, Site},
    params::CallParams,
    provider::{JsonSchema, MAX_TOKENS_ONLY, OPENAI_COMPATIBLE, Provider, Quirks, StreamUsage, Supported},
    resolve::Unservable,
    target::{Credential, Target},
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "databricks",
    title: "Databricks",
    base_env: &["DATABRICKS_API_BASE"],
    key_env: &["DATABRICKS_API_KEY"],
    locate: Some(locate),
    quirks: Quirks {
        vectors_take: Some(&[]),
        supported: Supported::Only(TAKES),
        rename: MAX_TOKENS_ONLY,
        stream_usage: StreamUsage::Never,
        says_stream_false: true,
        keeps_cache_control: true,
        json_schema: JsonSchema::ByTool(is_claude),
        request: Some(own_words),
        notes: &[
            "`DATABRICKS_CLIENT_ID` and `DATABRICKS_CLIENT_SECRET` of a service principal serve in a key's place",
            "`name` only in user messages, no empty contents, no thoughts, one text is no list",
            "instructions in a row become one, results of tools stand behind their calls",
            "Claude: `reasoning_effort` becomes a budget, JSON schemas go out as a tool",
        ],
        ..Quirks::NONE
    },
    ..OPENAI_COMPATIBLE
};

const TAKES: &[&str] = &[
    "stop",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "response_format",
    "tools",
    "tool_choice",
    "reasoning_effort",
    "thinking",
];
/// Longest answer beside the thoughts where the client names none, tokens.
const ANSWER_TOKENS: u64 = 4096;

fn is_claude(target: &Target) -> bool {
    target.model.contains("claude")
}

fn own_words(body: &mut RawBody, target: &Target, _call: &CallParams) -> Result<(), Failure> {
    messages::names_only_of(body, &["user"]);
    messages::cache_control_into_content(body);
    messages::edit_where(body, "\"\"", |message| {
        if message.get("content").and_then(Value::as_str) == Some("") {
            message.shift_remove("content");
        }
    });
    messages::without_thoughts(body);
    if is_claude(target) {
        budget_thoughts(body);
    } else {
        reorder(body);
        messages::edit_where(body, "\"text\"", |message| {
            let alone = message.get("content").and_then(Value::as_array).is_some_and(|parts| parts.len() == 1);
            if alone {
                messages::join_content(message);
            }
        });
    }
    Ok(())
}

/// Instructions in a row go as one, and each result of a tool stands behind its own call: Databricks refuses a result
/// behind another result.
fn reorder(body: &mut RawBody) {
    let Some(messages) = body.typed::<Vec<Value>>("messages") else { return };
    let is = |message: &Value, role: &str| message.get("role").is_some_and(|named| named == role);
    let calls = |message: &Value| message.get("tool_calls").and_then(Value::as_array).map_or(0, Vec::len);
    let system_pair = |pair: &[Value]| pair.iter().all(|message| is(message, "system"));
    let several = messages.iter().any(|message| calls(message) > 1);
    if !several && !messages.windows(2).any(system_pair) {
        return;
    }
    let mut out: Vec<Value> = Vec::with_capacity(messages.len());
    let mut rest = messages.into_iter().peekable();
    while let Some(message) = rest.next() {
        if is(&message, "system")
            && let Some(before) = out.last_mut().filter(|before| is(before, "system"))
            && let Some(joined) = joined(before, &message)
        {
            *before = joined;
            continue;
        }
        if calls(&message) < 2 {
            out.push(message);
            continue;
        }
        let mut results = Vec::new();
        while let Some(result) = rest.next_if(|next| is(next, "tool")) {
            results.push(result);
        }
        out.extend(paired(message, results));
    }
    body.set("messages", &out.into());
}

fn joined(one: &Value, other: &Value) -> Option<Value> {
    let text = |message: &Value| message.get("content").and_then(Value::as_str).map(str::to_owned);
    Some(json!({"role": "system", "content": format!("{}\n\n{}", text(one)?, text(other)?)}))
}

/// A turn with several calls as one turn for each, its result behind it; as it was where not every result has a call.
fn paired(turn: Value, results: Vec<Value>) -> Vec<Value> {
    let calls = turn.get("tool_calls").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |result: &Value| calls.iter().find(|call| call.get("id") == result.get("tool_call_id")).cloned();
    let found: Option<Vec<Value>> = results.iter().map(of).collect();
    let Some(found) = found.filter(|found| found.len() == calls.len()) else {
        return [turn].into_iter().chain(results).collect();
    };
    let mut out = Vec::new();
    for (place, (call, result)) in found.into_iter().zip(results).enumerate() {
        let mut said = if place == 0 { turn.clone() } else { json!({"role": "assistant"}) };
        if let Some(members) = said.as_object_mut() {
            members.insert("tool_calls".to_owned(), json!([call]));
        }
        out.extend([said, result]);
    }
    out
}

/// Claude thinks within a budget, and an answer must have room beside it.
fn budget_thoughts(body: &mut RawBody) {
    if let Some(budget) = body.typed::<String>("reasoning_effort").as_deref().and_then(budget_of) {
        body.set("thinking", &json!({"type": "enabled", "budget_tokens": budget}));
    }
    body.remove("reasoning_effort");
    let Some(thinking) = body.typed::<Value>("thinking") else { return };
    let Some(budget) = thinking.get("budget_tokens").and_then(Value::as_u64) else { return };
    if !body.has("max_tokens") {
        body.set("max_tokens", &budget.saturating_add(ANSWER_TOKENS).into());
    }
    // A model that thinks cannot be made to call a tool.
    if body.typed::<Value>("tool_choice").is_some_and(|choice| choice.is_object() || choice == "required") {
        body.set_str("tool_choice", "auto");
    }
}

/// `LiteLLM`'s budgets for the words of effort, tokens. Claude takes none below 1024.
fn budget_of(effort: &str) -> Option<u64> {
    match effort {
        "minimal" | "low" => Some(1024),
        "medium" => Some(2048),
        "high" => Some(4096),
        "xhigh" => Some(8192),
        "max" => Some(16_384),
        _ => None,
    }
}

/// The token of a service principal, where there is no key.
fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let mut located = Located { model: site.model.to_owned(), ..Located::default() };
    located.base_url = site.env(&["DATABRICKS_HOST"]).map(|host| {
        let host = host.trim_end_matches('/');
        let scheme = if host.contains("://") { "" } else { "https://" };
        format!("{scheme}{host}/serving-endpoints")
    });
    let has_key = site.settings.api_key.is_some() || site.env(PROVIDER.key_env).is_some();
    let principal = site.env(&["DATABRICKS_CLIENT_ID"]).zip(site.env(&["DATABRICKS_CLIENT_SECRET"]));
    let base = site.settings.api_base.clone().or_else(|| site.env(PROVIDER.base_env)).or(located.base_url.clone());
    if let (false, Some((id, secret)), Some(base)) = (has_key, principal, base) {
        let host = base.split("/serving-endpoints").next().unwrap_or_default().trim_end_matches('/');
        let exchange = TokenExchange {
            url: format!("{host}/oidc/v1/token"),
            form: vec![("grant_type", Secret::new("client_credentials")), ("scope", Secret::new("all-apis"))],
            basic: Some((Secret::new(id), Secret::new(secret))),
        };
        located.credential = Some(Credential::Account(Account::Exchange(exchange).into()));
    }
    Ok(located)
}
