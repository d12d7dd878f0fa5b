//! Prompts: a conversation as one text, for models that only go on with a text. The deployment's own template goes first,
//! then the chat template that the model's makers published, then what is known of the model's family, and at last the
//! words alone.

mod family;
mod published;

use serde_json::{Map, Value};
use tollgate_wire::{
    Failure,
    chat::{ChatRequest, Message, Part, Role},
};

use crate::{codec::Wanted, target::Target};

/// What a deployment's configuration says about its model's prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptTemplate {
    /// A template of its own.
    pub own: Option<OwnTemplate>,
    /// The model at Hugging Face whose published template is meant. Only what an operator wrote stands here: whoever can
    /// name a template can make it run.
    pub published: Option<String>,
}

/// A template out of the configuration (`initial_prompt_value`, `roles`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTemplate {
    /// What begins a prompt, after `bos`.
    pub initial: String,
    /// What ends it.
    pub last: String,
    /// Stands before everything, and before a system message that follows an answer.
    pub bos: String,
    /// Stands after every answer.
    pub eos: String,
    /// `{role: {pre_message, post_message}}`.
    pub roles: Map<String, Value>,
}

impl PromptTemplate {
    /// The template of a deployment of this model string; `hf_model_name` names another model's.
    #[must_use]
    pub fn of(model: &str, hf_model_name: Option<&str>, own: OwnTemplate) -> Self {
        let hub = model.strip_prefix("huggingface/").filter(|name| !name.contains('*'));
        let published = hf_model_name.or(hub.map(without_task)).map(str::to_owned);
        let own = (own != OwnTemplate::default()).then_some(own);
        Self { own, published }
    }
}

/// Words before a model's name that say what it is for, not whose it is.
pub(crate) const TASKS: &[&str] = &["text-generation-inference/", "text-generation/", "conversational/"];

fn without_task(name: &str) -> &str {
    TASKS.iter().find_map(|task| name.strip_prefix(task)).unwrap_or(name)
}

/// One turn of a conversation: who, and the words alone.
struct Turn {
    role: Role,
    words: String,
}

/// What stands around the words of each role. Borrowed from the configuration or from the table of families.
#[derive(Clone, Copy, Debug)]
struct Frames<'t> {
    initial: &'t str,
    last: &'t str,
    bos: &'t str,
    eos: &'t str,
    system: (&'t str, &'t str),
    user: (&'t str, &'t str),
    assistant: (&'t str, &'t str),
    tool: (&'t str, &'t str),
    /// Words lose the white space around them.
    trims: bool,
}

/// The published template, where one is meant: fetched once for each model, never before a call wants it.
#[must_use]
pub(crate) fn wants(target: &Target) -> Vec<Wanted> {
    published_address(target).map(Wanted::Document).into_iter().collect()
}

fn published_address(target: &Target) -> Option<String> {
    let template = target.template.as_deref().filter(|template| template.own.is_none())?;
    published::address(template.published.as_deref()?)
}

/// The conversation as one prompt that ends where the model goes on.
///
/// # Errors
/// When the model's own template refuses the conversation (roles that must alternate, say).
pub(crate) fn write(request: &ChatRequest, target: &Target) -> Result<String, Failure> {
    let turns = turns(&request.messages);
    let template = target.template.as_deref();
    if let Some(own) = template.and_then(|template| template.own.as_ref()) {
        return Ok(fill(&own.frames(), &turns));
    }
    let address = published_address(target);
    let document = request.documents.iter().find(|(url, _)| Some(url) == address.as_ref());
    if let Some((_, text)) = document
        && let Some(prompt) = published::render(text, &turns)?
    {
        return Ok(prompt);
    }
    let name = template.and_then(|template| template.published.as_deref()).unwrap_or(&target.model);
    Ok(match family::of_model(name) {
        Some(frames) => fill(&frames, &turns),
        None => joined(&turns, " "),
    })
}

/// The words of a request as they are, for a client that wrote the prompt itself.
#[must_use]
pub(crate) fn raw(request: &ChatRequest) -> String {
    joined(&turns(&request.messages), "\n")
}

fn joined(turns: &[Turn], between: &str) -> String {
    turns.iter().map(|turn| turn.words.as_str()).collect::<Vec<_>>().join(between)
}

fn turns(messages: &[Message]) -> Vec<Turn> {
    messages.iter().map(|message| Turn { role: message.role, words: said(&message.parts) }).collect()
}

/// The words among these parts.
#[must_use]
pub(crate) fn said(parts: &[Part]) -> String {
    let words = parts.iter().map(|part| match part {
        Part::Text { text, .. } | Part::Refusal(text) => text.clone(),
        Part::ToolResult { parts, .. } => said(parts),
        _ => String::new(),
    });
    words.collect()
}

