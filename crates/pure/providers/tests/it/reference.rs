//! `docs/reference/providers.md` says what the table says. `UPDATE=1` rewrites it.

use std::{fmt::Write as _, path::Path};

use tollgate_kit::golden::{Case, Findings};
use tollgate_providers::{
    Provider,
    provider::{JsonSchema, KeyNeed, Prefill, Quirks, StreamUsage, Supported},
    table,
};

const HEAD: &str =
    "<!-- Written by a test from the provider table: change the rows in crates/pure/providers/src/table, then \
run the crate's tests with UPDATE=1. -->
# Providers

A model is named `<provider>/<model>`. `api_base` and `api_key` of the configuration win over the variables; of several
variables the first that is set wins. Any other server that speaks like OpenAI is `openai/<model>` with `api_base`.
";

#[test]
fn the_reference_page_says_what_the_table_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference");
    let case = Case { name: "docs/reference".to_owned(), folder };
    let mut findings = Findings::new();
    findings.add(case.compare_text("providers.md", &page()));
    findings.assert_none();
}

fn page() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| provider | address | address variables | key variables | operations |\n|---|---|---|---|---|\n");
    for provider in table::ALL {
        let address = if provider.base_url.is_empty() { "`api_base`".to_owned() } else { code(provider.base_url) };
        let keys = match (provider.key, provider.key_env) {
            (KeyNeed::Optional, names) => format!("{} (optional)", list(names)),
            (KeyNeed::Required, names) => list(names),
        };
        let (bases, operations) = (list(provider.base_env), operations(provider));
        let _ = writeln!(out, "| {} | {address} | {bases} | {keys} | {operations} |", names(provider));
    }
    out.push_str("\n## Where they differ from OpenAI\n\n");
    for provider in table::ALL {
        let differences = differences(&provider.quirks);
        if !differences.is_empty() {
            let _ = writeln!(out, "- `{}`: {}", provider.name, differences.join("; "));
        }
    }
    out
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

fn names(provider: &Provider) -> String {
    let all: Vec<String> = std::iter::once(&provider.name).chain(provider.aliases).map(|name| code(name)).collect();
    all.join(", ")
}

fn operations(provider: &Provider) -> String {
    let all = [
        ("chat", provider.chat.is_some()),
        ("text completion", provider.completions.is_some()),
        ("embeddings", provider.embeddings.is_some() || provider.embed.is_some()),
        ("responses", provider.responses.is_some()),
        ("rerank", provider.rerank.is_some()),
        ("image generation", provider.draw.is_some()),
    ];
    let own = all.iter().filter(|(_, can)| *can).map(|(name, _)| *name);
    let also = provider.also.iter().map(|(operation, _)| operation.words());
    own.chain(also).collect::<Vec<_>>().join(", ")
}

fn differences(quirks: &Quirks) -> Vec<String> {
    let mut out = Vec::new();
    match quirks.supported {
        Supported::Only([]) => out.push("takes none of OpenAI's optional parameters".to_owned()),
        Supported::Only(names) => out.push(format!("takes only {}", list(names))),
        Supported::Except(names) => out.push(format!("does not take {}", list(names))),
        Supported::All | Supported::ByModel(_) => {}
    }
    out.extend(quirks.rename.iter().map(|(from, to)| format!("{} is sent as {}", code(from), code(to))));
    if !quirks.drop.is_empty() {
        out.push(format!("{} is left out", list(quirks.drop)));
    }
    out.extend(
        quirks.headers.iter().map(|(name, value)| format!("sends the header {}", code(&format!("{name}: {value}")))),
    );
    out.extend(quirks.header_env.iter().map(|(env, name)| format!("{} sets the header {}", code(env), code(name))));
    out.extend(quirks.fixed.iter().map(|(name, raw)| format!("sends {}", code(&format!("{name}: {raw}")))));
    if !quirks.model_prefix.is_empty() {
        out.push(format!("model names without a slash get {} before them", code(quirks.model_prefix)));
    }
    match quirks.stream_usage {
        StreamUsage::Ask => out.push("streams are always asked for their usage".to_owned()),
        StreamUsage::Never => out.push("`stream_options` is never sent".to_owned()),
        StreamUsage::IfAsked => {}
    }
    let switches = [
        (quirks.says_stream_false, "`stream: false` is said"),
        (quirks.joins_texts, "contents that are lists of texts are joined"),
        (quirks.keeps_cache_control, "`cache_control` is left in"),
        (quirks.base64_vectors, "vectors are fetched as base64"),
        (quirks.own_stream_id, "streams get an id of ours"),
    ];
    out.extend(switches.iter().filter(|(on, _)| *on).map(|(_, words)| (*words).to_owned()));
    match quirks.prefill {
        Prefill::None => {}
        Prefill::LastTurn(_) => out.push("goes on with an answer that broke off: Claude 3 to 4.5".to_owned()),
        Prefill::Marked(name) => out.push(format!("goes on with an answer that broke off: {}", code(name))),
        Prefill::Asked(members) => {
            let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
            out.push(format!("goes on with an answer that broke off: {}", list(&names)));
        }
    }
    if quirks.makes_jobs {
        out.push("answers are jobs: never asked for twice at once".to_owned());
    }
    let has_hooks = quirks.request.is_some() || quirks.answer.is_some() || quirks.chunk.is_some();
    let has_rules = has_hooks || quirks.in_band.is_some() || matches!(quirks.json_schema, JsonSchema::ByTool(_));
    assert!(!has_rules || !quirks.notes.is_empty(), "a row with hooks says in its notes what they do");
    out.extend(quirks.notes.iter().map(|note| (*note).to_owned()));
    out
}
