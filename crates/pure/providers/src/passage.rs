//! Calls that are passed on as they are: which path means which provider, what the address there is, and what of the
//! client's headers and query goes along.

use http::{HeaderMap, HeaderName, header};
use tollgate_wire::{
    Failure,
    http::{connection_options, is_credential, names_option, stays_here},
    percent,
};

use crate::{
    codec::ClientDialect,
    dialects::{anthropic::MESSAGES_CLIENT, azure, gemini::CONTENT_CLIENT, openai::CHAT_CLIENT},
    provider::{Auth, KeyNeed, OPENAI_COMPATIBLE, Provider},
    table,
    target::{Target, set_header},
};

/// A prefix of paths that are passed on to a provider.
#[derive(Debug)]
pub struct Prefix {
    /// The prefix, with its slash.
    pub path: &'static str,
    /// The providers whose deployments it may use; without one, the first with what the environment says.
    pub providers: &'static [&'static str],
    /// Clients of this provider show their key as `?key=`.
    pub key_in_query: bool,
    /// In whose words they read our refusals.
    pub client: &'static dyn ClientDialect,
}

const fn prefix(path: &'static str, providers: &'static [&'static str]) -> Prefix {
    Prefix { path, providers, key_in_query: false, client: &CHAT_CLIENT }
}

/// Google's, whose clients show their key as `?key=` and read Google's envelope.
const fn google(path: &'static str, providers: &'static [&'static str]) -> Prefix {
    Prefix { path, providers, key_in_query: true, client: &CONTENT_CLIENT }
}

/// All of them (surface chapter 4.8).
pub const PREFIXES: &[Prefix] = &[
    prefix("/openai", &["openai"]),
    prefix("/openai_passthrough", &["openai"]),
    Prefix { path: "/anthropic", providers: &["anthropic"], key_in_query: false, client: &MESSAGES_CLIENT },
    google("/gemini", &["gemini"]),
    google("/vertex_ai", &["vertex_ai"]),
    google("/vertex-ai", &["vertex_ai"]),
    prefix("/bedrock", &["bedrock"]),
    prefix("/azure", &["azure"]),
    prefix("/azure_ai", &["azure_ai"]),
    prefix("/cohere", &["cohere", "cohere_chat"]),
    prefix("/mistral", &["mistral"]),
    prefix("/vllm", &["hosted_vllm", "vllm"]),
    prefix("/openrouter", &["openrouter"]),
    prefix("/nvidia_nim", &["nvidia_nim"]),
    prefix("/watsonx", &["watsonx"]),
    prefix("/assemblyai", &["assemblyai"]),
    prefix("/eu.assemblyai", &["eu.assemblyai"]),
    prefix("/langfuse", &["langfuse"]),
];

/// Who can be passed on to and has no models of its own here.
static FOREIGN: [Provider; 3] = [
    Provider {
        name: "assemblyai",
        title: "Assemblyai",
        base_url: "https://api.assemblyai.com",
        key_env: &["ASSEMBLYAI_API_KEY"],
        auth: Auth::Header("authorization"),
        ..OPENAI_COMPATIBLE
    },
    Provider {
        name: "eu.assemblyai",
        title: "Assemblyai",
        base_url: "https://api.eu.assemblyai.com",
        key_env: &["ASSEMBLYAI_API_KEY"],
        auth: Auth::Header("authorization"),
        ..OPENAI_COMPATIBLE
    },
    // Its two keys make HTTP's basic authentication, which whoever knows both puts together.
    Provider {
        name: "langfuse",
        title: "Langfuse",
        base_url: "https://cloud.langfuse.com",
        base_env: &["LANGFUSE_HOST"],
        key: KeyNeed::Optional,
        ..OPENAI_COMPATIBLE
    },
];

/// What a path of the configuration's own is passed on to.
pub static ENDPOINT: Provider =
    Provider { name: "pass_through", title: "Pass_through", key: KeyNeed::Optional, ..OPENAI_COMPATIBLE };

/// The prefix of a path, and what follows it.
#[must_use]
pub fn of_path(path: &str) -> Option<(&'static Prefix, &str)> {
    PREFIXES.iter().find_map(|prefix| {
        let rest = path.strip_prefix(prefix.path)?;
        rest.starts_with('/').then_some((prefix, rest))
    })
}

/// The provider of this name, those without models among them.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    table::find(name).or_else(|| FOREIGN.iter().find(|provider| provider.name == name))
}

/// The address of a path at a target. The host is the target's own, whatever stands in the path.
///
/// # Errors
/// 400 for a path that would climb.
pub fn url(target: &Target, rest: &str, query: &str) -> Result<String, Failure> {
    check(rest)?;
    let base = target.base_url.split('?').next().unwrap_or_default();
    let address = match target.provider.name {
        "azure" => join(azure_root(base), rest),
        "vertex_ai" => vertex(target, base, rest)?,
        "bedrock" => join(&bedrock_base(base, rest), rest),
        _ => join(base, rest),
    };
    Ok(if query.is_empty() { address } else { format!("{address}?{query}") })
}

/// The address of what is kept at a provider in `OpenAI`'s words: `/files/…`, `/batches/…`.
///
/// # Errors
/// 400 for a path that would climb.
pub fn resource_url(target: &Target, path: &str, query: &str) -> Result<String, Failure> {
    check(path)?;
    let base = target.base_url.split('?').next().unwrap_or_default();
    if target.provider.auth != Auth::Azure {
        // Anthropic's base is its host; its files stand below the version like everyone's.
        let version = if target.provider.auth == Auth::Anthropic && !base.ends_with("/v1") { "/v1" } else { "" };
        let address = format!("{}{version}{path}", base.trim_end_matches('/'));
        return Ok(if query.is_empty() { address } else { format!("{address}?{query}") });
    }
    let root = azure_root(base);
    let version = target.api_version.as_deref().unwrap_or(azure::DEFAULT_API_VERSION);
    let (middle, version) = match version {
        "v1" => ("/openai/v1", String::new()),
        "latest" | "preview" => ("/openai/v1", format!("api-version={version}")),
        dated => ("/openai", format!("api-version={dated}")),
    };
    let asked: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("api-version=")).collect();
    let both: Vec<&str> = asked.into_iter().chain([version.as_str()]).filter(|pair| !pair.is_empty()).collect();
    let query = if both.is_empty() { String::new() } else { format!("?{}", both.join("&")) };
    Ok(format!("{root}{middle}{path}{query}"))
}

