//! Spoiled configurations: they are refused with findings, and never break who reads them.

use std::{fs, path::Path};

use tollgate_config::{deployment_id, parse_duration};
use tollgate_kit::{
    fuzz::{self, Dice, garble},
    golden::Case,
};

use crate::world::check_with;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

/// The seeds' configurations, and a few things that YAML can do.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/seeds");
    let files = fs::read_dir(&folder).expect("the seeds").filter_map(Result::ok);
    let names: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    let case = Case { name: "seeds".to_owned(), folder };
    let mut seeds: Vec<Vec<u8>> = names.iter().filter_map(|name| case.bytes(name)).collect();
    seeds.sort_unstable();
    let more = [
        "base: &b {model: openai/gpt-4o, api_key: os.environ/KEY}\nmodel_list:\n  - {model_name: a, litellm_params: *b}\n",
        "model_list: [{model_name: \"*\", litellm_params: {<<: {model: openai/*}, rpm: 0x10, timeout: 1e400}}]\n--- \n",
        "general_settings: {master_key: !!str 1234, store_model_in_db: yes}\nrouter_settings: {retry_policy: {}, cooldown_time: -1}\n",
        "litellm_settings:\n  callbacks: |\n    a\n  default_team_settings: [~, [], {}]\n? complex\n: key\n",
    ];
    seeds.extend(more.map(|text| text.as_bytes().to_vec()));
    seeds
}

/// Changes lines as wholes: their order, their depth, what stands behind a colon; now and then bytes.
fn spoil_lines(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let Ok(text) = String::from_utf8(bytes.clone()) else { return garble(bytes, other, dice) };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() || dice.below(3) == 0 {
        return garble(bytes, other, dice);
    }
    let odd = [
        "",
        "~",
        "- -",
        "&a *a",
        "{",
        "[[",
        "!!int x",
        "'",
        "1e999",
        "-0",
        ".nan",
        "os.environ/",
        "|",
        "\u{feff}",
        "\t",
    ];
    for _ in 0..=dice.below(3) {
        let (at, to) = (dice.below(lines.len()), dice.below(lines.len()));
        match dice.below(5) {
            0 => lines.swap(at, to),
            1 => lines.insert(to, lines[at].clone()),
            2 => lines[at] = format!("{}{}", " ".repeat(dice.below(5)), lines[at].trim_start()),
            3 => {
                let head = lines[at].split(':').next().unwrap_or_default().to_owned();
                lines[at] = format!("{head}: {}", dice.pick(&odd).expect("some"));
            }
            _ => drop(lines.remove(at)),
        }
        if lines.is_empty() {
            break;
        }
    }
    *bytes = lines.join("\n").into_bytes();
}

#[test]
fn no_spoiled_configuration_breaks_its_reader() {
    fuzz::run(CORPUS, "config", &seeds(), spoil_lines, |input| {
        let text = String::from_utf8_lossy(input);
        let checked = check_with(&text, &[("KEY", "secret"), ("", "x")]);
        for finding in &checked.findings {
            assert!(!finding.to_string().is_empty());
        }
        let again = check_with(&text, &[("KEY", "secret"), ("", "x")]);
        assert_eq!(format!("{:?}", again.findings), format!("{:?}", checked.findings), "the same each time");
        for (ordinal, model) in checked.config.iter().flat_map(|config| &config.models).enumerate() {
            assert!(!deployment_id(model, ordinal).is_empty());
        }
        for line in text.lines() {
            let _ = parse_duration(line.rsplit(':').next().unwrap_or_default().trim());
        }
    });
}
