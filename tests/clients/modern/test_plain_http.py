"""Clients that write their HTTP by hand: curl as the documents show it, and LibreChat's full path."""

import http.client
import json
import os
import pathlib
import subprocess
import urllib.parse
import uuid

import pytest


@pytest.fixture(params=["open", "drop"], ids=["openai", "anthropic"])
def base(request, open_url, drop_url):
    """Both gateways without a key; each answers every model name with its one model."""
    return {"open": open_url, "drop": drop_url}[request.param]


def curl(*arguments):
    """Runs curl and returns what it printed."""
    command = ["curl", "-sS", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def body_for(marker):
    return '{"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "%s"}]}' % marker


def content_of(printed):
    return json.loads(printed)["choices"][0]["message"]["content"]


def test_a_script_can_wait_for_the_line_that_names_the_url(open_url):
    printed = pathlib.Path(os.environ["OPEN_LOG"]).read_text()
    [line] = [line for line in printed.splitlines() if "Proxy running on http://" in line]
    assert f"Proxy running on {open_url}" in line
    assert "only this machine; `--host 0.0.0.0` opens it" in line


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions"])
def test_curl_without_a_key_is_answered(base, path, marker):
    printed = curl(base + path, "-H", "Content-Type: application/json", "-d", body_for(marker))
    assert content_of(printed) == f"You said: {marker}"


def test_curl_with_any_bearer_token_is_answered(base, marker):
    headers = ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer sk-1244"]
    assert content_of(curl(f"{base}/chat/completions", *headers, "-d", body_for(marker))) == f"You said: {marker}"


def test_curl_may_leave_the_content_type_out(base, marker):
    # Then curl says application/x-www-form-urlencoded.
    assert content_of(curl(f"{base}/chat/completions", "--data", body_for(marker))) == f"You said: {marker}"


def test_a_body_may_begin_with_a_space(base, marker):
    printed = curl(f"{base}/chat/completions", "-H", "Content-Type: application/json", "--data", " " + body_for(marker))
    assert content_of(printed) == f"You said: {marker}"


def test_a_body_may_have_a_trailing_comma(base, marker):
    body = body_for(marker).removesuffix("}") + ",\n    }"
    printed = curl(f"{base}/chat/completions", "-H", "Content-Type: application/json", "--data", body)
    assert content_of(printed) == f"You said: {marker}"


def test_a_body_may_say_true_as_python_does(base, marker):
    body = body_for(marker).removesuffix("}") + ', "stream": True}'
    printed = curl(f"{base}/v1/chat/completions", "-H", "Content-Type: application/json", "--data", body)
    lines = [line.removeprefix("data: ") for line in printed.splitlines() if line]
    assert lines[-1] == "[DONE]"
    deltas = [choice["delta"] for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == f"You said: {marker}"


def test_curl_sees_the_headers_that_the_documents_show(base, marker):
    printed = curl("-i", f"{base}/chat/completions", "-H", "Content-Type: application/json", "-d", body_for(marker))
    head = printed.replace("\r\n", "\n").split("\n\n")[0].splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
    assert head[0] == "HTTP/1.1 200 OK"
    assert headers["server"]
    uuid.UUID(headers["x-litellm-call-id"])
    assert len(headers["x-litellm-model-id"]) == 64
    int(headers["x-litellm-model-id"], 16)


def test_an_anthropic_answer_has_every_member_that_the_documents_show(drop_url, marker):
    header = "Content-Type: application/json"
    answer = json.loads(curl(f"{drop_url}/v1/chat/completions", "-H", header, "-d", body_for(marker)))
    assert answer.keys() >= {"id", "choices", "created", "model", "object", "system_fingerprint", "usage"}
    assert answer["system_fingerprint"] is None
    assert answer["choices"][0].keys() >= {"finish_reason", "index", "message"}
    message = answer["choices"][0]["message"]
    assert (message["role"], message["tool_calls"], message["function_call"]) == ("assistant", None, None)
    assert answer["usage"].keys() >= {"completion_tokens", "prompt_tokens", "total_tokens"}


def test_librechats_reverse_proxy_path_streams(base, marker):
    # LibreChat posts to its OPENAI_REVERSE_PROXY as it stands, `…/v1/chat/completions`, and reads events to [DONE].
    host = urllib.parse.urlsplit(base)
    payload = {
        "model": "gpt-3.5-turbo",
        "messages": [
            {"role": "system", "content": "Instructions:\nAnswer."},
            {"role": "user", "content": marker},
        ],
        "temperature": 0.8,
        "top_p": 1,
        "presence_penalty": 1,
        "stop": ["||>", "\nUser:", "<|diff_marker|>"],
        "user": "64f0",
        "stream": True,
    }
    connection = http.client.HTTPConnection(host.netloc, timeout=20)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-1234", "Accept": "text/event-stream"}
    connection.request("POST", "/v1/chat/completions", json.dumps(payload), headers)
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("content-type").split(";")[0]) == (200, "text/event-stream")
    events = [line.decode().strip() for line in reply if line.strip()]
    connection.close()
    assert events[-1] == "data: [DONE]"
    deltas = [c["delta"] for event in events[:-1] for c in json.loads(event.removeprefix("data: "))["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == f"You said: {marker}"