/// The address of what follows an endpoint of the configuration, below its target.
///
/// # Errors
/// 400 for a path that would climb.
pub fn endpoint_url(target: &str, rest: &str, query: &str) -> Result<String, Failure> {
    check(rest)?;
    let (base, own) = target.split_once('?').unwrap_or((target, ""));
    let base = if rest.is_empty() { base } else { base.trim_end_matches('/') };
    let query: Vec<&str> = [own, query].into_iter().filter(|part| !part.is_empty()).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    Ok(format!("{base}{rest}{query}"))
}

fn azure_root(base: &str) -> &str {
    let base = base.trim_end_matches('/');
    base.split_once("/openai/").map_or_else(|| base.strip_suffix("/openai").unwrap_or(base), |(root, _)| root)
}

/// AWS answers for agents and knowledge bases at a host of their own, which the same signature opens.
fn bedrock_base(base: &str, rest: &str) -> String {
    const OF_AGENTS: [&str; 8] = [
        "agents",
        "knowledgebases",
        "flows",
        "retrieveAndGenerate",
        "retrieveAndGenerateStream",
        "rerank",
        "generateQuery",
        "sessions",
    ];
    let first = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    let of_agents = OF_AGENTS.contains(&first);
    if of_agents { base.replacen("://bedrock-runtime.", "://bedrock-agent-runtime.", 1) } else { base.to_owned() }
}

/// Paths that leave the address they are joined to, in any spelling: some servers read an encoded slash as a slash.
fn check(path: &str) -> Result<(), Failure> {
    let plain = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    if plain.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
        || path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ')
    {
        return Err(Failure::invalid("the path must not hold `.` or `..`"));
    }
    Ok(())
}

