"""OpenAI beside chat, as the fake provider speaks it: sound, pictures, moderations, files, batches, fine-tuning jobs."""

import email
import json

from fake_openai import KEY
from fake_words import Refusal, require

PREFIX = "/openai/v1"
ROUTES = ("/audio/", "/images/edits", "/moderations", "/files", "/batches", "/fine_tuning/jobs")
SPEECH = [b"ID3\x04" + bytes([number]) * 4000 for number in range(5)]


def takes(path):
    """Whether a path is answered here."""
    return path.startswith(tuple(PREFIX + route for route in ROUTES))


def answer(method, path, headers, raw, files, direct):
    """What is seen of the request, and the answer: content type and pieces of the body."""
    if not direct and headers.get("authorization") != f"Bearer {KEY}":
        raise Refusal(401, "Incorrect API key provided")
    route = path.removeprefix(PREFIX)
    body = _read(headers.get("content-type", ""), raw)
    fields = body.get("fields", body)
    ours = {"custom_llm_provider", "target_model_names", "tags"} & fields.keys()
    require(direct or not ours, f"Unrecognized request argument supplied: {ours}")
    return body, _answer(method, route, fields, body.get("files", {}), files)


def _answer(method, route, fields, sent, files):
    if route in ("/audio/transcriptions", "/audio/translations"):
        return _heard(fields, sent)
    if route == "/audio/speech":
        require(fields.get("model") in ("tts-1", "voice"), "unknown model")
        return "audio/mpeg", SPEECH
    if route == "/images/edits":
        require(sent and fields.get("prompt"), "image and prompt are required")
        return _json({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": {
            "input_tokens": 7, "output_tokens": 9, "total_tokens": 16,
            "input_tokens_details": {"text_tokens": 7, "image_tokens": 0}}})
    if route == "/moderations":
        return _json({"id": "modr-1", "model": "omni-moderation-latest", "results": [
            {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]})
    if route.startswith("/files"):
        return _files(method, route.split("/")[2:], fields, sent, files)
    if route.startswith("/batches"):
        return _batches(method, route.split("/")[2:], fields, files)
    thing = {"object": "fine_tuning.job", "id": "ftjob-1", "status": "queued", "created_at": 1, **fields}
    require(method != "POST" or "training_file" not in fields or fields["training_file"] in files, "no such training file")
    if method == "GET" and route.count("/") == 2:
        return _json({"object": "list", "data": [thing], "has_more": False})
    return _json(thing | ({"status": "cancelled"} if route.endswith("/cancel") else {}))


def _batches(method, rest, fields, files):
    """A batch is over when it is looked at for the first time."""
    if method == "POST" and not rest:
        require(fields.get("input_file_id") in files, f"No such File object: {fields.get('input_file_id')}")
        batch = {"object": "batch", "id": f"batch_{len(files) + 1}", "status": "validating", "created_at": 1,
                 "output_file_id": None, "error_file_id": None, **fields}
        files[batch["id"]] = batch
        return _json(batch)
    if not rest:
        batches = [thing for thing in files.values() if thing["object"] == "batch"]
        return _json({"object": "list", "data": batches, "has_more": False,
                      "first_id": batches[0]["id"], "last_id": batches[-1]["id"]})
    if files.get(rest[0], {}).get("object") != "batch":
        raise Refusal(404, f"No batch found with id '{rest[0]}'.")
    batch = files[rest[0]]
    if rest[1:] == ["cancel"]:
        return _json(batch | {"status": "cancelled"})
    if batch["status"] == "validating":
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        body = {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [], "usage": usage}
        line = {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
        output = {"id": f"file-{len(files) + 1}", "object": "file", "bytes": 1, "created_at": 1, "filename": "out.jsonl",
                  "purpose": "batch_output", "status": "processed", "content": json.dumps(line)}
        files[output["id"]] = output
        batch |= {"status": "completed", "output_file_id": output["id"],
                  "request_counts": {"total": 1, "completed": 1, "failed": 0}}
    return _json(batch)


def _heard(fields, sent):
    require(fields.get("model") in ("whisper-1", "ears"), "unknown model")
    require(sent.get("file") == 5000, "the file did not arrive whole")
    wanted = fields.get("response_format", "json")
    if fields.get("stream") == "true":
        events = [{"type": "transcript.text.delta", "delta": "hel"}, {"type": "transcript.text.done", "text": "hello"}]
        return "text/event-stream", [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    if wanted in ("text", "srt", "vtt"):
        return "text/plain; charset=utf-8", [f"{wanted}: hello\n".encode()]
    verbose = {"duration": 1.5, "language": "english", "segments": [], "words": []} if wanted == "verbose_json" else {}
    return _json({"text": "hello", **verbose})


def _files(method, rest, fields, sent, files):
    if method == "POST":
        require(fields.get("purpose") and "file" in sent, "purpose and file are required")
        file = {"id": f"file-{len(files) + 1}", "object": "file", "bytes": sent["file"], "created_at": 1,
                "filename": "a.jsonl", "purpose": fields["purpose"], "status": "processed"}
        files[file["id"]] = file
        return _json(file)
    if not rest:
        return _json({"object": "list", "data": [thing for thing in files.values() if thing["object"] == "file"],
                      "has_more": False})
    if rest[0] not in files:
        raise Refusal(404, f"No such File object: {rest[0]}")
    if method == "DELETE":
        return _json({"id": files.pop(rest[0])["id"], "object": "file", "deleted": True})
    if rest[1:] == ["content"]:
        content = files[rest[0]].get("content")
        return "application/octet-stream", [content.encode() if content else b"x" * files[rest[0]]["bytes"]]
    return _json(files[rest[0]])


def _json(document):
    return "application/json", [json.dumps(document).encode()]


def _read(content_type, raw):
    """A JSON body, or a form as its fields and the sizes of its files."""
    if not content_type.startswith("multipart/form-data"):
        return json.loads(raw) if raw else {}
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw)
    require(message.is_multipart() and not message.defects, f"a garbled form: {message.defects}")
    form = {"fields": {}, "files": {}}
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.get_filename() is None:
            form["fields"][name] = content.decode()
        else:
            form["files"][name] = len(content)
    return form
