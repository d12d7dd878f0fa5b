//! Vectors: Titan takes one text at a time, Cohere many; Nova's are tasks.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure, FailureKind, Usage,
    embeddings::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse},
    http::{Outgoing, Reply},
    percent,
};

use super::{json, names, outgoing};
use crate::{codec::Codec, dialects::aws, target::Target};

/// The codec.
pub static EMBEDDINGS: Embeddings = Embeddings;

/// See [`EMBEDDINGS`].
#[derive(Debug)]
pub struct Embeddings;

/// Dimensions of Nova's vectors where the client says none.
const NOVA_DIMENSIONS: u64 = 3072;

enum Family {
    /// The first Titan: text in, nothing else.
    TitanText,
    /// Takes the vectors' length.
    TitanTextV2,
    /// Texts and pictures.
    TitanImage,
    Nova,
    Cohere,
}

fn family(target: &Target) -> Family {
    let base = names::base(target);
    if base.starts_with("amazon.titan-embed-image") {
        Family::TitanImage
    } else if base.starts_with("amazon.titan-embed-text-v2") {
        Family::TitanTextV2
    } else if base.starts_with("amazon.nova") {
        Family::Nova
    } else if base.starts_with("cohere.") {
        Family::Cohere
    } else {
        Family::TitanText
    }
}

impl Codec<EmbeddingRequest, EmbeddingResponse> for Embeddings {
    fn requests(&self, ask: &EmbeddingRequest, target: &Target) -> Result<Vec<Outgoing>, Failure> {
        let id = percent::encoded(super::id(target));
        let bodies = match family(target) {
            Family::Cohere => vec![cohere(ask)?],
            family => ask.inputs.iter().map(|input| one(&family, input, ask)).collect::<Result<_, _>>()?,
        };
        let mut requests =
            bodies.iter().map(|body| outgoing(target, &id, "invoke", body)).collect::<Result<Vec<_>, _>>()?;
        if names::base(target).starts_with("cohere.") {
            for request in &mut requests {
                // Cohere asks those who pass requests on to say so.
                let name = http::HeaderName::from_static("request-source");
                request.headers.insert(name, http::HeaderValue::from_static("unspecified:litellm"));
            }
        }
        Ok(requests)
    }

    fn response(
        &self,
        replies: &[Reply],
        _ask: &EmbeddingRequest,
        target: &Target,
    ) -> Result<EmbeddingResponse, Failure> {
        let mut told = EmbeddingResponse::default();
        let mut tokens = None;
        for reply in replies {
            let body = json(reply, target)?;
            let before = told.vectors.len();
            read(&body, &mut told.vectors);
            if told.vectors.len() == before {
                return Err(target.failure(FailureKind::InvalidResponse, "the answer has no vectors"));
            }
            let header = reply.headers.get("x-amzn-bedrock-input-token-count");
            let header = header.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            let count = body.get("inputTextTokenCount").and_then(Value::as_u64).or(header);
            tokens = count.map(|count| count + tokens.unwrap_or_default()).or(tokens);
        }
        told.usage = tokens.map(|input| Usage { input, ..Usage::default() });
        Ok(told)
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        aws::failure(reply, target)
    }
}

/// The vectors in an answer, in one of the forms of the families.
fn read(body: &Value, vectors: &mut Vec<Vec<Value>>) {
    if let Some(vector) = body.get("embedding").and_then(Value::as_array) {
        vectors.push(vector.clone());
        return;
    }
    if let Some(vector) = body.pointer("/embeddingsByType/float").and_then(Value::as_array) {
        vectors.push(vector.clone());
        return;
    }
    let all = match body.get("embeddings") {
        Some(Value::Array(all)) => all.as_slice(),
        // By their type, where types were asked for.
        Some(Value::Object(types)) => types.values().next().and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
        _ => &[],
    };
    for vector in all {
        let vector = vector.get("embedding").unwrap_or(vector);
        vectors.extend(vector.as_array().cloned());
    }
}

