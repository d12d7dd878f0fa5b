"""Bedrock as the fake provider speaks it: Converse, whole and streamed, for requests whose signature is right."""

import hashlib
import hmac
import json
import struct
import urllib.parse
import zlib

from fake_words import Refusal, require

ACCESS_KEY, SECRET_KEY, REGION = "AKIDFAKE", "fake-secret-key", "eu-west-1"
PREFIX = "/model/"


def takes(path):
    """Whether a path is answered here."""
    return path.startswith(PREFIX)


def answer(path, headers, raw):
    """The content type and the pieces of the answer."""
    _check_signature(path, headers, raw)
    body = json.loads(raw)
    text = body["messages"][-1]["content"][0]["text"]
    usage = {"inputTokens": 7, "outputTokens": 4, "totalTokens": 11}
    if path.endswith("/converse"):
        message = {"role": "assistant", "content": [{"text": f"You said: {text}"}]}
        whole = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
        return "application/json", [json.dumps(whole).encode()]
    require(path.endswith("/converse-stream"), "unknown operation")
    events = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": f"You said: {text}"}}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    ]
    return "application/vnd.amazon.eventstream", [_message(*event) for event in events]


def _check_signature(path, headers, raw):
    """AWS's signature, version 4, worked out anew from what arrived."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
    if scheme != "AWS4-HMAC-SHA256" or {"Credential", "SignedHeaders", "Signature"} - parts.keys():
        raise Refusal(403, "the request is not signed")
    key, date, region, service, end = parts["Credential"].split("/")
    signed = parts["SignedHeaders"].split(";")
    canonical = "\n".join([
        "POST",
        urllib.parse.quote(path, safe="/~"),
        "",
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
        "",
        ";".join(signed),
        hashlib.sha256(raw).hexdigest(),
    ])
    scope = "/".join([date, region, service, end])
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    told = "\n".join(["AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, hashed])
    secret = ("AWS4" + SECRET_KEY).encode()
    for part in [date, region, service, end]:
        secret = hmac.new(secret, part.encode(), "sha256").digest()
    right = hmac.new(secret, told.encode(), "sha256").hexdigest()
    wanted = (ACCESS_KEY, REGION, "bedrock", right, True, True)
    if (key, region, service, parts["Signature"], "host" in signed, "x-amz-date" in signed) != wanted:
        raise Refusal(403, "the signature is wrong")


def _message(name, document):
    kinds = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in kinds.items()
    )
    payload = json.dumps(document).encode()
    prelude = struct.pack(">II", 12 + len(headers) + len(payload) + 4, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
