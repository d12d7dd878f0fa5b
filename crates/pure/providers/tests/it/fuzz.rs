//! Spoiled input: requests and answers, changed at random, must never panic or hang a reader, whatever comes of them. What
//! once broke a reader is kept under `corpus/<target>/` and replayed first. One test is one target, so that they run beside
//! each other, and so that a long run can share its time out.

mod answers;
mod bytes;
mod requests;

use std::{path::Path, sync::Arc};

use tollgate_kit::{
    fuzz::{self, Dice},
    golden::{Case, cases},
};
use tollgate_providers::{
    Target,
    codec::Wanted,
    translate::{Draft, Prepared},
};
use tollgate_wire::Failure;

use crate::{
    golden::FIXTURES,
    world::{self, Ask},
};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

fn run(name: &str, seeds: &[Vec<u8>], change: impl Fn(&mut Vec<u8>, &[u8], &mut Dice), target: impl Fn(&[u8])) {
    fuzz::run(CORPUS, name, seeds, change, target);
}

fn all_cases() -> Vec<Case> {
    cases(Path::new(FIXTURES))
}

/// The folder of a case: its provider's name.
fn folder(case: &Case) -> &str {
    case.name.split('/').next().unwrap_or_default()
}

fn target_of(case: &Case) -> Option<Arc<Target>> {
    world::target(&case.need_json("target.json")).ok()
}

/// The targets of all rows that have fixtures, one each.
fn targets() -> Vec<Arc<Target>> {
    let mut found: Vec<(String, Arc<Target>)> = Vec::new();
    for case in all_cases() {
        let provider = folder(&case).to_owned();
        if let (true, Some(target)) = (found.iter().all(|(known, _)| *known != provider), target_of(&case)) {
            found.push((provider, target));
        }
    }
    found.into_iter().map(|(_, target)| target).collect()
}

/// The request, with something at every address that it wants fetched.
fn prepare(ask: &Ask, target: &Arc<Target>) -> Result<Prepared, Failure> {
    let mut draft: Draft = ask.draft(target)?;
    for wanted in draft.wants() {
        match wanted {
            Wanted::Media(url) => draft.supply(&url, "image/png", "AAAA"),
            Wanted::Document(url) => {
                draft.supply_document(&url, "{\"chat_template\": \"{{ messages }}\"}".to_owned());
            }
        }
    }
    draft.finish()
}

/// A number that only the input decides, for choices that must repeat.
fn hash(bytes: &[u8]) -> usize {
    bytes.iter().fold(7, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(*byte)))
}

/// The input in pieces of uneven lengths.
fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut rest, mut chance) = (Vec::new(), bytes, hash(bytes) | 1);
    while !rest.is_empty() {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (piece, after) = rest.split_at((1 + (chance >> 33) % 97).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
