//! The API reference at `/`, and the document behind it.

use axum::{extract::State, response::Response};
use serde_json::{Value, json};

use crate::{reply, routes::App};

/// A page that lists the API; made of the document, with nothing fetched from elsewhere.
pub(crate) async fn reference(State(app): State<App>) -> Response {
    let page = include_str!("reference.html").replace("{{ROOT}}", &app.settings.root_path);
    reply::text("text/html; charset=utf-8", page)
}

/// `/openapi.json`.
pub(crate) async fn document(State(app): State<App>) -> Response {
    reply::json(&describe(&app.settings.root_path))
}

fn describe(root: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for (path, method, tag, summary, body) in OPERATIONS {
        let mut operation = json!({
            "tags": [tag],
            "summary": summary,
            "responses": {"200": {"description": "the answer"}, "default": {"$ref": "#/components/responses/Error"}},
        });
        if let (Some(schema), Some(operation)) = (body, operation.as_object_mut()) {
            let content = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}});
            operation.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
        }
        let parameters: Vec<Value> = ["model", "id", "call_id", "attempt", "key"]
            .iter()
            .filter(|name| path.contains(&format!("{{{name}}}")))
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        if let (false, Some(operation)) = (parameters.is_empty(), operation.as_object_mut()) {
            operation.insert("parameters".to_owned(), parameters.into());
        }
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert((*method).to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Tollgate", "version": env!("CARGO_PKG_VERSION"), "description": "One gate to every LLM."},
        "servers": [{"url": if root.is_empty() { "/" } else { root }}],
        "security": [{"key": []}],
        "paths": paths,
        "components": components(),
    })
}

