//! Prices of what is no token: searches of the web, pictures, seconds, characters, pages.

use crate::adjust::Share;
use crate::cost::Cost;
use crate::decimal;
use crate::price::PicoPrice;
use serde_json::{Map, Value};
use tollgate_wire::{Usage, usage::SearchSize};

/// What is paid one by one. Each is `None` where it is not stated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitPrices {
    /// A search of a reranker or a search service.
    pub(crate) per_search: Option<PicoPrice>,
    web: WebSearch,
    picture: Option<PicoPrice>,
    pixel: Option<FinePrice>,
    page: Option<PicoPrice>,
    heard_second: Option<PicoPrice>,
    worked_second: Option<PicoPrice>,
    character: Option<PicoPrice>,
    /// What tokens cost more by within the United States, and in the faster mode (`provider_specific_entry`).
    in_us: Option<Share>,
    fast: Option<Share>,
}

/// A search of the web, by how much of what is found is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WebSearch {
    low: Option<PicoPrice>,
    medium: Option<PicoPrice>,
    high: Option<PicoPrice>,
    /// An answer is paid once, however often its model searched: Gemini 2's grounding. Newer models are paid by the query.
    once_an_answer: bool,
}

/// Atto-dollars (10^-18 USD): a picture element costs fractions of a pico-dollar, and there are millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FinePrice(u64);

impl FinePrice {
    fn from_usd(value: &Value) -> Option<Self> {
        let text =
            value.as_str().map_or_else(|| value.is_number().then(|| value.to_string()), |text| Some(text.into()))?;
        let atto = decimal::parse(text.trim(), 18)?;
        Some(Self(u64::try_from(atto.max(0)).unwrap_or(u64::MAX)))
    }

    /// In pico-dollars, rounded half to even.
    fn times(self, units: u64) -> i128 {
        decimal::divide_half_even(i128::from(self.0).saturating_mul(i128::from(units)), 1_000_000, false)
    }
}

impl UnitPrices {
    pub(crate) fn from_map(map: &Map<String, Value>) -> UnitPrices {
        let of = |name: &str| map.get(name).and_then(PicoPrice::from_usd);
        // Of a price that the map writes for both directions only one is not 0: azure's `output_cost_per_pixel` is.
        let dearer = |one: &str, other: &str| of(one).max(of(other));
        let pixel = |name: &str| map.get(name).and_then(FinePrice::from_usd).filter(|price| price.0 > 0);
        let seconds = [of("input_cost_per_second"), of("output_cost_per_second"), of("cost_per_second")];
        let worked = seconds.into_iter().flatten().reduce(PicoPrice::saturating_add);
        UnitPrices {
            per_search: of("input_cost_per_query"),
            web: WebSearch::from_map(map),
            picture: dearer("output_cost_per_image", "input_cost_per_image"),
            pixel: pixel("input_cost_per_pixel").or_else(|| pixel("output_cost_per_pixel")),
            page: of("ocr_cost_per_page"),
            heard_second: seconds.into_iter().flatten().next(),
            worked_second: worked,
            character: of("input_cost_per_character"),
            in_us: multiplier(map, "us"),
            fast: multiplier(map, "fast"),
        }
    }

    /// What tokens of this cost come to where and how they were served.
    pub(crate) fn scaled(&self, pico: i128, usage: &Usage) -> i128 {
        let geo = self.in_us.filter(|_| usage.in_us);
        let mode = self.fast.filter(|_| usage.fast);
        geo.into_iter().chain(mode).fold(pico, |pico, share| share.of(pico))
    }

    /// So many searches of the web, each of this size.
    pub(crate) fn web(&self, searches: u64, size: SearchSize) -> i128 {
        let web = &self.web;
        let price = match size {
            SearchSize::Low => web.low,
            SearchSize::Medium => web.medium,
            SearchSize::High => web.high,
        };
        let searches = if web.once_an_answer { searches.min(1) } else { searches };
        // What names but one size means all of them.
        price.or(web.medium).or(web.low).or(web.high).unwrap_or_default().times(searches)
    }

    /// So many pictures of so many elements: by the element, else by the picture.
    pub(crate) fn pictures(&self, pictures: u64, pixels: u64) -> i128 {
        match self.pixel {
            Some(price) if pixels > 0 => price.times(pictures.saturating_mul(pixels)),
            _ => self.picture.unwrap_or_default().times(pictures),
        }
    }

    /// So many milliseconds of a provider's work.
    pub(crate) fn worked(&self, millis: u64) -> i128 {
        self.worked_second.unwrap_or_default().times(millis) / 1000
    }

    /// Sound that is listened to, and speech.
    pub(crate) fn heard(&self, millis: u64) -> Option<Cost> {
        self.heard_second.map(|price| Cost::from_pico(price.times(millis) / 1000))
    }

