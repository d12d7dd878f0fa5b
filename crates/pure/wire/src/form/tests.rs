use super::*;

const TYPE: &str = "multipart/form-data; boundary=b";

fn form(text: &str) -> Result<Form, FormError> {
    Form::parse(TYPE, &Bytes::from(text.to_owned()))
}

const UPLOAD: &str = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n\
    --b\r\ncontent-disposition: form-data; filename=\"a.wav\"; name=\"file\"\r\nContent-Type: audio/wav\r\n\r\n\
    RIFF\r\n--bear\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n\r\n--b--\r\n";

#[test]
fn a_form_is_cut_at_its_boundary_and_at_nothing_that_begins_like_it() {
    let form = form(UPLOAD).unwrap();
    let parts: Vec<_> = form.parts().map(|part| (part.name.as_str(), part.is_file, part.content.as_ref())).collect();
    assert_eq!(parts, [("model", false, &b"whisper"[..]), ("file", true, b"RIFF\r\n--bear\r\n"), ("note", false, b"")]);
    assert_eq!((form.text("model"), form.text("file"), form.text("none")), (Some("whisper"), None, None));
}

#[test]
fn what_is_not_rewritten_is_written_as_it_came() {
    let form = form(UPLOAD).unwrap();
    assert_eq!(form.to_bytes(), UPLOAD);
    assert_eq!(Form::parse(&form.content_type(), &form.to_bytes()).unwrap(), form);
}

#[test]
fn fields_are_set_renamed_and_taken_out() {
    let mut form = form(UPLOAD).unwrap();
    form.set_text("model", "gpt-4o");
    form.set_text("new", "x");
    form.rename("file", "file[]");
    form.retain(|part| part.name != "note");
    let text = String::from_utf8(form.to_bytes().to_vec()).unwrap();
    let again = super::Form::parse(TYPE, &form.to_bytes()).unwrap();
    assert_eq!(again.parts().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["new", "model", "file[]"]);
    assert_eq!(again.text("model"), Some("gpt-4o"));
    assert!(text.contains("filename=\"a.wav\"; name=\"file[]\"\r\nContent-Type: audio/wav"), "{text}");
}

#[test]
fn a_boundary_may_be_quoted_and_must_be_one() {
    let check = |text: &str, expected: Result<&str, FormError>| {
        assert_eq!(boundary(text), expected.map(str::to_owned), "{text}");
    };
    check("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", Ok("a b"));
    check("multipart/form-data; boundary=----x7", Ok("----x7"));
    check("multipart/form-data", Err(FormError::NoBoundary));
    check("multipart/form-data; boundary=", Err(FormError::NoBoundary));
    check("multipart/form-data; boundary=\"a", Err(FormError::NoBoundary));
    check("multipart/form-data; boundary=a\"b", Err(FormError::NoBoundary));
    check(&format!("multipart/form-data; boundary={}", "x".repeat(71)), Err(FormError::NoBoundary));
    check("multipart/mixed; boundary=b", Err(FormError::NoForm));
    check("application/json", Err(FormError::NoForm));
}

#[test]
fn what_is_no_form_is_refused_with_the_reason() {
    let part = |head: &str| format!("--b\r\n{head}\r\n\r\nx\r\n--b--");
    let named = "Content-Disposition: form-data; name=\"f\"";
    let check = |text: &str, expected: FormError| assert_eq!(form(text).unwrap_err(), expected, "{text}");
    check("", FormError::NoEnd);
    check("--b", FormError::NoEnd);
    check("{\"model\": 1}", FormError::NoBeginning);
    check("--bx\r\n", FormError::NoBeginning);
    check(&part(named).replace("--b--", ""), FormError::NoEnd);
    check(&part("Content-Disposition: form-data"), FormError::NoName);
    check(&part("Content-Disposition: form-data; filename=\"f\""), FormError::NoName);
    check(&part("Content-Type: text/plain"), FormError::NoName);
    check(&part("Content-Disposition: attachment; name=\"f\""), FormError::Head);
    check(&part("no colon"), FormError::Head);
    check(&part(&format!("{named}\r\nX: {}", "x".repeat(MAX_HEAD))), FormError::Head);
    check(&part(&format!("{named}\r\nContent-Type: multipart/mixed; boundary=c")), FormError::Nested);
    check(&part(&format!("{named}\r\nContent-Transfer-Encoding: base64")), FormError::Encoded);
    let many = format!("--b\r\n{named}\r\n\r\nx\r\n").repeat(10_000);
    check(&format!("{many}--b--"), FormError::TooMany);
}

#[test]
fn a_form_cut_anywhere_is_refused_and_never_panics() {
    let whole = UPLOAD.len() - 4;
    for cut in 0..whole {
        assert!(form(UPLOAD.get(..cut).unwrap()).is_err(), "{cut}");
    }
    assert!(form(UPLOAD.get(..whole + 2).unwrap()).is_ok());
}

#[test]
fn the_fields_before_a_file_are_known_before_its_end_is() {
    let bytes = Bytes::from(UPLOAD);
    let file_at = UPLOAD.find("--b\r\ncontent-disposition").unwrap();
    for end in 0..bytes.len() {
        let lead = Lead::read("b", &bytes.slice(..end)).unwrap();
        let Some(lead) = lead else {
            assert!(!UPLOAD.get(..end).unwrap().contains("audio/wav\r\n\r\n"), "{end}");
            continue;
        };
        assert_eq!((lead.at, lead.text("model"), lead.fields.len()), (file_at, Some("whisper"), 1));
        assert_eq!([lead.to_bytes(), bytes.slice(lead.at..)].concat(), UPLOAD.as_bytes());
    }
}

#[test]
fn a_field_behind_the_file_is_seen_wherever_the_bytes_are_cut() {
    for at in 0..UPLOAD.len() {
        let (first, second) = UPLOAD.as_bytes().split_at(at);
        let seen = |names| {
            let mut watch = Watch::new("b", names);
            watch.push(first).and_then(|()| watch.push(second))
        };
        assert_eq!(seen(&["note"]), Err(FormError::Late("note")), "{at}");
        assert_eq!(seen(&["other"]), Ok(()), "{at}");
    }
}