/// Path, method, group, what it does, schema of the body.
const OPERATIONS: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("/v1/chat/completions", "post", "chat", "A turn of a conversation, whole or streamed", Some("Chat")),
    ("/chat/completions", "post", "chat", "The same, without /v1", Some("Chat")),
    ("/engines/{model}/chat/completions", "post", "chat", "The same, the model in the path", Some("Chat")),
    ("/openai/deployments/{model}/chat/completions", "post", "chat", "The same, as Azure's clients ask", Some("Chat")),
    ("/v1/completions", "post", "completions", "Completes a text", Some("Completion")),
    ("/completions", "post", "completions", "The same, without /v1", Some("Completion")),
    ("/engines/{model}/completions", "post", "completions", "The same, the model in the path", Some("Completion")),
    (
        "/openai/deployments/{model}/completions",
        "post",
        "completions",
        "The same, as Azure's clients ask",
        Some("Completion"),
    ),
    ("/v1/messages", "post", "messages", "A turn of a conversation in Anthropic's words", Some("Messages")),
    ("/v1/messages/count_tokens", "post", "messages", "How many tokens a turn comes to", Some("Messages")),
    ("/v1/embeddings", "post", "embeddings", "Vectors of texts", Some("Embedding")),
    ("/embeddings", "post", "embeddings", "The same, without /v1", Some("Embedding")),
    ("/engines/{model}/embeddings", "post", "embeddings", "The same, the model in the path", Some("Embedding")),
    (
        "/openai/deployments/{model}/embeddings",
        "post",
        "embeddings",
        "The same, as Azure's clients ask",
        Some("Embedding"),
    ),
    ("/v1/rerank", "post", "rerank", "Documents by relevance", Some("Rerank")),
    ("/v2/rerank", "post", "rerank", "The same, as Cohere's clients of today ask", Some("Rerank")),
    ("/rerank", "post", "rerank", "The same, without /v1", Some("Rerank")),
    ("/v1/moderations", "post", "moderations", "Whether something may be shown", Some("Moderation")),
    ("/moderations", "post", "moderations", "The same, without /v1", Some("Moderation")),
    ("/v1/images/generations", "post", "images", "Pictures out of words", Some("Image")),
    ("/images/generations", "post", "images", "The same, without /v1", Some("Image")),
    ("/v1/responses", "post", "responses", "An answer of the Responses API, whole or streamed", Some("Response")),
    ("/responses", "post", "responses", "The same, without /v1", Some("Response")),
    ("/openai/v1/responses", "post", "responses", "The same, as Azure's clients ask", Some("Response")),
    ("/v1/responses/input_tokens", "post", "responses", "How many tokens a call would send", Some("Response")),
    ("/v1/responses/compact", "post", "responses", "A conversation made shorter", Some("Response")),
    ("/v1/responses/{id}", "get", "responses", "An answer that was made", None),
    ("/v1/responses/{id}", "delete", "responses", "Deletes it", None),
    ("/v1/responses/{id}/input_items", "get", "responses", "What it answered", None),
    ("/v1/responses/{id}/cancel", "post", "responses", "Stops one that is made in the background", None),
    ("/v1beta/models/{model}:generateContent", "post", "gemini", "Content, as Google's clients ask", Some("Content")),
    (
        "/v1beta/models/{model}:streamGenerateContent",
        "post",
        "gemini",
        "The same, streamed: events with `alt=sse`, else a list",
        Some("Content"),
    ),
    ("/v1beta/models/{model}:countTokens", "post", "gemini", "How many tokens contents have", Some("Content")),
    ("/v1/models/{model}:generateContent", "post", "gemini", "Content, with /v1", Some("Content")),
    ("/v1/models/{model}:streamGenerateContent", "post", "gemini", "The same, streamed", Some("Content")),
    ("/v1/models/{model}:countTokens", "post", "gemini", "How many tokens contents have", Some("Content")),
    ("/models/{model}:generateContent", "post", "gemini", "Content, without /v1beta", Some("Content")),
    ("/models/{model}:streamGenerateContent", "post", "gemini", "The same, streamed", Some("Content")),
    ("/models/{model}:countTokens", "post", "gemini", "How many tokens contents have", Some("Content")),
    ("/v1/images/edits", "post", "images", "Pictures out of pictures and words; a form", None),
    ("/v1/images/variations", "post", "images", "Pictures like a picture; a form", None),
    ("/v1/audio/transcriptions", "post", "audio", "Words out of sound, whole or streamed; a form", None),
    ("/v1/audio/translations", "post", "audio", "English words out of sound; a form", None),
    ("/v1/audio/speech", "post", "audio", "Sound out of words", Some("Speech")),
    ("/v1/files", "get", "kept", "Files at a provider, in OpenAI's words, by sealed ids", None),
    ("/v1/files", "post", "kept", "Sends a file to a provider as it comes; a form, its fields before its file", None),
    ("/v1/files/{id}", "get", "kept", "One file", None),
    ("/v1/files/{id}/content", "get", "kept", "What it holds", None),
    ("/v1/batches", "get", "kept", "Batches at a provider", None),
    ("/v1/batches", "post", "kept", "Starts a batch", None),
    ("/v1/batches/{id}", "get", "kept", "One batch", None),
    ("/v1/fine_tuning/jobs", "get", "kept", "Jobs at a provider", None),
    ("/v1/fine_tuning/jobs", "post", "kept", "Starts a job", None),
    ("/v1/assistants", "get", "kept", "Assistants at a provider; threads and vector stores likewise", None),
    ("/v1/models", "get", "models", "The models that may be asked for", None),
    ("/models", "get", "models", "The same, without /v1", None),
    ("/v1/models/{id}", "get", "models", "One model", None),
    ("/model/info", "get", "models", "Every deployment with its facts and prices", None),
    ("/v2/model/info", "get", "models", "The same in pages", None),
    ("/v1/model/info", "get", "models", "The same, with /v1", None),
    ("/model_group/info", "get", "models", "What the deployments of each group can do", None),
    ("/v1/realtime", "get", "realtime", "A socket to a model that listens and speaks (`?model=`)", None),
    ("/v1/realtime/client_secrets", "post", "realtime", "A secret of the provider's for one session", Some("Session")),
    ("/v1/realtime/sessions", "post", "realtime", "The same, as clients of the first version ask", Some("Session")),
    ("/v1/realtime/transcription_sessions", "post", "realtime", "The same, to write down speech", Some("Session")),
    ("/utils/token_counter", "post", "inquiries", "How many tokens a request has", Some("TokenCount")),
    ("/utils/supported_openai_params", "get", "inquiries", "Which parameters a model takes (`?model=`)", None),
    ("/utils/transform_request", "post", "inquiries", "What a provider would be sent", Some("Transform")),
    ("/router/explain", "post", "router", "Where a chat request would go, why, and what it may cost", Some("Chat")),
    ("/router/explain/{call_id}", "get", "router", "Where one of the last calls went, and why", None),
    ("/ledger/unknown", "get", "ledger", "Attempts of which nobody knows what they cost (admin)", None),
    ("/ledger/unknown/{attempt}", "post", "ledger", "State what one of them cost (admin)", Some("Statement")),
    ("/key/{key}/reset_spend", "post", "ledger", "Set what a key has spent (admin)", Some("SpendReset")),
    ("/global/spend/reset", "post", "ledger", "Set what all keys and teams have spent to 0 (master key)", None),
    ("/audit", "get", "ledger", "Who changed what, and what was there before (admin)", None),
    ("/audit/{id}", "get", "ledger", "One entry of that log (admin)", None),
    ("/health", "get", "health", "Every deployment, healthy or not; `?probe=generate` really calls them (admin)", None),
    ("/health/liveliness", "get", "health", "Whether we are alive", None),
    ("/health/liveness", "get", "health", "Whether we are alive", None),
    ("/config/reload", "post", "health", "Read the configuration again (admin)", None),
    ("/health/readiness", "get", "health", "Whether we take calls, and what we depend on", None),
    ("/health/readiness/details", "get", "health", "The same in full (admin)", None),
    ("/health/latest", "get", "health", "The last look at each deployment (admin)", None),
    ("/health/history", "get", "health", "Looks that are kept: `?model=&status_filter=&limit=&offset=` (admin)", None),
    ("/health/shared-status", "get", "health", "Whether instances share their looks (admin)", None),
];

