//! From parser events to the tree: anchors, merge keys, duplicate keys, and the bounds of all three.

use std::{collections::HashMap, sync::Arc};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};

use super::{Entry, Node, Value, repair, scalar};
use crate::{Finding, Location};

/// The largest file that is read: 4 MiB, some fifty times the largest configuration seen in the wild.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// How deep mappings and lists may be nested.
pub const MAX_DEPTH: usize = 64;
/// What the tree may take once aliases are expanded: 32 MiB. This is what stops an alias bomb.
pub const MAX_EXPANDED_BYTES: usize = 32 << 20;

/// What a node costs apart from its text, roughly: its own size and its place.
const NODE_BYTES: usize = 96;

/// Reads `text`; the one finding of a file that cannot be read names the cause and, where it can, the line as meant.
pub(crate) fn read(file: &str, text: &str) -> Result<Node, Finding> {
    // Editors on Windows put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", text.len());
        return Err(Finding::fatal("", &Location::whole(file), message));
    }
    read_tree(file, text).map_err(|failure| repair::explain(&failure, text, |candidate| read_tree(file, candidate)))
}

/// Why a text is not YAML as we take it.
pub(crate) struct Failure {
    pub(crate) at: Location,
    pub(crate) message: String,
    /// Whether the layout is at fault, so that a line moved left or right may heal it.
    pub(crate) layout: bool,
}

fn read_tree(file: &str, text: &str) -> Result<Node, Failure> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options),
        file: Arc::from(file),
        anchors: HashMap::new(),
        left: MAX_EXPANDED_BYTES,
    };
    reader.document()
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: Arc<str>,
    anchors: HashMap<usize, (Node, usize)>,
    /// Bytes that the tree may still grow by.
    left: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Failure> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(self.failure(span, "a second document begins here; a configuration is one document"));
                }
                Event::DocumentStart(..) => {}
                other => root = Some(self.node(other, span, 0)?),
            }
        }
        let start = Location { file: Arc::clone(&self.file), line: 1, column: 1 };
        Ok(root.unwrap_or(Node { value: Value::Null, at: start }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Failure> {
        if depth > MAX_DEPTH {
            return Err(self.failure(span, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.left;
        let at = self.location(span);
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(NODE_BYTES + text.len(), span)?;
                (self.scalar(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.core_tag(tag.as_deref(), span)?;
                self.spend(NODE_BYTES, span)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.core_tag(tag.as_deref(), span)?;
                self.spend(NODE_BYTES, span)?;
                (self.map(depth)?, anchor)
            }
            _ => return Err(self.failure(span, "a value was expected here")),
        };
        let node = Node { value, at };
        if anchor > 0 {
            let size = before - self.left;
            self.spend(size, span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Failure> {
        let Some(size) = self.anchors.get(&id).map(|(_, size)| *size) else {
            return Err(self.failure(span, "this alias stands inside the value that it names"));
        };
        self.spend(size, span)?;
        match self.anchors.get(&id) {
            Some((node, _)) => Ok(node.clone()),
            None => Err(self.failure(span, "this alias names nothing")),
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, Failure> {
        self.core_tag(tag, span)?;
        let kind = tag.map(Tag::core_suffix);
        Ok(match (style, kind) {
            (_, Some(Some("str"))) => Value::Text(text.to_owned()),
            (ScalarStyle::Plain, _) | (_, Some(Some(_))) => scalar::meaning(text),
            _ => Value::Text(text.to_owned()),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Failure> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Failure> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, u32> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merges = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if merges {
                self.merge(value, &mut merged, span)?;
                continue;
            }
            let name = self.key_name(key.value, span)?;
            if let Some(line) = seen.insert(name.clone(), key.at.line) {
                return Err(
                    self.failure(span, &format!("the key {name} is here for the second time; first on line {line}"))
                );
            }
            entries.push(Entry { key: name, at: key.at, value });
        }
        // A key of the mapping itself wins over one merged in.
        entries.extend(merged.into_iter().filter(|entry| seen.insert(entry.key.clone(), 0).is_none()));
        Ok(Value::Map(entries))
    }

    fn merge(&self, value: Node, merged: &mut Vec<Entry>, span: Span) -> Result<(), Failure> {
        match value.value {
            Value::Map(entries) => merged.extend(entries),
            Value::List(items) => {
                for item in items {
                    match item.value {
                        Value::Map(entries) => merged.extend(entries),
                        _ => return Err(self.failure(span, "`<<` merges mappings only")),
                    }
                }
            }
            _ => return Err(self.failure(span, "`<<` merges mappings only")),
        }
        Ok(())
    }

    fn key_name(&self, value: Value, span: Span) -> Result<String, Failure> {
        match value {
            Value::Text(text) => Ok(text),
            Value::Number(_, written) => Ok(written),
            Value::Flag(flag) => Ok(flag.to_string()),
            Value::Null => Err(self.failure(span, "a key is missing before the colon")),
            Value::List(_) | Value::Map(_) => Err(self.failure(span, "a key must be a text")),
        }
    }

    /// Refuses tags that are not YAML's own, as Python's safe loader does.
    fn core_tag(&self, tag: Option<&Tag>, span: Span) -> Result<(), Failure> {
        match tag {
            Some(tag) if !tag.is_yaml_core_schema() && tag.suffix() != "" => {
                Err(self.failure(span, &format!("the tag {} is not known", tag.original())))
            }
            _ => Ok(()),
        }
    }

    fn spend(&mut self, bytes: usize, span: Span) -> Result<(), Failure> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                let message = format!("with its aliases expanded the file takes more than {MAX_EXPANDED_BYTES} bytes");
                Err(Failure { layout: false, ..self.failure(span, &message) })
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Failure> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => {
                let span = Span::empty(*error.marker());
                Err(Failure { layout: true, ..self.failure(span, &error.info()) })
            }
            None => Err(self.failure(Span::default(), "the file ends too early")),
        }
    }

    fn failure(&self, span: Span, message: &str) -> Failure {
        Failure { at: self.location(span), message: message.to_owned(), layout: false }
    }

    fn location(&self, span: Span) -> Location {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Location {
            file: Arc::clone(&self.file),
            line: number(span.start.line()),
            column: number(span.start.col()).saturating_add(1),
        }
    }
}