fn wrong(what: &str) -> Failure {
    Failure::invalid(what).with_param("input")
}

/// The data of a picture given as a `data:` URL.
fn picture(text: &str) -> Option<&str> {
    text.strip_prefix("data:image/")?.split_once(";base64,").map(|(_, data)| data)
}

fn own(ask: &EmbeddingRequest) -> impl Iterator<Item = (String, Value)> + '_ {
    let given = ask
        .extras
        .iter()
        .filter(|(name, value)| !value.is_null() && name.as_str() != "model_id" && !name.starts_with("aws_"));
    given.map(|(name, value)| (name.clone(), value.clone()))
}

/// A body for one thing.
fn one(family: &Family, input: &EmbeddingInput, ask: &EmbeddingRequest) -> Result<Map<String, Value>, Failure> {
    let text = match input {
        EmbeddingInput::Text(text) => text.as_str(),
        EmbeddingInput::Tokens(_) => return Err(wrong("Bedrock makes vectors of texts, not of token ids")),
        EmbeddingInput::Opaque(Value::Object(members)) => return Ok(members.clone()),
        EmbeddingInput::Opaque(_) => return Err(wrong("`input` must be text")),
    };
    let mut out = Map::new();
    match family {
        Family::Nova => {
            let dimensions = ask.dimensions.unwrap_or(NOVA_DIMENSIONS);
            let mut params = json!({"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": dimensions});
            let (kind, value) = match picture(text) {
                Some(data) => ("image", json!({"format": format(text), "source": {"bytes": data}})),
                None => ("text", json!({"truncationMode": "END", "value": text})),
            };
            if let Some(members) = params.as_object_mut() {
                members.insert(kind.to_owned(), value);
                members.extend(own(ask));
            }
            out.insert("taskType".to_owned(), "SINGLE_EMBEDDING".into());
            out.insert("singleEmbeddingParams".to_owned(), params);
            return Ok(out);
        }
        Family::TitanImage => {
            match picture(text) {
                Some(data) => out.insert("inputImage".to_owned(), data.into()),
                None => out.insert("inputText".to_owned(), text.into()),
            };
            if let Some(length) = ask.dimensions {
                out.insert("embeddingConfig".to_owned(), json!({ "outputEmbeddingLength": length }));
            }
        }
        Family::TitanTextV2 => {
            out.insert("inputText".to_owned(), text.into());
            if let Some(length) = ask.dimensions {
                out.insert("dimensions".to_owned(), length.into());
            }
            if ask.says_float {
                out.insert("embeddingTypes".to_owned(), json!(["float"]));
            }
        }
        Family::TitanText | Family::Cohere => {
            out.insert("inputText".to_owned(), text.into());
            // It knows no other word, and refuses those that it does not know.
            return Ok(out);
        }
    }
    out.extend(own(ask));
    Ok(out)
}

fn format(url: &str) -> &str {
    url.strip_prefix("data:image/").and_then(|rest| rest.split(';').next()).unwrap_or("png")
}

/// A body for many texts, or pictures.
fn cohere(ask: &EmbeddingRequest) -> Result<Map<String, Value>, Failure> {
    let Some(texts) = ask.texts() else {
        return Err(wrong("Cohere's models on Bedrock make vectors of texts and of pictures as `data:` URLs"));
    };
    let pictures = !texts.is_empty() && texts.iter().all(|text| picture(text).is_some());
    let mut out = Map::new();
    let (kind, name) = if pictures { ("image", "images") } else { ("search_document", "texts") };
    out.insert("input_type".to_owned(), kind.into());
    out.insert(name.to_owned(), texts.into());
    if let Some(length) = ask.dimensions {
        out.insert("output_dimension".to_owned(), length.into());
    }
    if ask.says_float {
        out.insert("embedding_types".to_owned(), json!(["float"]));
    }
    out.extend(own(ask));
    Ok(out)
}
