//! What is known of families of models: how they were taught to tell who speaks. By name, for models whose makers' template
//! is not at hand.

use super::Frames;

/// The frames of a model's family, if it has one.
pub(super) fn of_model(name: &str) -> Option<Frames<'static>> {
    let name = name.to_lowercase();
    let found = FAMILIES.iter().find(|(words, _)| words.iter().all(|word| name.contains(word)));
    found.map(|(_, frames)| *frames)
}

/// Names (all of these words are in them) and their frames; the first that fits counts.
const FAMILIES: &[(&[&str], Frames<'static>)] = &[
    (&["llama-3", "instruct"], LLAMA_3),
    (&["llama-2", "chat"], LLAMA_2),
    (&["llama-2", "instruct"], LLAMA_2),
    (&["phind"], PHIND),
    (&["wizardcoder"], WIZARD_CODER),
    (&["codellama", "instruct"], LLAMA_2),
    (&["mistral", "instruct"], MISTRAL),
    (&["mixtral", "instruct"], MISTRAL),
    (&["zephyr"], ZEPHYR),
    (&["vicuna"], VICUNA),
    (&["falcon", "instruct"], FALCON),
    (&["falcon", "chat"], FALCON),
    (&["mpt", "chat"], CHAT_ML),
    (&["openhermes"], CHAT_ML),
    (&["qwen", "chat"], CHAT_ML),
    (&["qwen", "instruct"], CHAT_ML),
    (&["deepseek-r1"], DEEPSEEK_R1),
    (&["deepseek-coder", "instruct"], DEEPSEEK_CODER),
    (&["deepseek", "chat"], DEEPSEEK),
    (&["gemma", "it"], GEMMA),
    (&["alpaca"], ALPACA),
    (&["gryphe/myth"], ALPACA),
];

const NOTHING: Frames<'static> = Frames {
    initial: "",
    last: "",
    bos: "",
    eos: "",
    system: ("", ""),
    user: ("", ""),
    assistant: ("", ""),
    tool: ("", ""),
    trims: false,
};

const LLAMA_2: Frames<'static> = Frames {
    bos: "<s>",
    eos: "</s>",
    system: ("[INST] <<SYS>>\n", "\n<</SYS>>\n [/INST]\n"),
    user: ("[INST] ", " [/INST]\n"),
    assistant: ("", "\n"),
    tool: ("[INST] ", " [/INST]\n"),
    ..NOTHING
};

const LLAMA_3: Frames<'static> = Frames {
    initial: "<|begin_of_text|>",
    last: "<|start_header_id|>assistant<|end_header_id|>\n\n",
    system: ("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
    user: ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    assistant: ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    tool: ("<|start_header_id|>ipython<|end_header_id|>\n\n", "<|eot_id|>"),
    trims: true,
    ..NOTHING
};

const MISTRAL: Frames<'static> = Frames {
    initial: "<s>",
    system: ("[INST] \n", " [/INST]\n"),
    user: ("[INST] ", " [/INST]\n"),
    assistant: (" ", "</s> "),
    tool: ("[INST] ", " [/INST]\n"),
    ..NOTHING
};

const ZEPHYR: Frames<'static> = Frames {
    last: "<|assistant|>\n",
    system: ("<|system|>\n", "</s>\n"),
    user: ("<|user|>\n", "</s>\n"),
    assistant: ("<|assistant|>\n", "</s>\n"),
    tool: ("<|user|>\n", "</s>\n"),
    ..NOTHING
};

const CHAT_ML: Frames<'static> = Frames {
    last: "<|im_start|>assistant\n",
    system: ("<|im_start|>system\n", "<|im_end|>\n"),
    user: ("<|im_start|>user\n", "<|im_end|>\n"),
    assistant: ("<|im_start|>assistant\n", "<|im_end|>\n"),
    tool: ("<|im_start|>user\n", "<|im_end|>\n"),
    ..NOTHING
};

const VICUNA: Frames<'static> = Frames {
    last: "ASSISTANT:",
    system: ("", "\n\n"),
    user: ("USER: ", "\n"),
    assistant: ("ASSISTANT: ", "</s>\n"),
    tool: ("USER: ", "\n"),
    ..NOTHING
};

const FALCON: Frames<'static> = Frames {
    last: "Falcon:",
    system: ("System: ", "\n"),
    user: ("User: ", "\n"),
    assistant: ("Falcon: ", "\n"),
    tool: ("User: ", "\n"),
    ..NOTHING
};

const ALPACA: Frames<'static> = Frames {
    last: "### Response:\n",
    system: ("", "\n\n"),
    user: ("### Instruction:\n", "\n\n"),
    assistant: ("### Response:\n", "\n\n"),
    tool: ("### Instruction:\n", "\n\n"),
    ..NOTHING
};

/// Alpaca's words, which `WizardCoder` was taught with.
const WIZARD_CODER: Frames<'static> = ALPACA;

const PHIND: Frames<'static> = Frames {
    last: "### Assistant\n",
    system: ("### System Prompt\n", "\n\n"),
    user: ("### User Message\n", "\n\n"),
    assistant: ("### Assistant\n", "\n\n"),
    tool: ("### User Message\n", "\n\n"),
    ..NOTHING
};

const DEEPSEEK_R1: Frames<'static> = Frames {
    initial: "<｜begin▁of▁sentence｜>",
    last: "<｜Assistant｜>",
    user: ("<｜User｜>", ""),
    assistant: ("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    tool: ("<｜User｜>", ""),
    ..NOTHING
};

const DEEPSEEK_CODER: Frames<'static> = Frames {
    last: "### Response:\n",
    system: ("", "\n"),
    user: ("### Instruction:\n", "\n"),
    assistant: ("### Response:\n", "\n<|EOT|>\n"),
    tool: ("### Instruction:\n", "\n"),
    ..NOTHING
};

const DEEPSEEK: Frames<'static> = Frames {
    initial: "<｜begin▁of▁sentence｜>",
    last: "Assistant:",
    system: ("", "\n\n"),
    user: ("User: ", "\n\n"),
    assistant: ("Assistant: ", "<｜end▁of▁sentence｜>"),
    tool: ("User: ", "\n\n"),
    ..NOTHING
};

const GEMMA: Frames<'static> = Frames {
    initial: "<bos>",
    last: "<start_of_turn>model\n",
    system: ("<start_of_turn>user\n", "<end_of_turn>\n"),
    user: ("<start_of_turn>user\n", "<end_of_turn>\n"),
    assistant: ("<start_of_turn>model\n", "<end_of_turn>\n"),
    tool: ("<start_of_turn>user\n", "<end_of_turn>\n"),
    trims: true,
    ..NOTHING
};