/// The path at the base. What the two have in common where they meet stands once: clients write the whole of the
/// provider's path (`/v1/messages`), or what follows the base that its own SDK would have.
fn join(base: &str, rest: &str) -> String {
    let base = base.trim_end_matches('/');
    let origin_end = base.find("://").map_or(0, |at| at + 3);
    let host_end = base.get(origin_end..).and_then(|host| host.find('/')).map_or(base.len(), |at| origin_end + at);
    let (origin, own) = base.split_at(host_end);
    let own: Vec<&str> = own.split('/').filter(|segment| !segment.is_empty()).collect();
    let asked: Vec<&str> = rest.trim_start_matches('/').split('/').collect();
    let common = (1..=own.len().min(asked.len()))
        .rev()
        .find(|count| own.iter().rev().take(*count).rev().eq(asked.iter().take(*count)));
    let is_version = |segment: Option<&&str>| {
        segment.is_some_and(|text| {
            text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    // Google takes files at `/upload/v1beta/…`.
    let both_versions = is_version(own.last()) && (is_version(asked.first()) || asked.get(1) == own.last());
    let kept = own.len() - common.unwrap_or(usize::from(both_versions));
    let path = own.into_iter().take(kept).chain(asked).collect::<Vec<_>>().join("/");
    format!("{origin}/{path}")
}

/// Google has a host for each region. The path may name project and region; where it does not, the deployment does.
fn vertex(target: &Target, base: &str, rest: &str) -> Result<String, Failure> {
    let whole = match (target.fact("project"), target.fact("region").or_else(|| target.fact("location"))) {
        (Some(project), Some(region)) if !rest.contains("/projects/") => {
            let (version, path) = match rest.trim_start_matches('/').split_once('/') {
                Some((version, path)) if version.starts_with('v') && !version.contains("ertex") => (version, path),
                _ => ("v1", rest.trim_start_matches('/')),
            };
            format!("/{version}/projects/{project}/locations/{region}/{path}")
        }
        _ if rest.starts_with("/projects/") => format!("/v1{rest}"),
        _ => rest.to_owned(),
    };
    let scheme_end = base.find("://").map_or(0, |at| at + 3);
    let host_end = base.get(scheme_end..).and_then(|host| host.find('/')).map_or(base.len(), |at| scheme_end + at);
    let origin = base.get(..host_end).unwrap_or(base);
    let region = whole.split_once("/locations/").and_then(|(_, rest)| rest.split(['/', ':']).next());
    let Some(region) = region.filter(|_| origin.ends_with("aiplatform.googleapis.com")) else {
        return Ok(format!("{origin}{whole}"));
    };
    let is_name = !region.is_empty() && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_name {
        return Err(Failure::invalid("the location in the path is none"));
    }
    let host = if region == "global" { String::new() } else { format!("{region}-") };
    Ok(format!("https://{host}aiplatform.googleapis.com{whole}"))
}

/// The client's headers as they go on, without those that stay here.
#[must_use]
pub fn forwarded(client: &HeaderMap, key_header: Option<&HeaderName>) -> HeaderMap {
    let options = connection_options(client);
    let mut headers = HeaderMap::with_capacity(client.len() + 4);
    for (name, value) in client {
        let stays = stays_here(name)
            || key_header == Some(name)
            || options.is_some_and(|options| names_option(options, name))
            || (name == header::USER_AGENT && value.to_str().is_ok_and(|agent| agent.contains("tollgate/")));
        if !stays {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

/// Puts the target's credential and its own headers on a request. What a row merely proposes gives way to the client.
///
/// # Errors
/// When the key cannot stand in a header.
pub fn authorize(target: &Target, headers: &mut HeaderMap) -> Result<(), Failure> {
    let own = target.request_headers()?;
    for (name, value) in own.iter().filter(|(name, _)| *name != header::CONTENT_TYPE) {
        if is_credential(name) || target.headers.contains_key(name) {
            set_header(headers, name, value);
        } else if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert("openai-organization", organization);
    }
    Ok(())
}

/// A query without these names.
#[must_use]
pub fn query_without(query: &str, names: &[&str]) -> String {
    let is_ours = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        names.iter().any(|known| decoded(name) == *known)
    };
    query.split('&').filter(|pair| !pair.is_empty() && !is_ours(pair)).collect::<Vec<_>>().join("&")
}

/// The value of a name in a query.
#[must_use]
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (decoded(key) == name).then(|| decoded(value)).filter(|value| !value.is_empty())
    })
}

/// As queries have it.
fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent::decoded(&text.replace('+', " "))).into_owned()
}

