//! Credentials files of Google's that a deployment names: read once, when the deployment is made, as they also say which
//! project it belongs to.

use std::io::Read as _;

use serde_json::Value;
use tollgate_providers::resolve::TargetSettings;

/// Where the path may stand if the deployment does not say it.
const VARIABLES: [&str; 2] = ["VERTEXAI_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"];
/// The setting that holds it.
const SETTING: &str = "vertex_credentials";
/// Largest file that is read, bytes; Google's are under 4 KiB.
const MAX_BYTES: u64 = 256 << 10;

/// Puts the file's text in its path's place. A file that cannot be read stays a path: whoever asks for a token then says
/// what is wrong with it.
pub(crate) fn read_into(settings: &mut TargetSettings, environment: &dyn Fn(&str) -> Option<String>) {
    if !settings.model.starts_with("vertex_ai") && settings.custom_llm_provider.as_deref() != Some("vertex_ai") {
        return;
    }
    let own = settings.cloud.get(SETTING).map(|value| value.as_str().map(str::to_owned));
    let named = match own {
        // An object in the configuration is the file itself.
        Some(None) => return,
        Some(path) => path,
        None => VARIABLES.iter().find_map(|name| environment(name)),
    };
    let Some(path) = named.filter(|path| !path.is_empty() && !path.trim_start().starts_with('{')) else { return };
    if let Some(text) = text(&path) {
        settings.cloud.0.insert(SETTING.to_owned(), Value::String(text));
    }
}

fn text(path: &str) -> Option<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    let read = file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    (read > 0 && text.trim_start().starts_with('{')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(credentials: Option<&str>) -> TargetSettings {
        let mut settings = TargetSettings { model: "vertex_ai/gemini-2.5-pro".to_owned(), ..TargetSettings::default() };
        if let Some(path) = credentials {
            settings.cloud.0.insert(SETTING.to_owned(), path.into());
        }
        settings
    }

    fn read(mut settings: TargetSettings, variable: Option<&str>) -> Option<String> {
        read_into(&mut settings, &|name| {
            variable.filter(|_| name == "GOOGLE_APPLICATION_CREDENTIALS").map(str::to_owned)
        });
        settings.cloud.get(SETTING).and_then(Value::as_str).map(str::to_owned)
    }

    #[test]
    fn a_file_takes_the_place_of_its_path() {
        let path = std::env::temp_dir().join(format!("tollgate-google-{}.json", std::process::id()));
        std::fs::write(&path, r#"{"project_id": "p"}"#).unwrap();
        let name = path.to_str().unwrap().to_owned();
        let text = Some(r#"{"project_id": "p"}"#.to_owned());
        assert_eq!(read(settings(Some(&name)), None), text);
        assert_eq!(read(settings(None), Some(&name)), text);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_file_is_left_as_it_is() {
        let nowhere = "/nowhere/key.json";
        assert_eq!(read(settings(Some(nowhere)), None).as_deref(), Some(nowhere));
        assert_eq!(read(settings(None), None), None);
    }
}
