//! Chat templates as the makers of models publish them: Jinja, in the `tokenizer_config.json` beside the weights. They are
//! programs, so they run within bounds: their own length, the steps they take, how deep they nest, what they write.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};
use tollgate_wire::{Failure, chat::Role};

use super::Turn;

/// Longest template, bytes; the longest in use are around 20 KiB.
const LONGEST_TEMPLATE: usize = 128 << 10;
/// Most steps of a rendering. A template takes some dozen for a turn.
const FUEL: u64 = 2_000_000;
/// Deepest nesting of macros and includes.
const DEEPEST: usize = 64;
/// What a template may write beside the words of the conversation, bytes.
const OWN_WORDS: usize = 1 << 20;

/// Where a model's template is.
pub(super) fn address(model: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (owner, name) = model.split_once('/')?;
    let is_name = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    (is_name(owner) && is_name(name)).then(|| format!("https://huggingface.co/{model}/raw/main/tokenizer_config.json"))
}

/// The prompt that the template makes of these turns; `None` where there is no template, or none that can be run.
///
/// # Errors
/// When the template itself refuses the conversation.
pub(super) fn render(tokenizer_config: &str, turns: &[Turn]) -> Result<Option<String>, Failure> {
    let Some(published) = Published::read(tokenizer_config) else { return Ok(None) };
    match published.run(turns) {
        Ok(prompt) => Ok(Some(prompt)),
        // Many templates know no operator, or want turns to alternate: once more with the turns put together.
        Err(Refused::ByItself(_)) => match published.run(&alternating(turns)) {
            Ok(prompt) => Ok(Some(prompt)),
            Err(Refused::ByItself(words)) => Err(refused(&words)),
            Err(Refused::Broken) => Ok(None),
        },
        Err(Refused::Broken) => Ok(None),
    }
}

fn refused(words: &str) -> Failure {
    Failure::invalid(format!("the model's chat template refuses the messages: {words}")).with_param("messages")
}

/// Why there is no prompt.
enum Refused {
    /// The template called `raise_exception`.
    ByItself(String),
    /// It cannot be read, or went out of bounds.
    Broken,
}

struct Published {
    template: String,
    bos: String,
    eos: String,
}

impl Published {
    fn read(tokenizer_config: &str) -> Option<Self> {
        let config: serde_json::Value = serde_json::from_str(tokenizer_config).ok()?;
        let template = match config.get("chat_template")? {
            serde_json::Value::String(template) => template.clone(),
            // Several templates by name.
            serde_json::Value::Array(named) => {
                let found = named.iter().find(|one| one.get("name").is_some_and(|name| name == "default"));
                found.or(named.first())?.get("template")?.as_str()?.to_owned()
            }
            _ => return None,
        };
        let token = |name: &str| match config.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(token) => token.get("content").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
            None => String::new(),
        };
        (template.len() <= LONGEST_TEMPLATE).then(|| Self {
            template,
            bos: token("bos_token"),
            eos: token("eos_token"),
        })
    }

    fn run(&self, turns: &[Turn]) -> Result<String, Refused> {
        let environment = environment().map_err(|_| Refused::Broken)?;
        let template = environment.template_from_str(&self.template).map_err(|_| Refused::Broken)?;
        let words: usize = turns.iter().map(|turn| turn.words.len()).sum();
        let mut out = Bounded { written: Vec::new(), room: words.saturating_mul(2).saturating_add(OWN_WORDS) };
        let rendered = template.render_captured_to(self.context(turns), &mut out).map(|_| ());
        rendered.map_err(|error| why(&error))?;
        String::from_utf8(out.written).map_err(|_| Refused::Broken)
    }

    fn context(&self, turns: &[Turn]) -> Value {
        let messages: Vec<Value> = turns.iter().map(message).collect();
        Value::from(BTreeMap::from([
            ("messages", Value::from(messages)),
            ("bos_token", Value::from(&self.bos)),
            ("eos_token", Value::from(&self.eos)),
            ("add_generation_prompt", Value::from(true)),
        ]))
    }
}

fn message(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    Value::from(BTreeMap::from([("role", Value::from(role)), ("content", Value::from(&turn.words))]))
}

/// What the templates were written for: Jinja as `transformers` sets it up.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_function("raise_exception", raise);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    Ok(environment)
}

/// A template's own refusal, told apart from its mistakes by what it begins with.
const RAISED: &str = "raise_exception: ";

fn raise(words: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, RAISED.to_owned() + words))
}