/// The model that a path names, as Google's, AWS's and Azure's do.
#[must_use]
pub fn model_in(path: &str) -> Option<String> {
    let (_, name, _) = around_model(path)?;
    Some(decoded(name))
}

/// Whether what is asked for at a path is an ephemeral key of the provider's: of `OpenAI`'s and Azure's realtime API,
/// `OpenAI`'s `ChatKit`, Google's live API and `AssemblyAI`'s streams.
#[must_use]
pub fn gives_key(path: &str) -> bool {
    const LAST: [&str; 7] = [
        "/realtime/client_secrets",
        "/realtime/sessions",
        "/realtime/transcription_sessions",
        "/realtimeapi/sessions",
        "/chatkit/sessions",
        "/realtime/token",
        "/v3/token",
    ];
    let plain = decoded(path).to_ascii_lowercase();
    let segments: Vec<&str> = plain.split('/').filter(|segment| !segment.is_empty()).collect();
    let plain = format!("/{}", segments.join("/"));
    let google = segments.last().is_some_and(|last| last.split(':').next() == Some("auth_tokens"));
    google || LAST.iter().any(|last| plain.ends_with(last))
}

/// Whether a path asks a model for words, in any provider's dialect.
#[must_use]
pub fn is_chat(path: &str) -> bool {
    const LAST: [&str; 11] = [
        "completions",
        "messages",
        "responses",
        "chat",
        "generate",
        "converse",
        "converse-stream",
        "generateContent",
        "streamGenerateContent",
        "rawPredict",
        "streamRawPredict",
    ];
    let path = path.trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next().unwrap_or_default();
    // Threads of assistants hold messages too; to keep one there asks nobody.
    LAST.contains(&last) && !path.contains("/threads/")
}

/// The path with this model in place of the one that it names.
#[must_use]
pub fn with_model(path: &str, model: &str) -> String {
    let Some((before, _, after)) = around_model(path) else { return path.to_owned() };
    format!("{before}{}{after}", percent::encoded(model))
}