impl OwnTemplate {
    fn frames(&self) -> Frames<'_> {
        Frames {
            initial: &self.initial,
            last: &self.last,
            bos: &self.bos,
            eos: &self.eos,
            system: self.around("system"),
            user: self.around("user"),
            assistant: self.around("assistant"),
            tool: self.around("tool"),
            trims: false,
        }
    }

    fn around(&self, role: &str) -> (&str, &str) {
        let text = |name: &str| self.roles.get(role).and_then(|role| role.get(name)?.as_str()).unwrap_or_default();
        (text("pre_message"), text("post_message"))
    }
}

fn fill(frames: &Frames<'_>, turns: &[Turn]) -> String {
    let mut prompt = [frames.bos, frames.initial].concat();
    let mut answered = false;
    for turn in turns {
        let (before, after) = match turn.role {
            Role::System => frames.system,
            Role::User => frames.user,
            Role::Assistant => frames.assistant,
            Role::Tool => frames.tool,
        };
        if answered && turn.role == Role::System {
            prompt.push_str(frames.bos);
            answered = false;
        }
        let words = if frames.trims { turn.words.trim() } else { &turn.words };
        prompt.extend([before, words, after]);
        if turn.role == Role::Assistant {
            prompt.push_str(frames.eos);
            answered = true;
        }
    }
    prompt.push_str(frames.last);
    prompt
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said_by(turns: &[(Role, &str)]) -> Vec<Turn> {
        turns.iter().map(|(role, words)| Turn { role: *role, words: (*words).to_owned() }).collect()
    }

    const TALK: &[(Role, &str)] =
        &[(Role::System, "be brief"), (Role::User, "a"), (Role::Assistant, "b"), (Role::User, "c")];

    #[test]
    fn a_template_of_the_configuration_frames_every_role() {
        let roles = json!({
            "system": {"pre_message": "<|im_start|>system\n", "post_message": "<|im_end|>"},
            "assistant": {"pre_message": "<|im_start|>assistant\n", "post_message": "<|im_end|>"},
            "user": {"pre_message": "<|im_start|>user\n", "post_message": "<|im_end|>"},
        });
        let own = OwnTemplate {
            initial: "\n".to_owned(),
            last: "\n".to_owned(),
            bos: "<s>".to_owned(),
            eos: "</s>".to_owned(),
            roles: roles.as_object().unwrap().clone(),
        };
        assert_eq!(
            fill(&own.frames(), &said_by(TALK)),
            "<s>\n<|im_start|>system\nbe brief<|im_end|><|im_start|>user\na<|im_end|><|im_start|>assistant\nb<|im_end|></s>\
             <|im_start|>user\nc<|im_end|>\n"
        );
    }

    #[test]
    fn a_role_without_a_frame_keeps_its_words() {
        assert_eq!(fill(&OwnTemplate::default().frames(), &said_by(TALK)), "be briefabc");
    }

    fn check_family(model: &str, expected: &str) {
        let frames = family::of_model(model).unwrap_or_else(|| panic!("{model} has no family"));
        assert_eq!(fill(&frames, &said_by(TALK)), expected, "{model}");
    }

    #[test]
    fn known_families_are_prompted_as_they_were_taught() {
        check_family(
            "meta-llama/Llama-2-70b-chat-hf",
            "<s>[INST] <<SYS>>\nbe brief\n<</SYS>>\n [/INST]\n[INST] a [/INST]\nb\n</s>[INST] c [/INST]\n",
        );
        check_family(
            "meta/meta-llama-3-8b-instruct",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nbe brief<|eot_id|><|start_header_id|>user\
             <|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nb<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        );
        check_family(
            "mistralai/Mistral-7B-Instruct-v0.1",
            "<s>[INST] \nbe brief [/INST]\n[INST] a [/INST]\n b</s> [INST] c [/INST]\n",
        );
        check_family(
            "HuggingFaceH4/zephyr-7b-beta",
            "<|system|>\nbe brief</s>\n<|user|>\na</s>\n<|assistant|>\nb</s>\n<|user|>\nc</s>\n<|assistant|>\n",
        );
        check_family(
            "WizardLM/WizardCoder-Python-34B-V1.0",
            "be brief\n\n### Instruction:\na\n\n### Response:\nb\n\n### Instruction:\nc\n\n### Response:\n",
        );
    }

    #[test]
    fn a_model_of_no_known_family_gets_the_words_alone() {
        assert!(family::of_model("bigcode/starcoder").is_none());
        assert!(family::of_model("meta-llama/Llama-2-7b-hf").is_none());
        assert_eq!(joined(&said_by(TALK), " "), "be brief a b c");
    }

    #[test]
    fn only_a_name_that_the_operator_wrote_has_a_published_template() {
        let published =
            |model: &str, other: Option<&str>| PromptTemplate::of(model, other, OwnTemplate::default()).published;
        assert_eq!(published("huggingface/a/b", None).as_deref(), Some("a/b"));
        assert_eq!(published("huggingface/text-generation-inference/a/b", None).as_deref(), Some("a/b"));
        assert_eq!(published("huggingface/a/b", Some("c/d")).as_deref(), Some("c/d"));
        assert_eq!(published("huggingface/*", None), None);
        assert_eq!(published("replicate/a/b", None), None);
    }
}
