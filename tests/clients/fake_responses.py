"""OpenAI's Responses API as the fake provider speaks it: answers are made, kept, continued, shown and deleted."""

import itertools
import json

from fake_words import Refusal, halves, pieces, reply_to, require, require_known_fields, tokens_in, value_of

PATH = "/openai/v1/responses"
FIELDS = set(
    "model input background client_metadata conversation include instructions max_output_tokens max_tool_calls metadata"
    " parallel_tool_calls previous_response_id prompt prompt_cache_key reasoning safety_identifier service_tier store"
    " stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user"
    " field_of_the_future".split()
)
_numbers = itertools.count(1)
# Answers by id, with the items that they answered.
_kept = {}


def answer(body):
    """The whole answer as an object, or the events of a stream."""
    require_known_fields(body, FIELDS, "Unknown parameter: '{field}'.")
    previous = body.get("previous_response_id")
    if previous is not None and previous not in _kept:
        raise Refusal(400, f"Previous response with id '{previous}' not found.")
    own = body.get("input")
    items = [{"type": "message", "role": "user", "content": own}] if isinstance(own, str) else own
    require(isinstance(items, list) and items, "Missing required parameter: 'input'.")
    if previous is not None:
        before, said = _kept[previous]
        items = before + said["output"] + items
    response = _response(body, items)
    if body.get("store") is not False:
        _kept[response["id"]] = (items, response)
    return _events(response) if body.get("stream") else response


def stored(method, path):
    """What can be done with an answer afterwards."""
    name, _, operation = path.removeprefix(PATH + "/").partition("/")
    if name not in _kept:
        raise Refusal(404, f"Response with id '{name}' not found.")
    items, response = _kept[name]
    if method == "DELETE":
        del _kept[name]
        return {"id": name, "object": "response", "deleted": True}
    if operation == "input_items":
        data = [item | {"id": f"item_{number}"} for number, item in enumerate(items)]
        return {"object": "list", "data": data, "first_id": None, "last_id": None, "has_more": False}
    return response


def _response(body, items):
    number = next(_numbers)
    output = _output(body, items, number)
    return {
        "id": f"resp_fake{number}",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": body["model"] + "-2026",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": body.get("reasoning"),
        "temperature": 1.0,
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": tokens_in(_prompt(items)),
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens_in(json.dumps(output)),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in(_prompt(items)) + tokens_in(json.dumps(output)),
        },
    }


def _output(body, items, number):
    last = items[-1]
    if last.get("type") == "function_call_output":
        return [_message(number, f"The tool said: {_text_of(last['output'])}")]
    functions = [tool for tool in body.get("tools") or [] if tool["type"] == "function"]
    if functions and body.get("tool_choice") != "none":
        arguments = json.dumps(value_of(functions[0]["parameters"]))
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "status": "completed"}
        return [call | {"name": functions[0]["name"], "arguments": arguments}]
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        return [_message(number, json.dumps(value_of(form["schema"])))]
    return [_message(number, reply_to(_prompt(items)))]


def _message(number, text):
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
    return message | {"content": [part]}


def _prompt(items):
    return "\n".join(_text_of(item["content"]) for item in items if item.get("role") == "user")


def _text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", f"[{part.get('type')}]") for part in content or [])


def _events(response):
    numbers = itertools.count()

    def event(kind, **fields):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': next(numbers)} | fields)}\n\n"

    begun = response | {"status": "in_progress", "output": [], "usage": None}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for place, item in enumerate(response["output"]):
        where = {"output_index": place, "item_id": item["id"]}
        if item["type"] == "message":
            part = item["content"][0]
            empty = item | {"status": "in_progress", "content": []}
            yield event("response.output_item.added", output_index=place, item=empty)
            yield event("response.content_part.added", **where, content_index=0, part=part | {"text": ""})
            for piece in pieces(part["text"]):
                yield event("response.output_text.delta", **where, content_index=0, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, content_index=0, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, content_index=0, part=part)
        else:
            empty = item | {"status": "in_progress", "arguments": ""}
            yield event("response.output_item.added", output_index=place, item=empty)
            for fragment in halves(item["arguments"]):
                yield event("response.function_call_arguments.delta", **where, delta=fragment)
            yield event("response.function_call_arguments.done", **where, arguments=item["arguments"])
        yield event("response.output_item.done", output_index=place, item=item)
    yield event("response.completed", response=response)