/// What stands before the model's name in a path, the name as it is written, and what follows.
fn around_model(path: &str) -> Option<(&str, &str, &str)> {
    let at = ["/models/", "/model/", "/deployments/"].iter().find_map(|word| Some(path.find(word)? + word.len()))?;
    let (before, rest) = path.split_at_checked(at)?;
    let (name, after) = rest.split_at_checked(rest.find(['/', ':']).unwrap_or(rest.len()))?;
    (!name.is_empty()).then_some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_base_and_path_have_in_common_stands_once() {
        let check = |base: &str, rest: &str, expected: &str| assert_eq!(join(base, rest), expected, "{base} {rest}");
        check("https://api.openai.com/v1", "/v1/files", "https://api.openai.com/v1/files");
        check("https://api.openai.com/v1", "/files", "https://api.openai.com/v1/files");
        check("https://openrouter.ai/api/v1", "/api/v1/key", "https://openrouter.ai/api/v1/key");
        check("https://openrouter.ai/api/v1", "/v1/key", "https://openrouter.ai/api/v1/key");
        check("https://g.com/v1beta", "/v1/models", "https://g.com/v1/models");
        check("https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages");
        check("https://g.com/v1beta", "/upload/v1beta/files", "https://g.com/upload/v1beta/files");
        check("http://[::1]:8000", "/a//b/", "http://[::1]:8000/a//b/");
        check("http://h/", "//evil.com/x", "http://h/evil.com/x");
        check("http://h", "/@evil.com/x", "http://h/@evil.com/x");
    }

    #[test]
    fn agents_of_aws_have_a_host_of_their_own() {
        let base = "https://bedrock-runtime.eu-west-1.amazonaws.com";
        assert_eq!(bedrock_base(base, "/model/x/converse"), base);
        let agents = "https://bedrock-agent-runtime.eu-west-1.amazonaws.com";
        assert_eq!(bedrock_base(base, "/knowledgebases/k/retrieve"), agents);
        assert_eq!(bedrock_base("http://127.0.0.1:1", "/agents/a"), "http://127.0.0.1:1");
    }

    #[test]
    fn a_path_cannot_climb() {
        for path in
            ["/..", "/a/../b", "/a/%2e%2E/b", "/./a", "/a\\..\\b", "/a b", "/.%2e", "/a%2f..%2Fb", "/a%5c%2e%2e%5Cb"]
        {
            assert!(check(path).is_err(), "{path}");
        }
        for path in ["/", "/a.b/...", "/v1/models/a%3A0", "/%2F..x"] {
            assert!(check(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_prefix_ends_with_its_segment() {
        assert_eq!(of_path("/openai/v1/x").map(|(prefix, rest)| (prefix.path, rest)), Some(("/openai", "/v1/x")));
        assert_eq!(of_path("/azure_ai/x").map(|(prefix, _)| prefix.path), Some("/azure_ai"));
        assert!(of_path("/openais/v1").is_none() && of_path("/openai").is_none());
    }

    #[test]
    fn names_are_taken_out_of_a_query_however_they_are_written() {
        assert_eq!(query_without("a=1&key=x&%6bey=y&b", &["key"]), "a=1&b");
        assert_eq!(query_value("a=1&%6bey=sk%2D1", "key").as_deref(), Some("sk-1"));
        assert_eq!(query_value("key=", "key"), None);
    }

    #[test]
    fn a_path_may_name_the_model() {
        let check = |path: &str, expected: Option<&str>| assert_eq!(model_in(path).as_deref(), expected, "{path}");
        check("/v1beta/models/gemini-2.5-pro:generateContent", Some("gemini-2.5-pro"));
        check("/model/anthropic.claude-3%3A0/converse", Some("anthropic.claude-3:0"));
        check("/openai/deployments/dep/chat/completions", Some("dep"));
        check("/v1/files", None);
        assert_eq!(with_model("/model/nova/converse", "amazon.nova:0"), "/model/amazon.nova%3A0/converse");
        assert_eq!(with_model("/v1beta/models/x:generateContent", "gemini"), "/v1beta/models/gemini:generateContent");
        assert_eq!(with_model("/v1/files", "gemini"), "/v1/files");
    }

    #[test]
    fn paths_that_ask_for_words_are_known_in_every_dialect() {
        for path in [
            "/v1/chat/completions",
            "/openai/deployments/dep/chat/completions",
            "/v1/messages",
            "/v1/responses/",
            "/v2/chat",
            "/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "/model/nova/converse-stream",
        ] {
            assert!(is_chat(path), "{path}");
        }
        for path in ["/v1/embeddings", "/v1/messages/count_tokens", "/v1/threads/t/messages", "/v1/new/thing"] {
            assert!(!is_chat(path), "{path}");
        }
    }

    #[test]
    fn a_path_may_give_a_key() {
        for path in [
            "/v1/realtime/client_secrets",
            "/v1//realtime/Sessions/",
            "/v1/realtime/client%5Fsecrets",
            "/openai/realtimeapi/sessions",
            "/v1alpha/auth_tokens",
            "/v1/auth_tokens:create",
            "/v3/token",
        ] {
            assert!(gives_key(path), "{path}");
        }
        for path in ["/v1/realtime", "/v1/chat/completions", "/v1beta/models/m:countTokens", "/v1/sessions"] {
            assert!(!gives_key(path), "{path}");
        }
    }

    #[test]
    fn credentials_and_what_is_the_connections_stay_here() {
        let mut client = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer sk-ours"),
            ("x-api-key", "sk-ours"),
            ("x-mine", "sk-ours"),
            ("cookie", "a=b"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org-of-somebody"),
            ("x-http-method-override", "DELETE"),
            ("x-litellm-tags", "a"),
            ("anthropic-version", "2023-06-01"),
            ("content-type", "application/json"),
        ] {
            client.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let headers = forwarded(&client, Some(&HeaderName::from_static("x-mine")));
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["anthropic-version", "content-type"]);
    }
}
