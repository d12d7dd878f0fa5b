//! The data file as it lies in the binary: sorted lines, found by halving, parsed when asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

/// The text of a data file; `scripts/import-prices` writes it, and its head says how to read it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Short first words of keys, and the words they stand for.
    words: Vec<(&'static str, &'static str)>,
    /// The rows, sorted by name as bytes; each ends with a line feed.
    rows: Arc<Cow<'static, str>>,
}

/// One model, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    pub(crate) name: &'t str,
    /// The provider as the source spells it (`vertex_ai-language-models`).
    pub(crate) provider: Option<&'t str>,
    mode: Option<&'t str>,
    fields: &'t str,
}

impl Table {
    /// Takes a data file; only its head is read.
    pub(crate) fn new(text: &'static str) -> Table {
        let (head, rows) = text.split_once("\n\n").unwrap_or(("", text));
        let words = head.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
        Table { words: words.collect(), rows: Arc::new(Cow::Borrowed(rows)) }
    }

    /// Makes a table of models in JSON, as the source writes them: `{name: {fact: value}}`. What is no model, and names that a
    /// line cannot hold, are left out.
    pub(crate) fn of_map(map: &Map<String, Value>) -> Table {
        let is_plain = |text: &str| !text.is_empty() && !text.contains(['\t', '\n', '\r']);
        let models = map.iter().filter_map(|(name, facts)| Some((name.as_str(), facts.as_object()?)));
        let sorted: BTreeMap<&str, &Map<String, Value>> = models.filter(|(name, _)| is_plain(name)).collect();
        let mut rows = String::new();
        for (name, facts) in sorted {
            let column =
                |key: &str| facts.get(key).and_then(Value::as_str).filter(|text| is_plain(text)).unwrap_or("-");
            rows.push_str(name);
            for key in COLUMNS {
                rows.push('\t');
                rows.push_str(column(key));
            }
            let is_fact = |key: &str| is_plain(key) && !key.contains(['=', '!']) && !COLUMNS.contains(&key);
            for (key, value) in facts.iter().filter(|(key, value)| is_fact(key) && !value.is_null()) {
                // JSON writes tabs and line feeds as escapes.
                rows.push_str(&format!("\t{key}={value}"));
            }
            rows.push('\n');
        }
        Table { words: Vec::new(), rows: Arc::new(Cow::Owned(rows)) }
    }

    /// The row of this name.
    pub(crate) fn row(&self, name: &str) -> Option<Row<'_>> {
        self.rows_from(name).next().filter(|row| row.name == name)
    }

    /// Every row, by name.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.lines().filter_map(Row::read)
    }

    /// The rows whose name begins so.
    pub(crate) fn rows_beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = Row<'a>> {
        self.rows_from(prefix).take_while(move |row| row.name.starts_with(prefix))
    }

    /// The rows from the first whose name is not before this one.
    fn rows_from<'a>(&'a self, name: &str) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.rows.get(self.first_not_before(name)..).unwrap_or_default().lines().filter_map(Row::read)
    }

    /// Where that row begins. `low` and `high` are always beginnings of rows, or the end.
    fn first_not_before(&self, name: &str) -> usize {
        let (mut low, mut high) = (0, self.rows.len());
        while low < high {
            let begin = self.row_begin(low, low.midpoint(high));
            let line = self.rows.get(begin..).and_then(|rows| rows.lines().next()).unwrap_or_default();
            let row_name = line.split('\t').next().unwrap_or_default();
            if row_name < name {
                low = (begin + line.len() + 1).min(high);
            } else {
                high = begin;
            }
        }
        low
    }

    /// Where the row around this byte begins, not before `low`.
    fn row_begin(&self, low: usize, byte: usize) -> usize {
        let before = self.rows.as_bytes().get(low..byte).unwrap_or_default();
        before.iter().rposition(|byte| *byte == b'\n').map_or(low, |feed| low + feed + 1)
    }

    /// The facts of a row under the names of the source; `None` if a field cannot be read.
    pub(crate) fn facts(&self, row: Row<'_>) -> Option<Map<String, Value>> {
        let mut facts = Map::new();
        let columns = COLUMNS.into_iter().zip([row.provider, row.mode]);
        facts.extend(columns.filter_map(|(key, value)| Some((key.to_owned(), value?.into()))));
        for field in row.fields.split('\t').filter(|field| !field.is_empty()) {
            let (key, value) = match field.split_once('=') {
                Some((key, json)) => (key, read_json(json)?),
                None => (field.trim_start_matches('!'), Value::Bool(!field.starts_with('!'))),
            };
            facts.insert(self.key(key), value);
        }
        Some(facts)
    }

    /// The key in full.
    fn key(&self, written: &str) -> String {
        let first = written.split('_').next().unwrap_or_default();
        let long = self.words.iter().find_map(|(short, long)| (*short == first).then_some(*long));
        match (long, written.get(first.len()..)) {
            (Some(long), Some(rest)) => format!("{long}{rest}"),
            _ => written.to_owned(),
        }
    }
}

