//! Pictures, files, sound and film as Gemini has them: in the message, or by an address that Google fetches itself.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Failure,
    chat::{Extras, Media, Part},
};

use crate::codec::Wanted;

/// Types by the end of an address («supported MIME types» of the Gemini API).
const TYPES: &[(&str, &str)] = &[
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".webp", "image/webp"),
    (".heic", "image/heic"),
    (".heif", "image/heif"),
    (".mp4", "video/mp4"),
    (".mov", "video/mov"),
    (".mpeg", "video/mpeg"),
    (".mpg", "video/mpeg"),
    (".avi", "video/avi"),
    (".wmv", "video/wmv"),
    (".mpegps", "video/mpegps"),
    (".flv", "video/flv"),
    (".webm", "video/webm"),
    (".3gp", "video/3gpp"),
    (".mp3", "audio/mp3"),
    (".wav", "audio/wav"),
    (".flac", "audio/flac"),
    (".ogg", "audio/ogg"),
    (".aac", "audio/aac"),
    (".m4a", "audio/m4a"),
    (".pdf", "application/pdf"),
    (".txt", "text/plain"),
    (".md", "text/markdown"),
    (".csv", "text/csv"),
    (".html", "text/html"),
];

fn type_of(address: &str) -> Option<&'static str> {
    let low = address.to_ascii_lowercase();
    TYPES.iter().find_map(|(end, kind)| low.ends_with(end).then_some(*kind))
}

/// The type that the client states (`format`), whole (`video/mp4`) or by its ending (`mp4`).
fn stated(extras: &Extras) -> Option<String> {
    let format = extras.get("format")?.as_str().filter(|format| !format.is_empty())?;
    if format.contains('/') {
        return Some(format.to_owned());
    }
    Some(type_of(&format!(".{format}")).map_or_else(|| format!("application/{format}"), str::to_owned))
}

/// How a piece of media goes out.
enum Way {
    /// As an address, with its type.
    Address(String),
    /// Fetched by us first.
    Fetched,
}

/// Google fetches what it holds itself (`gs://`), and `https` where the type is known.
fn way(address: &str, extras: &Extras) -> Option<Way> {
    let kind = stated(extras).or_else(|| type_of(address).map(str::to_owned));
    match (address, kind) {
        (address, Some(kind)) if begins_with(address, "gs://") => Some(Way::Address(kind)),
        (address, Some(kind)) if begins_with(address, "https://") => Some(Way::Address(kind)),
        (address, _) if begins_with(address, "http://") || begins_with(address, "https://") => Some(Way::Fetched),
        _ => None,
    }
}

fn begins_with(text: &str, beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(beginning))
}

/// What of these parts we must fetch.
pub(super) fn wanted(parts: &[Part]) -> Vec<Wanted> {
    let one = |part: &Part| match part {
        Part::Image { source: Media::Url(address), extras }
        | Part::Document { source: Media::Url(address), extras, .. }
            if matches!(way(address, extras), Some(Way::Fetched)) =>
        {
            vec![Wanted::Media(address.clone())]
        }
        Part::ToolResult { parts, .. } => wanted(parts),
        _ => Vec::new(),
    };
    parts.iter().flat_map(one).collect()
}

/// A picture or file.
///
/// # Errors
/// When nobody can fetch its address.
pub(super) fn write(source: &Media, extras: &Extras) -> Result<Map<String, Value>, Failure> {
    let unknown = |what: &str| {
        let words = format!("Gemini cannot be shown '{what}': its type is not known; state it as `format`");
        Failure::invalid(words).with_param("messages")
    };
    let part = match source {
        Media::Inline { media_type, data } => {
            let kind = stated(extras).unwrap_or_else(|| media_type.clone());
            json!({"inline_data": {"data": data, "mime_type": kind}})
        }
        Media::Url(address) => match way(address, extras) {
            Some(Way::Address(kind)) => json!({"file_data": {"mime_type": kind, "file_uri": address}}),
            _ => return Err(unknown(address)),
        },
        Media::FileId(id) => {
            let kind = stated(extras).or_else(|| type_of(id).map(str::to_owned)).ok_or_else(|| unknown(id))?;
            json!({"file_data": {"mime_type": kind, "file_uri": id}})
        }
    };
    let mut part = crate::errand::members(part);
    for name in ["video_metadata", "videoMetadata"] {
        if let Some(bounds) = extras.get(name).filter(|bounds| !bounds.is_null()) {
            part.insert("video_metadata".to_owned(), bounds.clone());
        }
    }
    Ok(part)
}

/// Sound, whose format `OpenAI`'s clients give without `audio/`.
pub(super) fn sound(data: &str, format: &str) -> Map<String, Value> {
    let kind = match format {
        "" => "audio/wav".to_owned(),
        whole if whole.contains('/') => whole.to_owned(),
        short => format!("audio/{short}"),
    };
    crate::errand::members(json!({"inline_data": {"data": data, "mime_type": kind}}))
}

/// How closely pictures can be looked at, the coarsest first: `OpenAI`'s word and Google's.
const RESOLUTIONS: [(&str, &str); 4] = [
    ("low", "MEDIA_RESOLUTION_LOW"),
    ("medium", "MEDIA_RESOLUTION_MEDIUM"),
    ("high", "MEDIA_RESOLUTION_HIGH"),
    ("ultra_high", "MEDIA_RESOLUTION_ULTRA_HIGH"),
];

/// How closely a picture is to be looked at.
pub(super) fn resolution(extras: &Extras) -> Option<&'static str> {
    let detail = extras.get("detail")?.as_str()?;
    RESOLUTIONS.iter().find_map(|(word, google)| (*word == detail).then_some(*google))
}

/// The closer look of the two.
pub(super) fn finer(one: Option<&'static str>, other: &'static str) -> Option<&'static str> {
    let mut by_fineness = RESOLUTIONS.iter().rev().map(|(_, google)| *google);
    by_fineness.find(|google| Some(*google) == one || *google == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(address: &str, format: Option<&str>) -> Option<Value> {
        let extras = format.map(|format| ("format".to_owned(), Value::from(format))).into_iter().collect();
        write(&Media::Url(address.to_owned()), &extras).ok().map(Value::Object)
    }

    #[test]
    fn google_is_given_addresses_whose_type_is_known() {
        let expected = |kind: &str, address: &str| Some(json!({"file_data": {"mime_type": kind, "file_uri": address}}));
        assert_eq!(written("gs://b/cat.JPG", None), expected("image/jpeg", "gs://b/cat.JPG"));
        assert_eq!(written("https://h/a.pdf", None), expected("application/pdf", "https://h/a.pdf"));
        assert_eq!(written("https://h/a", Some("mp4")), expected("video/mp4", "https://h/a"));
        assert_eq!(written("gs://b/cat", None), None);
    }

    #[test]
    fn other_addresses_are_fetched() {
        let image = |address: &str| Part::Image { source: Media::Url(address.to_owned()), extras: Extras::new() };
        let parts = ["http://h/a.png", "https://h/a", "https://h/a.png", "gs://b/c"].map(image);
        assert_eq!(wanted(&parts), ["http://h/a.png", "https://h/a"].map(|url| Wanted::Media(url.to_owned())));
    }
}