    pub(crate) fn spoken(&self, characters: u64) -> Option<Cost> {
        self.character.map(|price| Cost::from_pico(price.times(characters)))
    }

    pub(crate) fn read(&self, pages: u64) -> Option<Cost> {
        self.page.map(|price| Cost::from_pico(price.times(pages)))
    }

    pub(crate) fn prices_pictures(&self, pixels: u64) -> bool {
        self.picture.is_some() || (self.pixel.is_some() && pixels > 0)
    }

    pub(crate) fn prices_work(&self) -> bool {
        self.worked_second.is_some()
    }

    /// A second of work costs this, where nothing says so.
    pub(crate) fn work_costs(&mut self, price: PicoPrice) {
        self.worked_second = self.worked_second.or(Some(price));
    }
}

/// How many times the usual price.
fn multiplier(map: &Map<String, Value>, name: &str) -> Option<Share> {
    Share::read(map.get("provider_specific_entry")?.get(name)?)
}

impl WebSearch {
    fn from_map(map: &Map<String, Value>) -> WebSearch {
        let sizes = map.get("search_context_cost_per_query").and_then(Value::as_object);
        let of = |name: &str| sizes.and_then(|sizes| sizes.get(name)).and_then(PicoPrice::from_usd);
        let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default();
        // Google's price list: a prompt that is grounded is paid once up to Gemini 2.5, each query from Gemini 3 on.
        let is_google = text("litellm_provider").starts_with("gemini")
            || text("litellm_provider").starts_with("vertex_ai-language");
        WebSearch {
            low: of("search_context_size_low"),
            medium: of("search_context_size_medium"),
            high: of("search_context_size_high"),
            once_an_answer: is_google && text("web_search_billing_unit") != "per_query",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn units(facts: Value) -> UnitPrices {
        let Value::Object(map) = facts else { panic!("not an object") };
        UnitPrices::from_map(&map)
    }

    #[test]
    fn a_search_of_the_web_costs_by_its_size_and_gemini_2_is_paid_once_an_answer() {
        let sizes = json!({"search_context_size_low": 0.005, "search_context_size_medium": 0.008, "search_context_size_high": 0.012});
        let each = units(json!({"search_context_cost_per_query": sizes}));
        assert_eq!(each.web(3, SearchSize::Low), 15_000_000_000);
        assert_eq!(each.web(1, SearchSize::default()), 8_000_000_000);
        assert_eq!(each.web(2, SearchSize::High), 24_000_000_000);
        let once = units(json!({"search_context_cost_per_query": sizes, "litellm_provider": "gemini"}));
        assert_eq!(once.web(3, SearchSize::Medium), 8_000_000_000);
        let query = units(json!({
            "search_context_cost_per_query": sizes, "litellm_provider": "gemini", "web_search_billing_unit": "per_query",
        }));
        assert_eq!(query.web(3, SearchSize::Medium), 24_000_000_000);
        let one = units(json!({"search_context_cost_per_query": {"search_context_size_medium": 0.01}}));
        assert_eq!(one.web(1, SearchSize::High), 10_000_000_000);
        assert_eq!(units(json!({})).web(9, SearchSize::High), 0);
    }

    #[test]
    fn pictures_cost_by_their_elements_else_one_by_one() {
        // azure/hd/1024-x-1024/dall-e-3: 8.39233e-8 USD an element.
        let hd = units(json!({"input_cost_per_pixel": 8.39233e-8, "output_cost_per_token": 0.0}));
        assert_eq!(hd.pictures(1, 1024 * 1024), 87_999_958_221);
        let low = units(
            json!({"input_cost_per_image": 0.011, "input_cost_per_pixel": 1.0490417e-8, "output_cost_per_pixel": 0.0}),
        );
        assert_eq!(low.pictures(2, 0), 22_000_000_000);
        assert_eq!(low.pictures(2, 1024 * 1024), 21_999_998_992);
        assert_eq!(units(json!({"output_cost_per_image": 0.04})).pictures(3, 1 << 20), 120_000_000_000);
        assert!(!units(json!({"input_cost_per_pixel": 0.0})).prices_pictures(9));
    }

    #[test]
    fn work_is_paid_by_the_second_in_both_directions_and_pages_one_by_one() {
        let work = units(json!({"input_cost_per_second": 0.0001, "output_cost_per_second": 0.0002}));
        assert_eq!(work.worked(1500), 450_000_000);
        let page = units(json!({"ocr_cost_per_page": 0.002}));
        assert_eq!(page.read(3).map(|cost| cost.to_string()).as_deref(), Some("0.006"));
        assert!(page.read(1).is_some() && work.read(1).is_none());
    }
}