fn components() -> Value {
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    let flag = json!({"type": "boolean"});
    json!({
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "responses": {"Error": {
            "description": "what went wrong",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }},
        "schemas": {
            "Error": {"type": "object", "required": ["error"], "properties": {"error": {
                "type": "object",
                "properties": {"message": text, "type": text, "param": {"type": ["string", "null"]}, "code": text},
            }}},
            "Chat": {"type": "object", "required": ["messages"], "additionalProperties": true, "properties": {
                "model": text, "messages": {"type": "array", "items": {"type": "object"}}, "stream": flag,
                "temperature": number, "max_tokens": {"type": "integer"}, "tools": {"type": "array", "items": {"type": "object"}},
            }},
            "Messages": {"type": "object", "required": ["messages"], "additionalProperties": true, "properties": {
                "model": text, "messages": {"type": "array", "items": {"type": "object"}}, "system": {}, "stream": flag,
                "max_tokens": {"type": "integer"}, "tools": {"type": "array", "items": {"type": "object"}},
            }},
            "Completion": {"type": "object", "required": ["prompt"], "additionalProperties": true, "properties": {
                "model": text, "prompt": {}, "stream": flag, "max_tokens": {"type": "integer"},
            }},
            "Response": {"type": "object", "required": ["input"], "additionalProperties": true, "properties": {
                "model": text, "input": {}, "instructions": text, "stream": flag, "max_output_tokens": {"type": "integer"},
                "tools": {"type": "array", "items": {"type": "object"}}, "previous_response_id": text,
            }},
            "Content": {"type": "object", "required": ["contents"], "additionalProperties": true, "properties": {
                "contents": {"type": "array", "items": {"type": "object"}}, "systemInstruction": {},
                "generationConfig": {"type": "object"}, "tools": {"type": "array", "items": {"type": "object"}},
            }},
            "Rerank": {"type": "object", "required": ["query", "documents"], "additionalProperties": true, "properties": {
                "model": text, "query": text, "documents": {"type": "array"}, "top_n": {"type": "integer"},
            }},
            "Moderation": {"type": "object", "required": ["input"], "additionalProperties": true, "properties": {
                "model": text, "input": {},
            }},
            "Image": {"type": "object", "required": ["prompt"], "additionalProperties": true, "properties": {
                "model": text, "prompt": text, "n": {"type": "integer"}, "size": text,
            }},
            "Statement": {"type": "object", "properties": {"cost": number, "accept": text, "reason": text}},
            "SpendReset": {"type": "object", "required": ["reset_to"], "properties": {"reset_to": number}},
            "Session": {"type": "object", "additionalProperties": true, "properties": {"model": text, "session": {"type": "object"}}},
            "TokenCount": {"type": "object", "required": ["model"], "properties": {
                "model": text, "prompt": text, "messages": {"type": "array"}, "contents": {"type": "array"},
                "tools": {"type": "array"}, "system": {},
            }},
            "Transform": {"type": "object", "required": ["call_type", "request_body"], "properties": {
                "call_type": text, "request_body": {"type": "object"},
            }},
            "Speech": {"type": "object", "required": ["input"], "additionalProperties": true, "properties": {
                "model": text, "input": text, "voice": {}, "response_format": text,
            }},
            "Embedding": {"type": "object", "required": ["input"], "additionalProperties": true, "properties": {
                "model": text, "input": {}, "encoding_format": text, "dimensions": {"type": "integer"},
            }},
        },
    })
}
