"""OpenAI as the fake provider speaks it: chat, text completions and embeddings, whole and streamed."""

import base64
import json
import struct

import fake_responses
from fake_words import BREAKING, Refusal, halves, pieces, reply_to, require, require_known_fields, rest_of, tokens_in, value_of

KEY = "sk-upstream-openai"
CHAT_MODELS = {"gpt-4o-mini", "gpt-3.5-turbo", "cut", "slow"} | BREAKING
TEXT_MODELS = {"gpt-3.5-turbo-instruct"}
EMBEDDING_MODELS = {"text-embedding-3-small"}
SYSTEM_FINGERPRINT = "fp_fake"

CHAT_FIELDS = set(
    "model messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens"
    " max_tokens metadata modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key"
    " reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options"
    " temperature tool_choice tools top_logprobs top_p user verbosity web_search_options"
    # Stands for what the service will know tomorrow: a gateway must let it through.
    " field_of_the_future".split()
)
TEXT_FIELDS = set(
    "model prompt best_of echo frequency_penalty logit_bias logprobs max_tokens n presence_penalty seed stop stream"
    " stream_options suffix temperature top_p user".split()
)
EMBEDDING_FIELDS = {"model", "input", "dimensions", "encoding_format", "user"}
ERROR_TYPES = {401: "invalid_request_error", 404: "invalid_request_error", 429: "requests"}
ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def answer(path, headers, body, direct):
    """The whole answer as an object, or the events of a stream."""
    # Set by `run --direct`: then there is no gateway that would exchange the client's key for ours.
    if not direct:
        if headers.get("authorization") != f"Bearer {KEY}":
            raise Refusal(401, "Incorrect API key provided")
        leaked = {"x-api-key", "api-key", "x-litellm-api-key", "cookie"} & headers.keys()
        require(not leaked, f"the gateway forwarded {leaked}")
    require(headers.get("content-type", "").startswith("application/json"), "Content-Type must be application/json")
    operations = {
        "/openai/v1/chat/completions": _chat,
        "/openai/v1/completions": _completion,
        "/openai/v1/embeddings": _embeddings,
        fake_responses.PATH: _response,
    }
    if path not in operations:
        raise Refusal(404, f"Invalid URL (POST {path})")
    return operations[path](body)


def error_body(status, message):
    """OpenAI's error envelope."""
    kind = ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": ERROR_CODES.get(status)}}


def error_event(path):
    """An error in the midst of a stream."""
    if path == fake_responses.PATH:
        error = {"type": "error", "code": "server_error", "message": "the fake provider broke", "param": None}
        return f"event: error\ndata: {json.dumps(error | {'sequence_number': 99})}\n\n"
    return _event(error_body(500, "the fake provider broke"))


def opening(path):
    """How many events of a stream come before the first word."""
    return 4 if path == fake_responses.PATH else 1


def model_list():
    """The answer of `GET /models`."""
    names = sorted(CHAT_MODELS | TEXT_MODELS | EMBEDDING_MODELS)
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "fake"} for name in names]}


def upstream_name(name):
    """The upstream model that a client-facing name of the test configuration stands for (`run --direct` only)."""
    known = {"text": "gpt-3.5-turbo-instruct", "embedder": "text-embedding-3-small"}
    if name in known or name in CHAT_MODELS | TEXT_MODELS | EMBEDDING_MODELS:
        return known.get(name, name)
    for prefix in ("openai-", "anthropic-"):
        if name.startswith((f"{prefix}fail-", f"{prefix}slow", f"{prefix}cut")):
            return name.removeprefix(prefix)
    return "gpt-3.5-turbo"


def _known_model(body, models):
    if body.get("model") not in models:
        raise Refusal(404, f"The model `{body.get('model')}` does not exist or you do not have access to it.")


def _response(body):
    _known_model(body, CHAT_MODELS)
    return fake_responses.answer(body)


def _chat(body):
    _known_model(body, CHAT_MODELS)
    require_known_fields(body, CHAT_FIELDS, "Unrecognized request argument supplied: {field}")
    messages = body.get("messages")
    require(isinstance(messages, list) and messages, "Invalid value for 'messages': expected a non-empty array")
    _check_messages(messages)
    for name in ("stream", "logprobs"):
        require(body.get(name) in (None, True, False), f"Invalid type for '{name}': expected a boolean")
    message, reason = _message_for(body, messages)
    if body.get("stream"):
        return _chat_events(body, message, reason)
    choice = {"index": 0, "message": message, "logprobs": _logprobs(body, message), "finish_reason": reason}
    return _envelope(body, "chat.completion", [choice]) | {"usage": _usage(messages, message)}


def _check_messages(messages):
    called = set()
    for message in messages:
        role = message.get("role")
        require(role in ("system", "developer", "user", "assistant", "tool", "function"), f"Invalid role: {role}")
        called |= {call["id"] for call in message.get("tool_calls") or []}
        if role == "tool":
            require(message.get("tool_call_id") in called, "a tool message must answer a tool call before it")


