"""Gemini as the fake provider speaks it: content, whole and streamed, and counted tokens."""

import json

from fake_words import Refusal, pieces, reply_to, require, require_known_fields, tokens_in, value_of

KEY = "key-upstream-gemini"
FIELDS = set(
    "model contents systemInstruction system_instruction tools toolConfig safetySettings generationConfig"
    " cachedContent labels serviceTier".split()
)
SETTINGS = set(
    "temperature topP top_p topK top_k candidateCount candidate_count maxOutputTokens max_output_tokens"
    " stopSequences stop_sequences presencePenalty presence_penalty frequencyPenalty frequency_penalty seed"
    " responseMimeType response_mime_type responseSchema response_schema responseJsonSchema response_json_schema"
    " responseLogprobs logprobs responseModalities thinkingConfig".split()
)
STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def model_of(path):
    """The model in the path."""
    return path.split("/models/", 1)[-1].rsplit(":", 1)[0]


def answer(path, headers, body, direct):
    """The whole answer as an object, or the events of a stream."""
    if not direct:
        if headers.get("x-goog-api-key") != KEY:
            raise Refusal(400, "API key not valid. Please pass a valid API key.")
        leaked = {"authorization", "x-api-key", "api-key", "cookie"} & headers.keys()
        require(not leaked, f"the gateway forwarded {leaked}")
    method = path.rsplit(":", 1)[-1]
    contents = body.get("contents")
    require(isinstance(contents, list) and contents, "contents is not specified")
    _check_contents(contents)
    text = "".join(part.get("text", "") for content in contents for part in content["parts"])
    if method == "countTokens":
        return {"totalTokens": tokens_in(text)}
    require(method in ("generateContent", "streamGenerateContent"), f"no such method: {method}")
    require_known_fields(body, FIELDS, 'Invalid JSON payload received. Unknown name "{field}"')
    require_known_fields(body.get("generationConfig") or {}, SETTINGS, 'Unknown name "{field}" at generation_config')
    parts = _parts_for(body, contents)
    usage = _usage(tokens_in(text), parts)
    if method == "generateContent":
        return _document(parts, "STOP") | {"usageMetadata": usage}
    return _events(parts, usage)


def error_body(status, message):
    """Google's error envelope."""
    return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}}


def _check_contents(contents):
    for content in contents:
        require(content.get("role", "user") in ("user", "model"), f"Please use a valid role: {content.get('role')}")
        require(content.get("parts"), "contents.parts must not be empty")


def _either(members, camel, snake):
    return members.get(camel) or members.get(snake)


def _parts_for(body, contents):
    last = contents[-1]["parts"]
    results = [result for part in last if (result := _either(part, "functionResponse", "function_response"))]
    if results:
        return [{"text": f"The tool said: {json.dumps(results[0]['response'])}"}]
    declared = [
        declaration
        for tool in body.get("tools") or []
        for declaration in _either(tool, "functionDeclarations", "function_declarations") or []
    ]
    if declared:
        schema = _either(declared[0], "parametersJsonSchema", "parameters_json_schema")
        parameters = schema or declared[0].get("parameters") or {}
        arguments = {name: value_of(_lowered(schema)) for name, schema in parameters.get("properties", {}).items()}
        return [{"functionCall": {"name": declared[0]["name"], "args": arguments}, "thoughtSignature": "c2VhbA=="}]
    said = [part.get("text", "") for content in contents if content.get("role") != "model" for part in content["parts"]]
    return [{"text": reply_to("\n".join(said))}]


def _lowered(schema):
    return schema | {"type": schema.get("type", "object").lower()}


def _document(parts, reason=None):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-fake", "responseId": "answer-fake"}


def _usage(read, parts):
    written = tokens_in(json.dumps(parts))
    return {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written}


def _events(parts, usage):
    for part in parts:
        for piece in pieces(part["text"]) if "text" in part else [None]:
            yield _event(_document([{"text": piece} if piece is not None else part]))
    yield _event(_document([{"text": ""}], "STOP") | {"usageMetadata": usage})


def _event(value):
    return f"data: {json.dumps(value)}\r\n\r\n"
