//! What a request says about its own price: how it is to be served, how much a search reads, which pictures it wants. Taken from the
//! bodies as they go to the provider, so that defaults of the deployment count as the client's words do.

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;
use tollgate_catalog::{Catalog, Price};
use tollgate_wire::{
    RawBody, Usage,
    usage::{SearchSize, ServiceTier},
};

use crate::deployment::Place;

/// The terms of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    tier: ServiceTier,
    /// The web is searched, and so much is read.
    search: Option<SearchSize>,
    pictures: Option<Pictures>,
}

/// Pictures that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pictures {
    count: u64,
    /// As the source of prices writes it: `1024-x-1024`.
    size: String,
    pixels: u64,
    quality: String,
}

/// What a picture measures where nobody says; `LiteLLM`'s.
const USUAL_SIZE: (u64, u64) = (1024, 1024);
/// Longest body in which pictures are looked for, bytes.
const LONGEST_PROMPT: usize = 64 << 10;
/// Members of requests that ask for words or vectors.
const TALK: [&[u8]; 3] = [b"\"messages\"", b"\"contents\"", b"\"input\""];
/// Members of those that say something of their price.
const ASKED: [&[u8]; 2] = [b"\"service_tier\"", b"\"web_search_options\""];

impl Pictures {
    /// In whosever words: `OpenAI`'s, Imagen's (`sampleCount`), Bedrock's (`numberOfImages`, `samples`).
    fn of(body: &Value) -> Self {
        let number = |places: [&str; 4]| places.iter().find_map(|place| body.pointer(place)?.as_u64());
        let count = number(["/n", "/parameters/sampleCount", "/imageGenerationConfig/numberOfImages", "/samples"]);
        let text = |place: &str| body.pointer(place).and_then(Value::as_str);
        let width = number(["/width", "/imageGenerationConfig/width", "", ""]);
        let height = number(["/height", "/imageGenerationConfig/height", "", ""]);
        let size = text("/size").and_then(measured).or_else(|| width.zip(height));
        let (width, height) = size.unwrap_or(USUAL_SIZE);
        let quality = text("/quality").or_else(|| text("/imageGenerationConfig/quality"));
        Self {
            count: count.unwrap_or(1),
            size: format!("{width}-x-{height}"),
            pixels: width.saturating_mul(height),
            quality: quality.filter(|quality| *quality != "auto").unwrap_or_default().to_owned(),
        }
    }
}

impl Terms {
    /// The terms in these bodies. Costs a look or two at each byte; what names none of the members is not taken apart.
    pub(crate) fn of<'b>(bodies: impl Iterator<Item = &'b Bytes>) -> Self {
        let mut terms = Self::default();
        for bytes in bodies {
            let has = |name: &[u8]| memmem::find(bytes, name).is_some();
            let is_talk = TALK.into_iter().any(has);
            let says = if is_talk { ASKED.into_iter().any(has) } else { bytes.len() <= LONGEST_PROMPT };
            if let (true, Ok(body)) = (says, RawBody::parse(bytes)) {
                terms.read(&body, is_talk);
            }
        }
        terms
    }

    /// What a client's request says of its price before it goes out. `draws`: it asks for pictures.
    pub(crate) fn expected(body: &RawBody, draws: bool) -> Usage {
        let mut terms = Self::default();
        terms.read(body, !draws);
        let says =
            |name: &str, word: &str| body.typed::<String>(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
        let (pictures, pixels) = terms.pictures.map_or((0, 0), |pictures| (pictures.count, pictures.pixels));
        Usage {
            tier: terms.tier,
            web_searches: u64::from(terms.search.is_some()),
            search_size: terms.search.unwrap_or_default(),
            pictures,
            pixels,
            in_us: says("inference_geo", "us"),
            fast: says("speed", "fast"),
            ..Usage::NONE
        }
    }

    fn read(&mut self, body: &RawBody, is_talk: bool) {
        if let Some(tier) = body.typed::<String>("service_tier") {
            self.tier = ServiceTier::named(&tier);
        }
        if let Some(search) = body.typed::<Value>("web_search_options").filter(Value::is_object) {
            let size = search.get("search_context_size").and_then(Value::as_str).and_then(SearchSize::named);
            self.search = Some(size.unwrap_or_default());
        }
        if !is_talk {
            self.pictures = Some(Pictures::of(&Value::Object(body.to_map())));
        }
    }

    /// What was used, with what only the request says, and the price that holds for it. `draws`: pictures are what the call makes.
    pub(crate) fn complete(
        &self,
        usage: Usage,
        place: &Place,
        draws: bool,
        catalog: &Catalog,
    ) -> (Usage, Option<Price>) {
        let mut usage = Usage { tier: usage.tier.or(self.tier), ..usage };
        if let Some(size) = self.search.filter(|_| !usage.is_empty()) {
            usage.search_size = size;
            // OpenAI's models that always search do not say that they did.
            if usage.web_searches == 0 && always_searches(&place.target.model) {
                usage.web_searches = 1;
            }
        }
        let Some(pictures) = self.pictures.as_ref().filter(|_| draws) else { return (usage, None) };
        let price = &place.price;
        if usage.image_output == 0 && price.is_stated() && usage.stated_cost_nanos.is_none() {
            // `OpenAI` says of its pictures' tokens only how many there were.
            usage.image_output = usage.output;
        }
        if price.is_stated() && usage.output > 0 {
            return (usage, None);
        }
        let sized = || {
            let (provider, model) = (place.target.provider.name, &place.target.model);
            catalog.find_picture(provider, model, &pictures.size, &pictures.quality).map(|model| model.price())
        };
        let usage = Usage { pictures: pictures.count, pixels: pictures.pixels, ..usage };
        let own = price.prices_pictures(pictures.pixels);
        (usage, if own { None } else { sized().filter(|price| price.prices_pictures(pictures.pixels)) })
    }
}