def _text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", f"[{part.get('type')}]") for part in content or [])


def _message_for(body, messages):
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    last = messages[-1]
    if last["role"] == "tool":
        return message | {"content": f"The tool said: {_text_of(last['content'])}"}, "stop"
    if body.get("tools") and body.get("tool_choice") != "none":
        return message | {"tool_calls": _tool_calls(body, _text_of(last["content"]))}, "tool_calls"
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        return message | {"content": json.dumps(value_of(form["json_schema"]["schema"]))}, "stop"
    text = "\n".join(_text_of(message["content"]) for message in messages if message["role"] == "user")
    # Mistral and DeepSeek go on with a last turn that is marked, in OpenAI's words.
    begun = last["content"] if last["role"] == "assistant" and last.get("prefix") is True else ""
    return message | {"content": rest_of(reply_to(text), begun)}, "stop"


def _tool_calls(body, prompt):
    tools = [tool["function"] for tool in body["tools"]]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    require(tools, "the chosen tool is not among the tools")
    wanted = 2 if "two calls" in prompt else 1
    arguments = json.dumps(value_of(tools[0].get("parameters") or {}))
    function = {"name": tools[0]["name"], "arguments": arguments}
    return [{"id": f"call_{number}", "type": "function", "function": function} for number in range(wanted)]


def _logprobs(body, message):
    if not body.get("logprobs"):
        return None
    entries = [
        {"token": piece, "logprob": -0.5, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in pieces(message["content"])
    ]
    return {"content": entries, "refusal": None}


def _envelope(body, kind, choices):
    return {
        "id": "chatcmpl-fake",
        "object": kind,
        "created": 1_700_000_000,
        # The real service answers with the dated name of the model.
        "model": f"{body['model']}-0000",
        "system_fingerprint": SYSTEM_FINGERPRINT,
        "choices": choices,
    }


def _usage(messages, message):
    read = sum(tokens_in(_text_of(each.get("content"))) for each in messages)
    written = tokens_in(json.dumps(message.get("tool_calls")) if message.get("tool_calls") else message["content"])
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _chat_events(body, message, reason):
    kind = "chat.completion.chunk"
    deltas = [{"role": "assistant", "content": "" if message["content"] else None}]
    if message.get("tool_calls"):
        for number, call in enumerate(message["tool_calls"]):
            opening = call | {"index": number, "function": {"name": call["function"]["name"], "arguments": ""}}
            deltas.append({"tool_calls": [opening]})
            for fragment in halves(call["function"]["arguments"]):
                deltas.append({"tool_calls": [{"index": number, "function": {"arguments": fragment}}]})
    else:
        deltas += [{"content": piece} for piece in pieces(message["content"])]
    for delta in deltas:
        yield _event(_envelope(body, kind, [{"index": 0, "delta": delta, "finish_reason": None}]))
    yield _event(_envelope(body, kind, [{"index": 0, "delta": {}, "finish_reason": reason}]))
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event(_envelope(body, kind, []) | {"usage": _usage(body["messages"], message)})
    yield "data: [DONE]\n\n"


def _event(value):
    return f"data: {json.dumps(value)}\n\n"


def _completion(body):
    if body.get("model") in CHAT_MODELS:
        raise Refusal(404, "This is a chat model and not supported in the v1/completions endpoint.")
    _known_model(body, TEXT_MODELS)
    require_known_fields(body, TEXT_FIELDS, "Unrecognized request argument supplied: {field}")
    prompts = body.get("prompt")
    prompts = prompts if isinstance(prompts, list) else [prompts]
    require(all(isinstance(prompt, str) for prompt in prompts), "Invalid value for 'prompt'")
    texts = [reply_to(prompt) for prompt in prompts]
    read, written = sum(map(tokens_in, prompts)), sum(map(tokens_in, texts))
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    envelope = {"id": "cmpl-fake", "object": "text_completion", "created": 1_700_000_000, "model": body["model"]}
    if body.get("stream"):
        return _completion_events(envelope, texts)
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": "stop"} for index, text in enumerate(texts)
    ]
    return envelope | {"choices": choices, "usage": usage}


def _completion_events(envelope, texts):
    for index, text in enumerate(texts):
        parts = pieces(text)
        for number, piece in enumerate(parts):
            reason = "stop" if number == len(parts) - 1 else None
            choice = {"index": index, "text": piece, "logprobs": None, "finish_reason": reason}
            yield _event(envelope | {"choices": [choice]})
    yield "data: [DONE]\n\n"


def _embeddings(body):
    _known_model(body, EMBEDDING_MODELS)
    require_known_fields(body, EMBEDDING_FIELDS, "Unrecognized request argument supplied: {field}")
    inputs = body.get("input")
    if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
        inputs = [inputs]
    require(isinstance(inputs, list) and inputs, "Invalid value for 'input'")
    data = []
    for index, text in enumerate(inputs):
        vector = [float(len(text)), float(index), 0.25]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}
