//! Spoiled input: seeds changed at random, in bytes or in the structure of their JSON, given to a reader that must bear
//! them. Each target runs `FUZZ_SECONDS` (5) from `FUZZ_SEED` (the same each time, so that a failure repeats).

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

/// One input must be done within this, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Chance that repeats: xorshift.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below this, 0 below 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.roll() % (bound.max(1) as u64)).expect("below a usize")
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

/// What stands where something else was expected.
fn odd(dice: &mut Dice) -> Value {
    let odd = [
        "null",
        "true",
        "0",
        "-1",
        "1e308",
        "18446744073709551616",
        "0.5",
        "\"\"",
        "\"x\"",
        "\"\\u0000\\ud83d\\ude00\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "[{}]",
        "{\"\":null}",
        "[1,\"a\",{}]",
        "{\"type\":\"text\"}",
        "{\"type\":null}",
        "\"data:image/png;base64,@@@\"",
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:,\"}}",
        "{\"role\":\"tool\"}",
        "\"{\\\"a\\\":\"",
        "9007199254740993",
    ];
    serde_json::from_str(dice.pick(&odd).expect("there are some")).expect("they are JSON")
}

/// Changes one place of a document: replaces, removes, doubles, moves, nests.
pub fn spoil(value: &mut Value, dice: &mut Dice) {
    let deeper = dice.below(4) != 0;
    match value {
        Value::Object(members) if deeper && !members.is_empty() => {
            let at = dice.below(members.len());
            let name = members.keys().nth(at).expect("within").clone();
            match dice.below(12) {
                0 => drop(members.shift_remove(&name)),
                1 => {
                    let moved = members.shift_remove(&name).expect("it is there");
                    members.insert(format!("{name}x"), moved);
                }
                _ => spoil(&mut members[&name], dice),
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = dice.below(items.len());
            match dice.below(12) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => {
                    let other = dice.below(items.len());
                    items.swap(at, other);
                }
                3 => items.insert(at, odd(dice)),
                _ => spoil(&mut items[at], dice),
            }
        }
        Value::String(text) if dice.below(3) == 0 => {
            let at = dice.below(text.len() + 1);
            if text.is_char_boundary(at) {
                text.insert(at, *dice.pick(&['\0', '"', '\\', 'ü', '\u{1f600}', ' ', '<', '{']).expect("some"));
            }
        }
        other if dice.below(8) == 0 => *other = Value::Array(vec![other.take()]),
        other => *other = odd(dice),
    }
}

/// Changes bytes: flips, cuts, doubles, splices.
pub fn garble(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => {
                let piece = bytes[at..(at + dice.below(64)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => drop(bytes.drain(at..(at + dice.below(32)).min(bytes.len()))),
            4 => {
                let pieces = [&b"\n\n"[..], b"data: ", b"\r", b"}", b"\xff\xfe", b"null"];
                bytes.splice(at..at, dice.pick(&pieces).expect("some").iter().copied());
            }
            5 if !other.is_empty() => {
                let from = dice.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ if !bytes.is_empty() => bytes[at] = *dice.pick(b"{}[]\":,0\n \\").expect("some"),
            _ => {}
        }
    }
}

fn seconds() -> Duration {
    let asked = env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs_f64(asked.unwrap_or(5.0))
}

/// Runs a target over its saved corpus (files below `corpus/<name>/`) and over changed `seeds` until its time is up.
/// Fails the test when an input panics or takes too long; the input is kept in the system's folder for temporary files.
pub fn run(
    corpus: &str,
    name: &str,
    seeds: &[Vec<u8>],
    change: impl Fn(&mut Vec<u8>, &[u8], &mut Dice),
    target: impl Fn(&[u8]),
) {
    assert!(!seeds.is_empty(), "{name} has nothing to begin with");
    let saved = fs::read_dir(Path::new(corpus).join(name)).into_iter().flatten();
    for file in saved.filter_map(Result::ok) {
        attempt(name, &fs::read(file.path()).expect("a file of the corpus"), &target);
    }
    for seed in seeds {
        attempt(name, seed, &target);
    }
    let given = env::var("FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let mut dice = Dice(given.unwrap_or(0x9e37_79b9_7f4a_7c15_u64) | 1);
    let (begun, mut tried) = (Instant::now(), 0_u64);
    while begun.elapsed() < seconds() {
        let mut input = dice.pick(seeds).expect("some").clone();
        let other = dice.pick(seeds).expect("some").clone();
        change(&mut input, &other, &mut dice);
        attempt(name, &input, &target);
        tried += 1;
    }
    report(name, tried);
}

fn attempt(name: &str, input: &[u8], target: impl Fn(&[u8])) {
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = begun.elapsed();
    if outcome.is_err() || took > PATIENCE {
        let folder = env::temp_dir().join("tollgate-fuzz").join(name);
        let file = folder.join(format!("{:016x}", hash(input)));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, input));
        panic!(
            "{name}: {} after {took:?}; kept as {} ({kept:?})",
            if outcome.is_err() { "panic" } else { "slow" },
            file.display()
        );
    }
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Changes a document, now and then its bytes.
pub fn spoil_json(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(mut document) if dice.below(8) != 0 => {
            for _ in 0..=dice.below(3) {
                spoil(&mut document, dice);
            }
            *bytes = document.to_string().into_bytes();
        }
        _ => garble(bytes, other, dice),
    }
}

/// Changes events: the JSON of one, or the bytes of all.
pub fn spoil_stream(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<&str> = text.split('\n').collect();
    let at = dice.below(lines.len());
    let (head, json) = lines[at].split_at(lines[at].find('{').unwrap_or(0));
    match serde_json::from_str::<Value>(json) {
        Ok(mut document) if dice.below(4) != 0 => {
            spoil(&mut document, dice);
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            changed[at] = format!("{head}{document}");
            *bytes = changed.join("\n").into_bytes();
        }
        _ => garble(bytes, other, dice),
    }
}

#[expect(clippy::print_stdout, reason = "shown with --success-output, for the note of a long run")]
fn report(name: &str, tried: u64) {
    println!("{name}: {tried} inputs");
}
