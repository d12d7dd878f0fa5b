//! Chat templates as the makers of models publish them: Jinja, in the `tokenizer_config.json` beside the weights. They are
//! programs, so they run within bounds: their own length, the steps they take, how deep they nest, what they make and write.

mod bounds;
mod guarded;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};
use tollgate_wire::{Failure, FailureKind, chat::Role};

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
            Err(why) => why.told(),
        },
        Err(why) => why.told(),
    }
}

fn refused(words: &str) -> Failure {
    Failure::invalid(format!("the model's chat template refuses the messages: {words}")).with_param("messages")
}

/// Why there is no prompt.
enum Refused {
    /// The template called `raise_exception`.
    ByItself(String),
    /// It went out of bounds.
    Beyond(String),
    /// It cannot be read.
    Broken,
}

impl Refused {
    fn told(self) -> Result<Option<String>, Failure> {
        match self {
            Self::ByItself(words) => Err(refused(&words)),
            Self::Beyond(words) => Err(Failure::new(
                FailureKind::Misconfigured,
                format!(
                    "the chat template that the model's makers published: {words}; give the deployment `roles` of its own"
                ),
            )),
            Self::Broken => Ok(None),
        }
    }
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
        let words: usize = turns.iter().map(|turn| turn.words.len()).sum();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let guarded = syntax.ok().and_then(|syntax| guarded::guarded(&self.template, syntax)).ok_or(Refused::Broken)?;
        let environment = environment(words);
        let template = environment.template_from_str(&guarded).map_err(|_| Refused::Broken)?;
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

/// What the templates were written for: Jinja as `transformers` sets it up, but for the white space around blocks, which
/// is gone when a template is guarded.
fn environment(words: usize) -> Environment<'static> {
    let mut environment = Environment::new();
    bounds::add(&mut environment, words);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.add_function("raise_exception", raise);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST);
    environment
}

/// A template's own refusal, told apart from its mistakes by what it begins with.
const RAISED: &str = "raise_exception: ";

fn raise(words: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, RAISED.to_owned() + words))
}

