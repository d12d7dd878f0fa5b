//! The one list of providers. A new one is its name here and its row in `table/`.

use crate::provider::Provider;

macro_rules! providers {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every provider.
        pub static ALL: &[&Provider] = &[$(&$name::PROVIDER),*];
    };
}

providers! {
    abliteration, ai21_chat, aihubmix, aiml, aiohttp_openai, amazon_nova, anthropic, anthropic_text, anyscale,
    apertis, azure, azure_ai, azure_text, baseten, bedrock, cerebras, charity_engine, chutes, clarifai, cloudflare,
    codestral, cohere, cometapi, compactifai, crusoe, custom, custom_openai, dashscope, databricks, deepinfra,
    deepseek, empower, featherless_ai, fireworks_ai, friendliai, galadriel, gemini, github, gmi, gradient_ai, groq,
    helicone, heroku, hosted_vllm, huggingface, hyperbolic, inception, infinity, jina_ai, lambda_ai, lemonade,
    litellm_proxy, llamafile, llamagate, lm_studio, maritalk, meta_llama, minimax, mistral, modelscope, moonshot,
    morph, nano_gpt, nebius, nlp_cloud, novita, nscale, nvidia_nim, ollama, ollama_chat, oobabooga, openai,
    openai_like, openrouter, ovhcloud, palm, perplexity, petals, poe, predibase, publicai, replicate, sagemaker,
    sagemaker_chat, sambanova, sap, sarvam, scaleway, snowflake, synthetic, text_completion_codestral,
    text_completion_openai, together_ai, triton, v0, veniceai, vercel_ai_gateway, vertex_ai, vllm, volcengine, voyage,
    wandb, watsonx, watsonx_text, xai, xiaomi_mimo, xinference, zai,
}

/// The provider of this name, or of this other name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Provider> {
    ALL.iter().copied().find(|provider| provider.name == name || provider.aliases.contains(&name))
}