/// The facts that have a place of their own in each row.
const COLUMNS: [&str; 2] = ["litellm_provider", "mode"];

/// Reads JSON; a number that stands alone to the last digit, which `serde_json` does not promise.
fn read_json(text: &str) -> Option<Value> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return serde_json::from_str(text).ok();
    }
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
    }
}

impl<'t> Row<'t> {
    fn read(line: &'t str) -> Option<Row<'t>> {
        let mut columns = line.splitn(4, '\t');
        let stated = |word: &'t str| (word != "-").then_some(word);
        Some(Row {
            name: columns.next()?,
            provider: columns.next().map(stated)?,
            mode: columns.next().map(stated)?,
            fields: columns.next().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SAMPLE: &str = "# says how\nIN\tinput_cost_per_token\nS\tsupports\n\n\
        a\tp\tchat\tIN=2.5e-6\tIN_batches=1e-6\tS_vision\t!S_audio_input\tlabels=[\"x\",\"y=z\"]\n\
        a-1\t-\t-\n\
        b\tq\tembedding\tINPUT_x=1\n";

    #[test]
    fn a_row_is_found_by_its_whole_name_only() {
        let table = Table::new(SAMPLE);
        for name in ["a", "a-1", "b"] {
            assert_eq!(table.row(name).map(|row| row.name), Some(name));
        }
        for name in ["", "a-", "a-2", "aa", "c", "A", "b\t"] {
            assert_eq!(table.row(name), None, "{name}");
        }
        let names: Vec<_> = table.rows_beginning("a").map(|row| row.name).collect();
        assert_eq!(names, ["a", "a-1"]);
    }

    #[test]
    fn fields_become_facts_under_their_full_names() {
        let table = Table::new(SAMPLE);
        let facts = |name| table.facts(table.row(name).unwrap()).unwrap();
        let expected = json!({
            "litellm_provider": "p", "mode": "chat", "input_cost_per_token": 2.5e-6,
            "input_cost_per_token_batches": 1e-6, "supports_vision": true, "supports_audio_input": false,
            "labels": ["x", "y=z"],
        });
        assert_eq!(Value::Object(facts("a")), expected);
        assert!(facts("a-1").is_empty());
        assert_eq!(facts("b").get("INPUT_x"), Some(&json!(1)));
    }

    #[test]
    fn a_map_in_json_becomes_the_same_rows() {
        let Value::Object(map) = json!({
            "b": {"litellm_provider": "q", "input_cost_per_token": 2.9999900000000002e-6, "labels": ["x\ty", "=", "\n"]},
            "a": {"litellm_provider": "p", "mode": "chat", "supports_vision": true, "supports_x": false, "nothing": null},
            "a\tb": {"mode": "chat"}, "no model": 7, "c": {"mode": "a\nb"},
        }) else {
            panic!("not an object")
        };
        let table = Table::of_map(&map);
        let facts = |name| table.row(name).and_then(|row| table.facts(row)).map(Value::Object);
        assert_eq!(facts("b"), map.get("b").cloned());
        let a = json!({"litellm_provider": "p", "mode": "chat", "supports_vision": true, "supports_x": false});
        assert_eq!(facts("a"), Some(a));
        assert_eq!(facts("c"), Some(json!({})));
        assert_eq!(table.rows().count(), 3);
    }

    #[test]
    fn numbers_are_read_to_the_last_digit() {
        for (text, number) in
            [("2.9999900000000002e-6", 2.999_990_000_000_000_2e-6), ("-0.5", -0.5), ("2048.0", 2048.0)]
        {
            assert_eq!(read_json(text).unwrap().as_f64().unwrap().to_bits(), f64::to_bits(number));
        }
        assert_eq!(read_json("2048"), Some(json!(2048)));
        assert_eq!(read_json("-inf"), None);
    }

    #[test]
    fn a_field_that_is_no_json_is_noticed() {
        let table = Table::new("\n\na\tp\tchat\tx=1e\n");
        assert_eq!(table.facts(table.row("a").unwrap()), None);
    }

    #[test]
    fn an_empty_table_has_no_rows() {
        assert_eq!(Table::new("").row("a"), None);
        assert_eq!(Table::new("# head\n\n").rows().count(), 0);
    }
}
