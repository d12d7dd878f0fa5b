//! The ids of things that are kept at a provider, within documents: files, batches, jobs, assistants, threads, vector
//! stores. Where they stand in `OpenAI`'s and Anthropic's words, and how each is put in another's place.

use memchr::memmem;
use serde_json::Value;
use tollgate_wire::RawBody;

/// Members that name a thing or several, and how ids of such things begin where a provider's own have no beginning.
const NAMES: &[(&str, &str)] = &[
    ("input_file_id", "file-"),
    ("output_file_id", "file-"),
    ("error_file_id", "file-"),
    ("training_file", "file-"),
    ("validation_file", "file-"),
    ("result_files", "file-"),
    ("file_id", "file-"),
    ("file_ids", "file-"),
    ("vector_store_id", "vs_"),
    ("vector_store_ids", "vs_"),
    ("assistant_id", "asst_"),
    ("thread_id", "thread_"),
    ("run_id", "run_"),
    ("message_id", "msg_"),
    ("batch_id", "batch_"),
];
/// Where a list begins and ends; what they name are the list's things.
const ENDS: [&str; 2] = ["first_id", "last_id"];
/// What the client says for itself is nobody's to read.
const UNTOUCHED: [&str; 2] = ["metadata", "attributes"];

/// Puts an id in an id's place; told how ids of its kind begin. `None` leaves it as it is.
pub type Swap<'s, E> = &'s mut dyn FnMut(&str, &'static str) -> Result<Option<String>, E>;

/// How ids of the things begin that are kept under a path.
#[must_use]
pub fn beginning_at(path: &str) -> &'static str {
    match path {
        "/files" => "file-",
        "/batches" => "batch_",
        "/fine_tuning/jobs" => "ftjob-",
        "/assistants" => "asst_",
        "/threads" => "thread_",
        "/vector_stores" => "vs_",
        _ => "id_",
    }
}

/// How an id itself begins: a word and its mark, as in `file-1` and `batch_1`.
#[must_use]
pub fn beginning_of(id: &str) -> Option<&str> {
    let end = id.bytes().position(|byte| !byte.is_ascii_lowercase())?;
    let (beginning, rest) = id.split_at_checked(end + 1)?;
    let is_word = (2..=16).contains(&end) && beginning.ends_with(['-', '_']);
    (is_word && !rest.is_empty()).then_some(beginning)
}

/// Swaps the ids in a request: those that its members name.
///
/// # Errors
/// Those of `swap`.
pub fn in_request<E>(body: &mut RawBody, swap: Swap<'_, E>) -> Result<(), E> {
    each_member(body, |raw| raw.len() > 2, &mut |name, value| walk(value, beginning_for(name), swap))
}

/// As [`in_request`], for a body that is large and seldom names anything: only members in which `file_id` or its like
/// stands are taken apart.
///
/// # Errors
/// Those of `swap`.
pub fn in_prompt<E>(body: &mut RawBody, swap: Swap<'_, E>) -> Result<(), E> {
    // The end of `file_id` and `vector_store_id`, and of several. In the words of a prompt a quote is escaped.
    let names = |raw: &[u8]| [&b"e_id\""[..], b"e_ids\""].iter().any(|end| memmem::find(raw, end).is_some());
    each_member(body, names, &mut |_, value| walk(value, None, swap))
}

/// Swaps the ids in an answer about things kept under a path: the things' own too, and those in a list of them.
///
/// # Errors
/// Those of `swap`.
pub fn in_answer<E>(body: &mut RawBody, path: &str, swap: Swap<'_, E>) -> Result<(), E> {
    let own = beginning_at(path);
    each_member(body, |raw| raw.len() > 2, &mut |name, value| {
        if name == "id" || ENDS.contains(&name) {
            return replace(value, own, swap);
        }
        let mut changed = false;
        let listed = value.as_array_mut().filter(|_| name == "data");
        for thing in listed.into_iter().flatten() {
            if let Some(id) = thing.get_mut("id") {
                changed |= replace(id, own, swap)?;
            }
        }
        Ok(walk(value, beginning_for(name), swap)? || changed)
    })
}

/// Shows each member that `wanted` says yes to as a tree, and writes back those of which `change` says that it changed
/// them; the rest stays as it is written.
fn each_member<E>(
    body: &mut RawBody,
    wanted: impl Fn(&[u8]) -> bool,
    change: &mut dyn FnMut(&str, &mut Value) -> Result<bool, E>,
) -> Result<(), E> {
    let mut changed = Vec::new();
    for (name, raw) in body.iter() {
        let may_name = matches!(raw.first(), Some(b'"' | b'[' | b'{')) && !UNTOUCHED.contains(&name) && wanted(raw);
        let read = may_name.then(|| serde_json::from_slice::<Value>(raw).ok()).flatten();
        let Some(mut value) = read else { continue };
        if change(name, &mut value)? {
            changed.push((name.to_owned(), value));
        }
    }
    changed.iter().for_each(|(name, value)| body.set(name, value));
    Ok(())
}

fn beginning_for(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, beginning)| *beginning)
}

/// `kind`: this names such things. Says whether anything was changed.
fn walk<E>(value: &mut Value, kind: Option<&'static str>, swap: Swap<'_, E>) -> Result<bool, E> {
    let mut changed = false;
    match value {
        Value::String(_) => {
            if let Some(kind) = kind {
                changed = replace(value, kind, swap)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                changed |= walk(item, kind, swap)?;
            }
        }
        Value::Object(members) => {
            for (name, value) in members.iter_mut().filter(|(name, _)| !UNTOUCHED.contains(&name.as_str())) {
                changed |= walk(value, beginning_for(name), swap)?;
            }
        }
        _ => {}
    }
    Ok(changed)
}

