"""Anthropic's Messages as the fake provider speaks them, whole and streamed."""

import json

from fake_words import BREAKING, Refusal, halves, pieces, reply_to, require, require_known_fields, rest_of, tokens_in, value_of

KEY = "sk-ant-upstream"
# It takes system messages between the others, if they follow a user's turn. The older ones refuse them.
MODERN_MODEL = "claude-opus-4-8"
MODELS = {MODERN_MODEL, "claude-sonnet-4-5-20250929", "claude-3-haiku-20240307", "cut", "slow"} | BREAKING
FIELDS = set(
    "model messages max_tokens system metadata stop_sequences stream temperature top_k top_p tools tool_choice thinking"
    " service_tier container mcp_servers context_management output_format output_config".split()
)
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def answer(path, headers, body, _direct):
    """The whole answer as an object, or the events of a stream."""
    if headers.get("x-api-key") != KEY:
        raise Refusal(401, "invalid x-api-key")
    require("authorization" not in headers, "the gateway forwarded a client's credential")
    require(headers.get("anthropic-version"), "anthropic-version: header is required")
    require(headers.get("content-type", "").startswith("application/json"), "content-type must be application/json")
    if path == "/anthropic/v1/messages/count_tokens":
        require("max_tokens" not in body, "max_tokens: Extra inputs are not permitted")
        return {"input_tokens": tokens_in(_prompt(body))}
    if path != "/anthropic/v1/messages":
        raise Refusal(404, f"Not found: {path}")
    _check(body)
    blocks, reason = _blocks_for(body)
    usage = {"input_tokens": tokens_in(_prompt(body)), "output_tokens": tokens_in(json.dumps(blocks))}
    message = {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }
    return _events(message) if body.get("stream") else message


def error_body(status, message):
    """Anthropic's error envelope."""
    return {"type": "error", "error": {"type": ERROR_TYPES.get(status, "api_error"), "message": message}}


def error_event(_path):
    """An error in the midst of a stream."""
    return f"event: error\ndata: {json.dumps(error_body(529, 'the fake provider broke'))}\n\n"


def opening(_path):
    """How many events of a stream come before the first word."""
    return 3


def _check(body):
    if body.get("model") not in MODELS:
        raise Refusal(404, f"model: {body.get('model')}")
    require_known_fields(body, FIELDS, "{field}: Extra inputs are not permitted")
    require(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    require(0 <= (body.get("temperature") or 0) <= 1, "temperature: range: 0..1")
    messages = body.get("messages")
    require(isinstance(messages, list) and messages, "messages: at least one message is required")
    require(messages[0]["role"] == "user", "messages: first message must use the user role")
    called, before = set(), None
    for message in messages:
        between = message["role"] == "system" and before == "user" and body["model"] == MODERN_MODEL
        require(between or message["role"] in ("user", "assistant"), f"messages: Unexpected role {message['role']}")
        before = message["role"]
        for block in _blocks(message["content"]):
            if block["type"] == "tool_use":
                called.add(block["id"])
            if block["type"] == "tool_result":
                require(block["tool_use_id"] in called, "messages: tool_result without its tool_use")
            require(block["type"] != "text" or block["text"], "messages: text content blocks must be non-empty")
    if messages[-1]["role"] == "assistant":
        require(body["model"] != MODERN_MODEL, "This model does not support assistant message prefill.")
        require(_begun(body) == _begun(body).rstrip(), "messages: final assistant content cannot end with trailing whitespace")
    for tool in body.get("tools") or []:
        # Tools that Anthropic runs itself bear a date, and have no schema.
        own = tool.get("type", "custom") != "custom"
        schema = tool.get("input_schema", {}).get("type") == "object"
        require(tool.get("name") and (own or schema), "tools: bad definition")


def _blocks(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _prompt(body):
    texts = []
    for message in body["messages"]:
        if message["role"] == "user":
            texts.append("".join(block.get("text", f"[{block['type']}]") for block in _blocks(message["content"])))
    return "\n".join(texts)


def _blocks_for(body):
    last = _blocks([message for message in body["messages"] if message["role"] != "system"][-1]["content"])
    results = [block for block in last if block["type"] == "tool_result"]
    if results:
        said = "".join(block.get("text", "") for block in _blocks(results[-1]["content"]))
        return [{"type": "text", "text": f"The tool said: {said}"}], "end_turn"
    choice = body.get("tool_choice") or {}
    if body.get("tools") and choice.get("type") != "none":
        return _tool_use(body, choice), "tool_use"
    form = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        return [{"type": "text", "text": json.dumps(value_of(form["schema"]))}], "end_turn"
    return [{"type": "text", "text": rest_of(reply_to(_prompt(body)), _begun(body))}], "end_turn"


def _begun(body):
    """The beginning of the answer that the client puts into the model's mouth."""
    last = body["messages"][-1]
    return "".join(block.get("text", "") for block in _blocks(last["content"])) if last["role"] == "assistant" else ""


def _tool_use(body, choice):
    tools = [tool for tool in body["tools"] if not tool.get("defer_loading")]
    if choice.get("type") == "tool":
        tools = [tool for tool in tools if tool["name"] == choice["name"]]
    require(tools, "tool_choice: the tool is not among the tools")
    wanted = 2 if "two calls" in _prompt(body) else 1
    call = {"type": "tool_use", "name": tools[0]["name"], "input": value_of(tools[0]["input_schema"])}
    return [call | {"id": f"toolu_{number}"} for number in range(wanted)]


def _events(message):
    usage = message["usage"]
    opening = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    yield _event("message_start", message=opening)
    yield _event("ping")
    for index, block in enumerate(message["content"]):
        yield from _block_events(index, block)
    ending = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ending, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _block_events(index, block):
    if block["type"] == "text":
        start, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
    else:
        start = block | {"input": {}}
        fragments = halves(json.dumps(block["input"]))
        deltas = [{"type": "input_json_delta", "partial_json": fragment} for fragment in fragments]
    yield _event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | fields)}\n\n"
