//! Windows: a scope and when its window began. They are keys, never counters that are set to zero.

use std::collections::BTreeSet;

use crate::{
    EpochMs, NanoDollars, Store, StoreError,
    session::{Columns, Read},
    statement::{Draft, Value},
    values::Field,
};

/// How many scopes one question names at most.
const SCOPES_AT_ONCE: usize = 500;

/// A window of a scope. Two windows of one scope that may begin in the same moment have different kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// What is limited: `key`, `user`, `team` and so on, by the names that their changes have.
    pub kind: String,
    /// Which one: for a key, its origin.
    pub id: String,
    /// When the window began; zero for all time.
    pub start: EpochMs,
}

/// The windows of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(pub Vec<Window>);

impl Windows {
    /// Each window once: what is booked twice into one would be counted twice.
    pub(crate) fn each(&self) -> BTreeSet<&Window> {
        self.0.iter().collect()
    }
}

/// What was settled and what is unknown in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The window.
    pub window: Window,
    /// What was settled.
    pub settled: NanoDollars,
    /// What is held for attempts of which nobody knows.
    pub unknown: NanoDollars,
}

impl Store {
    /// The totals of scopes, each a kind and an id, in all of their windows.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn totals_of(&self, scopes: &[(String, String)]) -> Result<Vec<Total>, StoreError> {
        self.within(async {
            let (mut db, mut totals) = (self.reader().await?, Vec::new());
            for some in scopes.chunks(SCOPES_AT_ONCE) {
                let mut draft =
                    Draft::new("SELECT kind, id, window_start, settled, unknown FROM totals WHERE (kind, id) IN (");
                for (number, (kind, id)) in some.iter().enumerate() {
                    draft.push(if number == 0 { "" } else { ", " }).tuple([kind.as_str().into(), id.as_str().into()]);
                }
                draft.push(")");
                totals.extend(db.all::<Total>(draft.done()).await?);
            }
            Ok(totals)
        })
        .await
    }
}

impl Read for Window {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { kind: Field::take(columns)?, id: Field::take(columns)?, start: Field::take(columns)? })
    }
}

impl Read for Total {
    fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { window: Window::read(columns)?, settled: Field::take(columns)?, unknown: Field::take(columns)? })
    }
}

/// A line for each window, its parts with tabs between them.
impl Field for Windows {
    fn take(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        let text = String::take(columns)?;
        let windows: Option<Vec<Window>> = text.lines().map(parsed).collect();
        windows.map(Self).ok_or_else(|| StoreError::Broken("the windows of a row cannot be read".to_owned()))
    }

    fn give(&self) -> Value {
        let line = |window: &Window| format!("{}\t{}\t{}\n", marked(&window.kind), marked(&window.id), window.start.0);
        Value::Text(Some(self.0.iter().map(line).collect()))
    }
}

fn parsed(line: &str) -> Option<Window> {
    let mut parts = line.split('\t');
    let (kind, id, start) = (unmarked(parts.next()?)?, unmarked(parts.next()?)?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(Window { kind, id, start: EpochMs(start) })
}

/// Ids are whatever people write: what ends a part or a line is marked.
fn marked(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unmarked(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next()? {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_survives_whatever_an_id_is() {
        for id in ["", "a", "\t", "\n", "\\", "\\n", "a\r\n\tb\\\\t", "ä\u{2028}"] {
            let window = Window { kind: "key".to_owned(), id: id.to_owned(), start: EpochMs(-5) };
            let Value::Text(Some(text)) = Windows(vec![window.clone()]).give() else { panic!("no text") };
            assert_eq!(text.lines().map(parsed).collect::<Vec<_>>(), [Some(window)], "{id:?}");
        }
        for wrong in ["a\tb", "a\tb\tc", "a\tb\t1\t2", "a\\x\tb\t1"] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
