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

impl Terms {
    /// The terms in these bodies. Costs a look at each byte; what names none of the members is not taken apart.
    pub(crate) fn of<'b>(bodies: impl Iterator<Item = &'b Bytes>) -> Self {
        let mut terms = Self::default();
        for bytes in bodies {
            let has = |name: &[u8]| memmem::find(bytes, name).is_some();
            let says = [&b"\"service_tier\""[..], b"\"web_search_options\"", b"\"size\"", b"\"n\"", b"\"quality\""];
            if !says.into_iter().any(has) {
                continue;
            }
            if let Ok(body) = RawBody::parse(bytes) {
                terms.read(&body);
            }
        }
        terms
    }

    fn read(&mut self, body: &RawBody) {
        if let Some(tier) = body.typed::<String>("service_tier") {
            self.tier = ServiceTier::named(&tier);
        }
        if let Some(search) = body.typed::<Value>("web_search_options").filter(Value::is_object) {
            let size = search.get("search_context_size").and_then(Value::as_str).and_then(SearchSize::named);
            self.search = Some(size.unwrap_or_default());
        }
        // Pictures are asked for by one prompt, not by messages.
        if body.has("prompt") && !body.has("messages") {
            let size = body.typed::<String>("size").and_then(|size| measured(&size));
            let (width, height) = size.unwrap_or(USUAL_SIZE);
            self.pictures = Some(Pictures {
                count: body.typed::<u64>("n").unwrap_or(1),
                size: format!("{width}-x-{height}"),
                pixels: width.saturating_mul(height),
                quality: body.typed::<String>("quality").filter(|quality| quality != "auto").unwrap_or_default(),
            });
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
        let plain = json!({"prompt": "a cat", "size": "auto", "quality": "auto"});
        assert_eq!(pictures(&plain), Some((1, "1024-x-1024".to_owned(), 1 << 20, String::new())));
        assert_eq!(pictures(&json!({"messages": [], "n": 3})), None);
    }
}
