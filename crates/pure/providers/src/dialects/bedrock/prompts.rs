//! Conversations as the one prompt that older families take, each with the marks it was trained on.

use tollgate_wire::chat::{Message, Role};

use crate::dialects::anthropic_complete::words;

/// Marks before and after what each role says.
pub(super) struct Marks {
    begin: &'static str,
    system: (&'static str, &'static str),
    user: (&'static str, &'static str),
    assistant: (&'static str, &'static str),
    end: &'static str,
}

/// Llama 3, as Meta's model card has it.
pub(super) const LLAMA_3: Marks = Marks {
    begin: "<|begin_of_text|>",
    system: ("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
    user: ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    assistant: ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    end: "<|start_header_id|>assistant<|end_header_id|>\n\n",
};
/// Llama 2's chat.
pub(super) const LLAMA_2: Marks = Marks {
    begin: "<s>",
    system: ("[INST] <<SYS>>\n", "\n<</SYS>>\n [/INST]\n"),
    user: ("[INST] ", " [/INST]\n"),
    assistant: ("", "\n</s>"),
    end: "",
};
/// Mistral's instruct models.
pub(super) const MISTRAL: Marks = Marks {
    begin: "<s>",
    system: ("[INST] \n", " [/INST]\n"),
    user: ("[INST] ", " [/INST]\n"),
    assistant: (" ", "</s> "),
    end: "",
};
/// Amazon's Titan.
pub(super) const TITAN: Marks = Marks {
    begin: "",
    system: ("\n\nUser: <admin>", "</admin>"),
    user: ("\n\nUser: ", ""),
    assistant: ("\n\nBot: ", ""),
    end: "\n\nBot: ",
};
/// `DeepSeek` R1, as its model card has it.
pub(super) const DEEPSEEK: Marks = Marks {
    begin: "<｜begin▁of▁sentence｜>",
    system: ("", ""),
    user: ("<｜User｜>", ""),
    assistant: ("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    end: "<｜Assistant｜>",
};
/// Qwen's, and whoever took it over.
pub(super) const CHATML: Marks = Marks {
    begin: "",
    system: ("<|im_start|>system\n", "<|im_end|>\n"),
    user: ("<|im_start|>user\n", "<|im_end|>\n"),
    assistant: ("<|im_start|>assistant\n", "<|im_end|>\n"),
    end: "<|im_start|>assistant\n",
};

impl Marks {
    /// The conversation as one prompt.
    pub(super) fn prompt(&self, messages: &[Message]) -> String {
        let mut prompt = self.begin.to_owned();
        for message in messages {
            let (before, after) = match message.role {
                Role::System => self.system,
                Role::User | Role::Tool => self.user,
                Role::Assistant => self.assistant,
            };
            prompt.extend([before, &words(&message.parts), after]);
        }
        prompt + self.end
    }
}

/// What is said, one after the other, for models without marks.
pub(in crate::dialects) fn joined(messages: &[Message]) -> String {
    messages.iter().map(|message| words(&message.parts)).collect::<Vec<_>>().join(" ")
}