fn why(error: &Error) -> Refused {
    // Where a function of ours fails, its error is the cause of the function's.
    let detail = error.detail().unwrap_or_default();
    if let Some(words) = detail.strip_prefix(RAISED) {
        return Refused::ByItself(words.chars().take(500).collect());
    }
    match error.kind() {
        _ if detail.starts_with(bounds::BEYOND) => Refused::Beyond(detail.to_owned()),
        ErrorKind::OutOfFuel => Refused::Beyond(format!("{}the template takes too many steps", bounds::BEYOND)),
        _ if detail.starts_with("recursion limit") => {
            Refused::Beyond(format!("{}the template nests too deeply", bounds::BEYOND))
        }
        ErrorKind::WriteFailure => Refused::Beyond(format!("{}the prompt is too long", bounds::BEYOND)),
        _ => Refused::Broken,
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
    fn a_template_that_makes_too_much_fails_before_it_does() {
        let doubling = "{% set a = 'aaaaaaaa' %}".to_owned() + &"{% set a = a ~ a %}".repeat(60);
        let adding = "{% set a = 'aaaaaaaa' %}".to_owned() + &"{% set a = a + a %}".repeat(60);
        let lists = "{% set a = ['aaaaaaaa'] %}".to_owned() + &"{% set a = [a, a] %}".repeat(60) + "{{ a }}";
        let merged = "{% set a = ['aaaaaaaa'] %}".to_owned() + &"{% set a = a + a %}".repeat(60) + "{{ a|join }}";
        let captured = "{% set a = 'aaaaaaaa' %}".to_owned() + &"{% set a %}{{ a }}{{ a }}{% endset %}".repeat(60);
        for hostile in [
            doubling.as_str(),
            &adding,
            &lists,
            &merged,
            &captured,
            "{% set ns = namespace(a='aaaaaaaa') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
            "{% macro m(a, n) %}{% if n %}{{ m(a ~ a, n - 1) }}{% endif %}{% endmacro %}{{ m('aaaaaaaa', 60) }}",
            "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}",
            &format!("{{% set a %}}{{% for i in range(99999) %}}{}{{% endfor %}}{{% endset %}}", "a".repeat(1000)),
            "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
            "{{ 'xxxxxxxxxx' * 9000000 }}",
            "{{ 'a' * 10 ** 9 }}",
            "{{ 1000000000 * 'a' }}",
            "{{ 'a\n'|indent(1000000000) }}",
            "{{ [1]|tojson(indent=1000000000) }}",
            "{% set a = 'a' * 100000 %}{{ a|replace('a', a) }}",
            "{% set a = 'a' * 100000 %}{{ a.replace('a', a) }}",
            "{% set a = 'a' * 1000000 %}{{ range(1000)|join(a) }}",
        ] {
            let shown: String = hostile.chars().take(80).collect();
            let failure = rendered(hostile, TALK).err().unwrap_or_else(|| panic!("{shown} is rendered"));
            assert!(failure.message.contains("out of bounds"), "{shown}: {}", failure.message);
            assert_eq!(failure.http_status(), 500);
        }
    }

    #[test]
    fn a_template_that_is_broken_is_as_good_as_none() {
        for broken in [
            "{% for %}",
            "{{ absent.member.of }}",
            "{{ range(10 ** 9) }}",
            "{{ ('a',) * 100000000 }}",
            "{% set tollgate_said = 1 %}x",
            "{% filter upper %}x{% endfilter %}",
            "{{ f(*messages) }}",
        ] {
            assert_eq!(rendered(broken, TALK).unwrap(), None, "{broken}");
        }
        assert_eq!(rendered(&"x".repeat(LONGEST_TEMPLATE + 1), TALK).unwrap(), None);
        assert_eq!(render("no JSON", &[]).unwrap(), None);
        assert_eq!(render("{}", &[]).unwrap(), None);
    }

    /// The template as it is, unguarded.
    fn unguarded(template: &str) -> String {
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap();
        let mut plain = environment(0);
        plain.set_syntax(syntax);
        let turns: Vec<Turn> =
            TALK.iter().map(|(role, words)| Turn { role: *role, words: (*words).to_owned() }).collect();
        let published = Published { template: String::new(), bos: "<s>".to_owned(), eos: "</s>".to_owned() };
        plain.render_str(template, published.context(&turns)).unwrap()
    }

    #[test]
    fn guarding_a_template_changes_nothing_of_what_it_says() {
        for template in [
            "a{# no #} \"q\" \\ \t{{ '{{' }} ü\n",
            "{% if true %}\n  {% set a = 1 %}\n x\n  {%- endif %}  \n",
            "{{ 1 + 2 * 3 - 4 // 3 }} {{ (1 + 2) * 3 }} {{ 2 ** 3 }} {{ 7 % 4 }} {{ -1.5 * 2 }} {{ 7 / 2 }}",
            "{{ 'a' ~ 1 ~ none }} {{ [1, 2] + [3] }} {{ 'ab' * 2 }} {{ 2 * 'ab' }} {{ (1,) }} {{ {'a': 1}['a'] }}",
            "{{ not false and 1 < 2 <= 2 }} {{ 3 in [3] }} {{ 3 not in [3] }} {{ 1 if false else 2 }}{{ 1 if false }}",
            "{{ absent is defined }} {{ 4 is not divisibleby(3) }} {{ absent|default('d') }} {{ absent }}",
            "{{ messages[1:][0].content|trim|upper }} {{ messages[-1]['role'] }} {{ 'abc'[::-1] }} {{ () }}",
            "{% set ns = namespace(n=0) %}{% for m in messages if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            "{% macro m(a, b='x') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}",
            "{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% else %}none{% endfor %}{% for x in [] %}{% else %}e{% endfor %}",
            "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break %}{% else %}{{ i }}{% endif %}{% endfor %}",
            "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% set x %}<{{ 1 }}>{% endset %}{{ x }}{% set a, b = 1, 2 %}{{ b }}",
            "{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join('|') }}",
            "{{ {'a': [1, true, none]}|tojson }} {{ 'a-b'.split('-')|list|length }} {{ 'x'.startswith('x') }}",
            "{{ {'a': 1}|tojson(indent=2) }} {{ 'a\nb'|indent(2, first=true) }} {{ 'abc'|replace('b', 'x') }}",
            "{% for m in messages recursive %}{{ loop.index }}{{ loop.first }}{% if loop.last %}{{ loop([messages[0]]) if false }}{% endif %}{% endfor %}",
        ] {
            assert_eq!(rendered(template, TALK).unwrap(), Some(unguarded(template)), "{template}");
        }
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
