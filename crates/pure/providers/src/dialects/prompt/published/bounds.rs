//! What a template may make: every value that grows is weighed before it is made, and all of them together have a bound.
//! Fuel counts steps; this counts bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use minijinja::{
    Environment, Error, ErrorKind, State,
    value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs},
};

/// What a template may make beside what it makes of the words of the conversation, bytes.
const OWN: usize = 32 << 20;
/// How often it may make the words of the conversation anew.
const TIMES: usize = 32;
/// Most values that are looked at to weigh them.
const LOOKS: usize = 2_000_000;
/// Deepest list within lists.
const DEEPEST: usize = 64;
/// What a value weighs beside its text, bytes.
const EACH: usize = 16;

/// What an error of ours begins with.
pub(super) const BEYOND: &str = "out of bounds: ";

/// What is left of what one rendering may make.
struct Bounds {
    most: usize,
    bytes: AtomicUsize,
    looks: AtomicUsize,
}

/// Gives an environment the functions that [`super::guarded`] writes into templates, for one rendering of so many words.
pub(super) fn add(environment: &mut Environment<'_>, words: usize) {
    let most = OWN.saturating_add(words.saturating_mul(TIMES));
    let bounds = Arc::new(Bounds { most, bytes: AtomicUsize::new(most), looks: AtomicUsize::new(LOOKS) });
    let fits = Arc::clone(&bounds);
    environment.add_function("tollgate_fits", move |value: Value| fits.weigh(&value).map(|_| value));
    let made = Arc::clone(&bounds);
    environment.add_function("tollgate_made", move |value: Value| made.made(value));
    let said = Arc::clone(&bounds);
    environment.add_function("tollgate_said", move |value: Value| {
        said.spend(said.weigh(&value)?)?;
        Ok::<_, Error>(value)
    });
    let times = Arc::clone(&bounds);
    environment.add_function("tollgate_times", move |left: Value, right: Value| times.times(&left, &right));
    let filter = Arc::clone(&bounds);
    environment.add_function(
        "tollgate_filter",
        move |state: &mut State<'_, '_>, name: String, subject: Value, more: Rest<ValueOrKwargs>| {
            let more = more.into_values();
            filter.grows(&subject, &more)?;
            let all: Vec<Value> = std::iter::once(subject).chain(more).collect();
            filter.made(state.apply_filter(&name, &all)?)
        },
    );
    environment.add_function(
        "tollgate_method",
        move |state: &mut State<'_, '_>, name: String, subject: Value, more: Rest<ValueOrKwargs>| {
            let more = more.into_values();
            bounds.grows(&subject, &more)?;
            bounds.made(subject.call_method(state, &name, &more)?)
        },
    );
}

fn beyond(words: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{BEYOND}{words}"))
}

impl Bounds {
    fn spend(&self, bytes: usize) -> Result<(), Error> {
        let left = self.bytes.load(Ordering::Relaxed).checked_sub(bytes);
        let left = left.ok_or_else(|| beyond("the template makes too much text"))?;
        self.bytes.store(left, Ordering::Relaxed);
        Ok(())
    }

    /// A value that was made: what is within a list was counted when that was made.
    fn made(&self, value: Value) -> Result<Value, Error> {
        let items = || value.len().unwrap_or(1).saturating_mul(EACH);
        self.spend(value.as_str().map_or_else(items, |text| text.len() + EACH))?;
        self.weigh(&value)?;
        Ok(value)
    }

    /// What a value would be as text, if that is within bounds.
    fn weigh(&self, value: &Value) -> Result<usize, Error> {
        let mut weight = 0;
        self.add_to(&mut weight, value, 0)?;
        Ok(weight)
    }

    fn add_to(&self, weight: &mut usize, value: &Value, depth: usize) -> Result<(), Error> {
        let looks = self.looks.load(Ordering::Relaxed).checked_sub(1);
        self.looks.store(looks.ok_or_else(|| beyond("the template makes too many values"))?, Ordering::Relaxed);
        if depth > DEEPEST {
            return Err(beyond("the template nests too deeply"));
        }
        *weight = weight.saturating_add(value.as_str().map_or(EACH, str::len));
        if *weight > self.most {
            return Err(beyond("the template makes too much text"));
        }
        let is_list = matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map);
        // What cannot be gone through, such as a loop's own object, is not written out either.
        let (true, Some(_), Ok(items)) = (is_list, value.len(), value.try_iter()) else { return Ok(()) };
        for item in items {
            self.add_to(weight, &item, depth + 1)?;
            if value.kind() == ValueKind::Map {
                self.add_to(weight, &value.get_item(&item)?, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Whether a filter or method may be let at its subject: at the worst it puts each argument, or as many spaces as a
    /// number says, at every letter.
    fn grows(&self, subject: &Value, arguments: &[Value]) -> Result<(), Error> {
        let mut factor = 1;
        for argument in arguments {
            factor = factor.max(self.factor(argument)?);
        }
        if self.weigh(subject)?.saturating_mul(factor) > self.most {
            return Err(beyond("the template makes too much text"));
        }
        Ok(())
    }

    fn factor(&self, argument: &Value) -> Result<usize, Error> {
        match argument.kind() {
            ValueKind::Number => {
                Ok(usize::try_from(argument.as_i64().unwrap_or(1).unsigned_abs()).unwrap_or(usize::MAX))
            }
            _ if argument.is_kwargs() => {
                let named = Kwargs::try_from(argument.clone())?;
                let mut factor = 1;
                for name in named.args() {
                    factor = factor.max(self.factor(&named.peek(name)?)?);
                }
                Ok(factor)
            }
            _ => self.weigh(argument),
        }
    }

    /// Numbers multiplied, or a text so many times.
    fn times(&self, left: &Value, right: &Value) -> Result<Value, Error> {
        if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
            return left.checked_mul(right).map(Value::from).ok_or_else(|| beyond("a number is too large"));
        }
        let text = left.as_str().map(|text| (text, right)).or_else(|| right.as_str().map(|text| (text, left)));
        if let Some((text, count)) = text {
            let count = count.as_usize().ok_or_else(|| beyond("a text is taken no whole number of times"))?;
            self.spend(text.len().saturating_mul(count))?;
            return Ok(Value::from(text.repeat(count)));
        }
        let number = |value: &Value| f64::try_from(value.clone());
        Ok(Value::from(number(left)? * number(right)?))
    }
}