/// `1024x1792`, however it is written.
fn measured(size: &str) -> Option<(u64, u64)> {
    let (width, height) = size.split_once('x')?;
    let side = |text: &str| text.trim_matches('-').parse::<u64>().ok();
    Some((side(width)?, side(height)?))
}

/// Models whose every answer has searched: `gpt-4o-search-preview`.
fn always_searches(model: &str) -> bool {
    model.contains("-search-preview") || model.contains("-search-api")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms(body: &Value) -> Terms {
        Terms::of([Bytes::from(body.to_string())].iter())
    }

    #[test]
    fn terms_are_members_and_not_words_of_the_prompt() {
        let said = json!({"messages": [{"role": "user", "content": "say \"service_tier\": \"flex\" and \"n\""}]});
        assert_eq!(terms(&said), Terms::default());
        assert_eq!(terms(&json!({"service_tier": "flex", "messages": []})).tier, ServiceTier::Flex);
        let search = json!({"messages": [], "web_search_options": {"search_context_size": "high"}});
        assert_eq!(terms(&search).search, Some(SearchSize::High));
        assert_eq!(terms(&json!({"messages": [], "web_search_options": {}})).search, Some(SearchSize::Medium));
    }

    #[test]
    fn pictures_are_measured() {
        let pictures = |body: &Value| terms(body).pictures.map(|one| (one.count, one.size, one.pixels, one.quality));
        let asked = json!({"prompt": "a cat", "n": 2, "size": "1024x1792", "quality": "hd"});
        assert_eq!(pictures(&asked), Some((2, "1024-x-1792".to_owned(), 1024 * 1792, "hd".to_owned())));
        let imagen = json!({"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 3}});
        assert_eq!(pictures(&imagen), Some((3, "1024-x-1024".to_owned(), 1 << 20, String::new())));
        let nova = json!({"taskType": "TEXT_IMAGE", "imageGenerationConfig": {"numberOfImages": 2, "width": 512, "height": 768, "quality": "premium"}});
        assert_eq!(pictures(&nova), Some((2, "512-x-768".to_owned(), 512 * 768, "premium".to_owned())));
        let plain = json!({"prompt": "a cat", "size": "auto", "quality": "auto"});
        assert_eq!(pictures(&plain), Some((1, "1024-x-1024".to_owned(), 1 << 20, String::new())));
        assert_eq!(pictures(&json!({"messages": [], "n": 3})), None);
    }
}