fn replace<E>(value: &mut Value, kind: &'static str, swap: Swap<'_, E>) -> Result<bool, E> {
    if let Value::String(id) = value
        && !id.is_empty()
        && let Some(other) = swap(id, kind)?
    {
        *id = other;
        return Ok(true);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn raw(document: &Value) -> RawBody {
        RawBody::parse(&document.to_string().into()).unwrap()
    }

    fn tree(body: &RawBody) -> Value {
        Value::Object(body.to_map())
    }

    fn shown(path: &str, document: &Value) -> Value {
        let mut body = raw(document);
        let done: Result<(), Infallible> =
            in_answer(&mut body, path, &mut |id, kind| Ok(Some(format!("{kind}<{id}>"))));
        done.unwrap();
        tree(&body)
    }

    #[test]
    fn a_batch_and_a_list_of_batches_name_their_files() {
        let batch = |wrap: fn(&str, &str) -> String| {
            json!({"id": wrap("batch_", "b1"), "object": "batch", "input_file_id": wrap("file-", "f1"), "output_file_id": null,
                "error_file_id": "", "metadata": {"file_id": "mine"}, "request_counts": {"total": 1.50}})
        };
        let plain = batch(|_, id| id.to_owned());
        let sealed = batch(|kind, id| format!("{kind}<{id}>"));
        assert_eq!(shown("/batches", &plain), sealed);
        let list = json!({"object": "list", "data": [plain], "first_id": "b1", "last_id": "b1", "has_more": false});
        let named = json!({"object": "list", "data": [sealed], "first_id": "batch_<b1>", "last_id": "batch_<b1>",
            "has_more": false});
        assert_eq!(shown("/batches", &list), named);
    }

    #[test]
    fn what_only_looks_like_an_id_stays() {
        let run = json!({"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "model": "gpt-4o",
            "tools": [{"type": "file_search", "id": "x"}],
            "required_action": {"submit_tool_outputs": {"tool_calls": [{"id": "call_1", "function": {"name": "file_id"}}]}},
            "tool_resources": {"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}}});
        let mut expected = run.clone();
        expected["id"] = "thread_<run_1>".into();
        expected["thread_id"] = "thread_<thread_1>".into();
        expected["tool_resources"]["file_search"]["vector_store_ids"] = json!(["vs_<vs_1>", "vs_<vs_2>"]);
        assert_eq!(shown("/threads", &run), expected);
        let job = json!({"id": "ftjob-1", "organization_id": "org-1", "fine_tuned_model": "ft:gpt", "training_file": "file-1",
            "result_files": ["file-2"], "seed": 7});
        let shown = shown("/fine_tuning/jobs", &job);
        assert_eq!((&shown["organization_id"], &shown["fine_tuned_model"]), (&json!("org-1"), &json!("ft:gpt")));
        assert_eq!(
            (&shown["training_file"], &shown["result_files"][0]),
            (&json!("file-<file-1>"), &json!("file-<file-2>"))
        );
    }

    #[test]
    fn a_prompts_files_are_found_and_the_rest_is_left_as_written() {
        let text = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"ours"}},{"type":"text","text":"file_id: ours"}]}],"temperature":1.0}"#;
        let mut body = RawBody::parse(&text.into()).unwrap();
        let open = &mut |id: &str, _: &'static str| -> Result<_, Infallible> {
            Ok((id == "ours").then(|| "theirs".to_owned()))
        };
        in_prompt(&mut body, open).unwrap();
        assert_eq!(body.to_bytes(), text.replacen(":\"ours\"", ":\"theirs\"", 1));
        let refuse = &mut |_: &str, _: &'static str| Err(());
        assert_eq!(in_prompt(&mut body, refuse), Err(()));
    }

    #[test]
    fn an_id_begins_with_a_word_or_with_nothing() {
        for (id, beginning) in [
            ("file-abc", Some("file-")),
            ("batch_68", Some("batch_")),
            ("ftjob-x_y", Some("ftjob-")),
            ("vs_", None),
            ("a1b2c3d4-e5f6", None),
            ("File-1", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(beginning_of(id), beginning, "{id}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out_again(ids in prop::collection::vec("[a-z]{3,5}[-_][A-Za-z0-9]{1,9}", 1..5), number in any::<f64>()) {
            let document = json!({"id": ids[0], "data": [{"id": ids[0], "file_ids": ids}], "input_file_id": ids[0], "n": number,
                "deep": {"content": [{"file_id": ids[0], "text": ids[0]}]}});
            let mut body = raw(&document);
            let before = tree(&body);
            let wrap = &mut |id: &str, _: &'static str| -> Result<_, Infallible> { Ok(Some(format!("+{id}"))) };
            let unwrap = &mut |id: &str, _: &'static str| -> Result<_, Infallible> {
                Ok(Some(id.strip_prefix('+').unwrap_or(id).to_owned()))
            };
            in_answer(&mut body, "/files", wrap).unwrap();
            prop_assert_ne!(&tree(&body), &before);
            in_answer(&mut body, "/files", unwrap).unwrap();
            prop_assert_eq!(tree(&body), before);
        }
    }
}