fn why(error: &Error) -> Refused {
    match error.detail().and_then(|detail| detail.strip_prefix(RAISED)) {
        Some(words) => Refused::ByItself(words.chars().take(500).collect()),
        None => Refused::Broken,
    }
}

/// What is written, within bounds.
struct Bounded {
    written: Vec<u8>,
    room: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written.len().saturating_add(bytes.len()) > self.room {
            return Err(io::Error::other("the prompt is too long"));
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same words as user and assistant by turns, the user first: what the operator or a tool says is the user's.
fn alternating(turns: &[Turn]) -> Vec<Turn> {
    let mut out: Vec<Turn> = Vec::with_capacity(turns.len());
    for turn in turns {
        let role = if turn.role == Role::Assistant { Role::Assistant } else { Role::User };
        match out.last_mut() {
            Some(last) if last.role == role => {
                last.words.push_str("\n\n");
                last.words.push_str(&turn.words);
            }
            None if role == Role::Assistant => {
                out.push(Turn { role: Role::User, words: String::new() });
                out.push(Turn { role, words: turn.words.clone() });
            }
            _ => out.push(Turn { role, words: turn.words.clone() }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(template: &str, talk: &[(Role, &str)]) -> Result<Option<String>, Failure> {
        let config =
            json!({"chat_template": template, "bos_token": "<s>", "eos_token": {"content": "</s>"}}).to_string();
        let turns: Vec<Turn> =
            talk.iter().map(|(role, words)| Turn { role: *role, words: (*words).to_owned() }).collect();
        render(&config, &turns)
    }

    const TALK: &[(Role, &str)] =
        &[(Role::System, "s"), (Role::User, " a "), (Role::Assistant, "b"), (Role::User, "c")];

    #[test]
    fn a_published_template_is_run_as_transformers_runs_it() {
        // Zephyr's way of writing: blocks on lines of their own.
        let zephyr = "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";
        let expected = "<|system|>\ns</s>\n<|user|>\n a </s>\n<|assistant|>\nb</s>\n<|user|>\nc</s>\n<|assistant|>\n";
        assert_eq!(rendered(zephyr, TALK).unwrap().as_deref(), Some(expected));
        // Llama's: methods of Python's strings, a loop's own condition, a slice.
        let llama = "{{ bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set said = messages[0]['content'].strip() %}{%- set messages = messages[1:] %}{%- else %}{%- set said = '' %}{%- endif %}[{{ said }}]{% for m in messages if m.content %}{{ m.role.upper() }}:{{ m['content']|trim }};{% endfor %}{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% endif %}";
        assert_eq!(rendered(llama, TALK).unwrap().as_deref(), Some("<s>[s]USER:a;ASSISTANT:b;USER:c;"));
    }

    #[test]
    fn a_template_that_knows_no_operator_gets_the_turns_put_together() {
        let strict = "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.role }}={{ m.content }};{% endfor %}";
        assert_eq!(rendered(strict, TALK).unwrap().as_deref(), Some("user=s\n\n a ;assistant=b;user=c;"));
    }

    #[test]
    fn what_a_template_refuses_is_the_clients_mistake() {
        let failure = rendered("{{ raise_exception('never') }}", TALK).unwrap_err();
        assert!(failure.message.ends_with("refuses the messages: never"), "{}", failure.message);
        assert_eq!(failure.http_status(), 400);
    }

    #[test]
    fn a_template_that_is_broken_or_goes_out_of_bounds_is_as_good_as_none() {
        for broken in [
            "{% for %}",
            "{{ absent.member.of }}",
            "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}",
            "{{ 'xxxxxxxxxx' * 9000000 }}",
            "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        ] {
            assert_eq!(rendered(broken, TALK).unwrap(), None, "{broken}");
        }
        assert_eq!(rendered(&"x".repeat(LONGEST_TEMPLATE + 1), TALK).unwrap(), None);
        assert_eq!(render("no JSON", &[]).unwrap(), None);
        assert_eq!(render("{}", &[]).unwrap(), None);
    }

    #[test]
    fn several_templates_have_a_default() {
        let config = json!({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]});
        assert_eq!(render(&config.to_string(), &[]).unwrap().as_deref(), Some("d"));
    }

    #[test]
    fn an_address_is_made_of_plain_names_only() {
        assert!(address("HuggingFaceH4/zephyr-7b-beta").is_some());
        for name in ["zephyr", "a/b/c", "../x", "a/..", "a/b?c", "a/b#", "a b/c", "/b", "a/"] {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
