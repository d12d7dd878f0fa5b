//! What a dialect must know about a model to speak to it; the catalog fills this in.

/// Facts about one upstream model. The default knows nothing: every limit open, every capability assumed absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// The catalog knows this model.
    pub known: bool,
    /// Context window, tokens.
    pub max_input_tokens: Option<u64>,
    /// Longest answer, tokens.
    pub max_output_tokens: Option<u64>,
    /// The model can think (takes `reasoning_effort` or `thinking`).
    pub reasoning: bool,
    /// The model can call tools.
    pub tools: bool,
    /// The model takes `tool_choice`.
    pub tool_choice: bool,
    /// The model can answer by a JSON schema natively.
    pub response_schema: bool,
    /// The model sees images.
    pub vision: bool,
    /// The provider can cache prompts of this model on demand.
    pub prompt_caching: bool,
    /// The model takes a JSON schema as a parameter, where others of its provider must be forced into a tool.
    pub schema_parameter: bool,
    /// The model decides itself how long it thinks; it takes an effort and no budget.
    pub adaptive_thinking: bool,
    /// The model takes the effort `xhigh`.
    pub xhigh_effort: bool,
    /// The model does not think unless an effort is asked for.
    pub rests_by_default: bool,
    /// The model takes the effort `max`.
    pub max_effort: bool,
    /// The model refuses `temperature` and `top_p`.
    pub fixed_sampling: bool,
    /// The model refuses to be told which tool to call.
    pub free_tool_choice: bool,
    /// What the model is for: `chat`, `completion`, `embedding`, …; empty when not known.
    pub mode: String,
}
