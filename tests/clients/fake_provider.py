"""The provider behind the gateway in the client tests: small, scripted, strict.

It speaks OpenAI (`/openai/v1/...`, the Responses API among it), Anthropic (`/anthropic/v1/messages`), Gemini
(`/gemini/v1beta/...`) and Bedrock (`/model/...`), checks what arrives the way the real services do, and keeps every
request for the tests to look at (`GET /_seen?marker=...`).

What it answers is written into the request:
  - a prompt with `REPLY<<<text>>>` is answered with `text`, any other with `You said: <prompt>`;
  - a request with tools gets a tool call, unless its last message is a tool's result;
  - a request with a JSON schema gets a value of that schema;
  - the upstream models `fail-<status>`, `slow` and `cut` fail as they are called, and the streams of
    `break-<cut|error|stall>-<early|late>` break before the first word or after the second.
"""

import json
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fake_anthropic
import fake_bedrock
import fake_gemini
import fake_media
import fake_openai
import fake_responses
from fake_words import BREAKING, Refusal

# How long the model `slow` thinks. Longer than every timeout in the tests, short enough to end with them.
SLOW_SECONDS = 5
# How many events the model `cut` sends: by then both dialects are in the middle of the text.
CUT_AFTER = 6


class FakeProvider:
    """A running fake provider: `url` is its base, `close()` ends it."""

    def __init__(self, port=0, direct=False):
        self.seen = []
        self.files = {}
        self.lock = threading.Lock()
        self.direct = direct
        self.server = _Server(("127.0.0.1", port), _handler_for(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def record(self, request):
        with self.lock:
            self.seen.append(request)

    def requests_with(self, marker):
        with self.lock:
            return [request for request in self.seen if marker in json.dumps(request["body"])]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The tests open many connections at once; the default of 5 makes the kernel refuse some.
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a peer that resets its connection, as some tests intend


def _handler_for(provider):
    class Handler(_Handler):
        pass

    Handler.provider = provider
    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written apart: with Nagle's algorithm the body would wait 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    provider = None

    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/_seen":
            marker = urllib.parse.parse_qs(url.query).get("marker", [""])[0]
            return self.send_json(200, self.provider.requests_with(marker))
        if fake_media.takes(url.path):
            return self.media("GET", url.path)
        if url.path.endswith("/models"):
            return self.send_json(200, fake_openai.model_list())
        return self.do_stored("GET", url.path)

    def do_DELETE(self):
        path = urllib.parse.urlsplit(self.path).path
        return self.media("DELETE", path) if fake_media.takes(path) else self.do_stored("DELETE", path)

    def do_stored(self, method, path):
        """Answers of the Responses API that were made before."""
        try:
            if not path.startswith(fake_responses.PATH + "/"):
                raise Refusal(404, f"Invalid URL ({method} {path})")
            if not self.provider.direct and self.headers.get("authorization") != f"Bearer {fake_openai.KEY}":
                raise Refusal(401, "Incorrect API key provided")
            return self.send_json(200, fake_responses.stored(method, path))
        except Refusal as refusal:
            return self.send_json(refusal.status, fake_openai.error_body(refusal.status, refusal.message))

    def media(self, method, path):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            provider = self.provider
            if fake_bedrock.takes(path):
                body, (kind, pieces) = json.loads(raw), fake_bedrock.answer(path, headers, raw)
            else:
                body, (kind, pieces) = fake_media.answer(method, path, headers, raw, provider.files, provider.direct)
        except Refusal as refusal:
            return self.send_json(refusal.status, fake_openai.error_body(refusal.status, refusal.message))
        self.provider.record({"path": path, "headers": headers, "body": body})
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in [*pieces, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def do_POST(self):
        path = urllib.parse.urlsplit(self.path).path.replace("/v1/v1/", "/v1/")
        if fake_media.takes(path) or fake_bedrock.takes(path):
            return self.media("POST", path)
        dialect = _dialect_of(path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = _parse(raw)
            self.provider.record({"path": path, "headers": headers, "body": body})
            if dialect is fake_gemini:
                body["model"] = fake_gemini.model_of(path)
            elif self.provider.direct:
                body["model"] = fake_openai.upstream_name(str(body.get("model")))
            _fail_as_the_model_says(body)
            answer = dialect.answer(path, headers, body, self.provider.direct)
        except Refusal as refusal:
            return self.send_json(refusal.status, dialect.error_body(refusal.status, refusal.message), refusal.headers)
        if isinstance(answer, dict):
            return self.send_json(200, answer)
        if body["model"] in BREAKING:
            return self.send_broken(answer, dialect, path, *body["model"].split("-")[1:])
        return self.send_events(answer, cut=body["model"] == "cut")

    def send_json(self, status, value, headers=()):
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.send_header("x-request-id", "req_fake")
        for name, header in headers:
            self.send_header(name, header)
        self.end_headers()
        try:
            self.wfile.write(raw)
        except OSError:
            self.close_connection = True  # the caller timed out, as some tests intend

    def send_broken(self, events, dialect, path, how, moment):
        whole = dialect.opening(path) + (2 if moment == "late" else 0)
        events = list(events)[:whole]
        if how == "error":
            return self.send_events([*events, dialect.error_event(path)], cut=False)
        self.send_events(events, cut=False, ends=False)
        if how == "stall":
            time.sleep(SLOW_SECONDS)
        self.close_connection = True

    def send_events(self, events, cut, ends=True):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for number, event in enumerate(events):
                if cut and number == CUT_AFTER:
                    # The connection ends without the closing chunk, in the middle of the answer.
                    self.close_connection = True
                    return
                raw = event.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
                self.wfile.flush()
            if ends:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True  # the caller left in mid-stream


def _dialect_of(path):
    if path.startswith("/gemini/"):
        return fake_gemini
    return fake_anthropic if path.startswith("/anthropic/") else fake_openai


def _parse(raw):
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body


def _fail_as_the_model_says(body):
    model = str(body.get("model"))
    if model.startswith("fail-"):
        status = int(model.removeprefix("fail-"))
        headers = [("retry-after", "7")] if status == 429 else []
        raise Refusal(status, f"the fake provider was asked to fail with {status}", headers)
    if model == "slow":
        time.sleep(SLOW_SECONDS)


if __name__ == "__main__":
    standing = FakeProvider(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(standing.url, flush=True)
    threading.Event().wait()
