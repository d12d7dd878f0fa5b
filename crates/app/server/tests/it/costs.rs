//! What a call costs beyond its tokens: discounts and margins, pictures, work by the second, and models without a price.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tollgate_gateway::KeyBounds;
use tollgate_kit::{Answer, http::Reply};
use tollgate_store::{EpochMs, LogListing, Place, SpendRow, Store, StoreSettings};

use crate::world::{World, hi, refused};

const CONFIG: &str = "
model_list:
  - model_name: sold
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key, input_cost_per_token: 1e-6,
      output_cost_per_token: 2e-6}
  - model_name: other
    litellm_params: {model: groq/llama-3.1-8b-instant, api_base: '{provider}/v1', api_key: sk-fake-provider-key,
      input_cost_per_token: 1e-6, output_cost_per_token: 2e-6}
  - model_name: painter
    litellm_params: {model: azure/my-pictures, api_base: '{provider}', api_version: 2024-10-21, api_key: sk-fake-provider-key}
    model_info: {base_model: dall-e-3, mode: image_generation}
  - model_name: sized
    litellm_params: {model: azure/dall-e-3, api_base: '{provider}', api_version: 2024-10-21, api_key: sk-fake-provider-key}
  - model_name: own-picture
    litellm_params: {model: openai/brush, api_base: '{provider}/v1', api_key: sk-fake-provider-key, output_cost_per_image: 0.25}
  - model_name: tokens-of-pictures
    litellm_params: {model: openai/gpt-image-1, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: own-server
    litellm_params: {model: openai/mine, api_base: '{provider}/v1', api_key: sk-fake-provider-key, input_cost_per_second: 100}
  - model_name: further-on
    litellm_params: {model: litellm_proxy/gpt, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: nobody-knows
    litellm_params: {model: openai/unheard-of, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
litellm_settings:
  {more}
";

struct Books {
    world: World,
    store: Arc<Store>,
}

impl Books {
    async fn open(more: &str) -> Self {
        let store = Arc::new(Store::open(&StoreSettings::at(Place::Memory), EpochMs::default()).await.unwrap());
        let bounds = KeyBounds { patience: Duration::from_secs(20), ..KeyBounds::default() };
        let config = CONFIG.replace("{more}", if more.is_empty() { "drop_params: true" } else { more });
        let world = World::of(&config).store(Arc::clone(&store), bounds).with_journal().start().await;
        Self { world, store }
    }

    async fn row(&self) -> SpendRow {
        self.world.gateway.finish_books().await;
        let rows = self.store.spend_logs(&LogListing { limit: 10, ..LogListing::default() }).await.unwrap().rows;
        assert_eq!(rows.len(), 1);
        rows.into_iter().next().unwrap()
    }

    /// Asks for pictures; the provider answers so.
    async fn draw(&self, body: Value, answer: Value) -> (Reply, SpendRow) {
        self.world.provider.script([Answer::json(200, answer)]);
        let reply = self.world.post("/v1/images/generations", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        (reply, self.row().await)
    }
}

fn answer(input: u64, output: u64) -> Answer {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    Answer::json(200, json!({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}))
}

#[tokio::test]
async fn a_discount_and_a_margin_are_booked_and_told() {
    let books = Books::open(
        "cost_discount_config: {openai: 0.1}\n  cost_margin_config: {openai: {percentage: 0.5, fixed_amount: 0.001}, global: 1}",
    )
    .await;
    books.world.provider.script([answer(1000, 500)]);
    let reply = books.world.chat(&hi("sold")).await;
    // 1000·1 + 500·2 = 2000 millionths; a tenth off is 1800; half of that and a thousandth of a dollar on top is 3700.
    let header = |name: &str| reply.header(&format!("x-litellm-response-cost{name}")).map(str::to_owned);
    for (name, expected) in [
        ("", "0.0037"),
        ("-original", "0.002"),
        ("-discount-amount", "0.0002"),
        ("-margin-amount", "0.0019"),
        ("-margin-percent", "0.5"),
        ("-input", "0.001"),
        ("-output", "0.001"),
    ] {
        assert_eq!(header(name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(header("-cache-read"), None);
    let row = books.row().await;
    assert_eq!(row.spend.0, 3_700_000);
    let metadata: Value = serde_json::from_str(&row.metadata.unwrap().0).unwrap();
    let parts = &metadata["cost_breakdown"];
    for (name, expected) in [
        ("original_cost", 0.002),
        ("discount_percent", 0.1),
        ("discount_amount", 0.0002),
        ("margin_percent", 0.5),
        ("margin_fixed_amount", 0.001),
        ("margin_total_amount", 0.0019),
        ("total_cost", 0.0037),
    ] {
        assert_eq!(parts[name], json!(expected), "{name} in {parts}");
    }
}

#[tokio::test]
async fn what_is_global_is_for_those_who_are_not_named() {
    let books = Books::open("cost_discount_config: {openai: 0.5}\n  cost_margin_config: {global: 1}").await;
    books.world.provider.script([answer(10, 5)]);
    assert_eq!(books.world.chat(&hi("other")).await.header("x-litellm-response-cost"), Some("0.00004"));
}

#[tokio::test]
async fn a_picture_costs_by_its_size_and_quality() {
    let books = Books::open("").await;
    let ask = json!({"model": "sized", "prompt": "a cat", "n": 2, "size": "1024x1792", "quality": "hd"});
    let (reply, row) = books.draw(ask, json!({"created": 1, "data": [{"url": "u"}, {"url": "v"}]})).await;
    // azure/hd/1024-x-1792/dall-e-3: 7.19343e-8 USD an element, 1024·1792·2 = 3,670,016 of them: 0.26400003194...
    assert_eq!(row.spend.0, 264_000_032);
    assert_eq!(reply.header("x-litellm-response-cost"), Some("0.264000031949"));
}

#[tokio::test]
async fn a_price_of_ones_own_for_a_picture_wins() {
    let books = Books::open("").await;
    let ask = json!({"model": "own-picture", "prompt": "a cat", "n": 3});
    let (_, row) = books.draw(ask, json!({"created": 1, "data": []})).await;
    assert_eq!(row.spend.0, 750_000_000);
}

#[tokio::test]
async fn pictures_that_are_counted_in_tokens_cost_their_tokens() {
    let books = Books::open("").await;
    let usage = json!({"total_tokens": 4210, "input_tokens": 50, "output_tokens": 4160,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}});
    let ask = json!({"model": "tokens-of-pictures", "prompt": "a cat", "size": "1024x1024"});
    let (_, row) = books.draw(ask, json!({"created": 1, "data": [{"b64_json": "eA=="}], "usage": usage})).await;
    // gpt-image-1: text 5, pictures seen 10, pictures drawn 40 millionths a token: 10·5 + 40·10 + 4160·40.
    assert_eq!(row.spend.0, 166_850_000);
}

#[tokio::test]
async fn a_server_of_ones_own_costs_by_the_second() {
    let books = Books::open("").await;
    books.world.provider.script([answer(10, 5).wait_before_head(Duration::from_millis(50))]);
    assert_eq!(books.world.chat(&hi("own-server")).await.status, 200);
    let spend = books.row().await.spend.0;
    // 100 USD a second, for 50 ms or somewhat longer.
    assert!((5_000_000_000..500_000_000_000).contains(&spend), "{spend}");
}

#[tokio::test]
async fn what_another_gateway_says_of_the_cost_is_the_cost() {
    let books = Books::open("cost_margin_config: {litellm_proxy: 1}").await;
    books.world.provider.script([answer(10, 5).header("x-litellm-response-cost", "1.25e-05")]);
    let reply = books.world.chat(&hi("further-on")).await;
    assert_eq!(reply.header("x-litellm-response-cost"), Some("0.000025"));
    assert_eq!(books.row().await.spend.0, 25_000);
}

#[tokio::test]
async fn a_model_without_a_price_works_and_is_counted_as_unpriced() {
    let books = Books::open("").await;
    books.world.provider.script([answer(10, 5)]);
    let reply = books.world.chat(&hi("nobody-knows")).await;
    assert_eq!((reply.status, reply.header("x-litellm-response-cost")), (200, None));
    assert_eq!(books.world.gateway.totals().unpriced, 1);
    let row = books.row().await;
    assert_eq!((row.spend.0, row.prompt_tokens, row.completion_tokens), (0, 10, 5));
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_where_that_is_asked_for() {
    let books = Books::open("block_requests_for_models_without_pricing: true").await;
    let said = refused(&books.world.chat(&hi("nobody-knows")).await, 400);
    for part in ["openai/unheard-of", "input_cost_per_token", "tollgate prices update"] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(books.world.provider.calls().is_empty());
    assert_eq!(books.world.chat(&hi("sold")).await.status, 200);
    assert_eq!(books.world.chat(&hi("own-server")).await.status, 200);
}
