//! Pictures as the hub knows them.

use crate::{chat::Extras, usage::Usage};

/// A call for pictures.
#[derive(Clone, Debug, Default)]
pub struct ImageRequest {
    /// What they are to show.
    pub prompt: String,
    /// How many; one without.
    pub n: Option<u64>,
    /// `1024x1024`, ….
    pub size: Option<String>,
    /// Every other parameter, under the client's name for it (`quality`, `style`, `response_format`, …).
    pub extras: Extras,
}

/// Pictures.
#[derive(Clone, Debug, Default)]
pub struct ImageResponse {
    /// The pictures.
    pub images: Vec<Image>,
    /// Tokens, if the provider says.
    pub usage: Option<Usage>,
    /// Members without a place here.
    pub extras: Extras,
}

/// One picture.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Base64 of it, or …
    pub base64: Option<String>,
    /// … where it is.
    pub url: Option<String>,
    /// The prompt as the provider understood it.
    pub revised_prompt: Option<String>,
}
