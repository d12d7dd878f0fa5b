"""The Responses API with the current OpenAI Python SDK, over a provider that has it and two that have not."""

import json

import httpx
import openai
import pytest
from pydantic import BaseModel

# The provider's own API; told in chat's words; told in Anthropic's.
MODELS = ["openai-chat", "bridged-chat", "anthropic-chat"]
BRIDGED = MODELS[1:]
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Trip(BaseModel):
    city: str
    days: int


@pytest.fixture
def client(keyed_url, master_key):
    with openai.OpenAI(base_url=f"{keyed_url}/v1", api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_a_response_is_whole(client, model, marker):
    response = client.responses.create(model=model, input=marker, instructions="Be brief.", max_output_tokens=50)
    assert response.output_text == f"You said: {marker}"
    assert (response.object, response.status, response.model) == ("response", "completed", model)
    assert response.id.startswith("resp_") and response.output[0].id.startswith("msg_")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    assert response.usage.input_tokens_details.cached_tokens == 0
    assert response.usage.output_tokens_details.reasoning_tokens == 0
    assert response.instructions == "Be brief."


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_event_by_event(client, model, marker):
    events = list(client.responses.create(model=model, input=f"{marker} – ünï 🙂", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == events[-1].response.output_text == f"You said: {marker} – ünï 🙂"
    assert events[-1].response.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_assembles_the_response(client, model, marker):
    with client.responses.stream(model=model, input=marker) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots[-1] == final.output_text == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_function_is_called_and_its_result_returned(client, model, streamed, marker):
    items = [{"role": "user", "content": f"Weather? {marker}"}]
    if streamed:
        events = list(client.responses.create(model=model, input=items, tools=[WEATHER], stream=True))
        fragments = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
        response = events[-1].response
        assert "".join(fragments) == response.output[0].arguments
    else:
        response = client.responses.create(model=model, input=items, tools=[WEATHER])
    [call] = [item for item in response.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
    items += response.output
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"})
    answer = client.responses.create(model=model, input=items, tools=[WEATHER])
    assert answer.output_text == "The tool said: 21 degrees"


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_parsed_by_its_model(client, model, marker):
    response = client.responses.parse(model=model, input=marker, text_format=Trip)
    assert response.output_parsed == Trip(city="Paris", days=7)
    with client.responses.stream(model=model, input=marker, text_format=Trip) as stream:
        assert stream.get_final_response().output_parsed == Trip(city="Paris", days=7)


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_goes_on_from_its_last_response(client, model, marker):
    first = client.responses.create(model=model, input=f"My name is {marker}")
    second = client.responses.create(model=model, input="My name?", previous_response_id=first.id)
    assert second.output_text == f"You said: My name is {marker}\nMy name?"
    assert second.previous_response_id == first.id
    third = client.responses.create(model=model, input="REPLY<<<yes>>>", previous_response_id=second.id, stream=True)
    assert list(third)[-1].response.output_text == "yes"


@pytest.mark.parametrize("model", MODELS)
def test_a_response_is_found_again_until_it_is_deleted(client, model, marker):
    made = client.responses.create(model=model, input=marker)
    found = client.responses.retrieve(made.id)
    assert (found.id, found.output_text, found.model) == (made.id, made.output_text, model)
    [item] = client.responses.input_items.list(made.id).data
    assert marker in str(item)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_ids_of_the_provider_are_not_shown(client, marker, seen):
    first = client.responses.create(model="openai-chat", input=marker)
    second = client.responses.create(model="openai-chat", input=marker, previous_response_id=first.id)
    assert "resp_fake" not in first.model_dump_json() + second.model_dump_json()
    assert seen()[1]["body"]["previous_response_id"].startswith("resp_fake")


def test_what_the_gateway_does_not_know_reaches_a_provider_of_the_same_words(client, marker, seen):
    extra = {"field_of_the_future": marker}
    client.responses.create(model="openai-chat", input=marker, metadata={"a": "b"}, extra_body=extra)
    [request] = seen()
    assert request["path"] == "/openai/v1/responses"
    assert request["body"] == {"model": "gpt-4o-mini", "input": marker, "metadata": {"a": "b"}} | extra


@pytest.mark.parametrize("model", BRIDGED)
def test_background_work_needs_a_provider_that_can(client, model, marker):
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.create(model=model, input=marker, background=True)


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
def test_refusals_are_those_of_the_sdk(client, prefix, marker):
    for status, expected in [(400, openai.BadRequestError), (429, openai.RateLimitError)]:
        with pytest.raises(expected) as caught:
            client.responses.create(model=f"{prefix}-fail-{status}", input=marker, stream=status == 429)
        assert caught.value.status_code == status


@pytest.mark.parametrize("prefix", ["anthropic"])
def test_a_stream_that_breaks_says_that_it_failed(client, prefix, marker):
    words = " ".join(f"word{number}" for number in range(20))
    events = list(client.responses.create(model=f"{prefix}-cut", input=f"{words} {marker}", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.message


def test_azures_client_is_served(keyed_url, master_key, marker):
    client = openai.AzureOpenAI(
        azure_endpoint=keyed_url, api_key=master_key, api_version="2025-04-01-preview", max_retries=0
    )
    made = client.responses.create(model="anthropic-chat", input=marker)
    assert made.output_text == f"You said: {marker}"
    assert client.responses.retrieve(made.id).id == made.id
    today = openai.OpenAI(base_url=f"{keyed_url}/openai/v1/", api_key=master_key, max_retries=0)
    assert today.responses.create(model="openai-chat", input=marker).output_text == f"You said: {marker}"


# What an agent of the Codex kind sends: the whole history each time, nothing kept, its own kinds of tools.
AGENT_TOOLS = [
    {"type": "custom", "name": "apply_patch", "description": "Edits files.",
     "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin"}},
    {"type": "local_shell"},
    WEATHER | {"strict": False},
    {"type": "web_search", "external_web_access": False},
]  # fmt: skip


def agent_request(model, items):
    return {
        "model": model,
        "instructions": "You are a coding agent.",
        "input": items,
        "tools": AGENT_TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": None,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199",
        "text": {"verbosity": "low"},
    }


def events_of(keyed_url, master_key, body):
    headers = {"authorization": f"Bearer {master_key}", "accept": "text/event-stream", "originator": "codex_cli_rs"}
    reply = httpx.post(f"{keyed_url}/v1/responses", headers=headers, json=body, timeout=20)
    assert reply.status_code == 200, reply.text
    assert "[DONE]" not in reply.text
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
    named = [line[7:] for line in reply.text.splitlines() if line.startswith("event: ")]
    assert named == [event["type"] for event in events]
    return events


@pytest.mark.parametrize("model", BRIDGED)
def test_an_agent_works_through_its_turns(keyed_url, master_key, model, marker, seen):
    words = [{"type": "input_text", "text": f"Fix it {marker}"}]
    items = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandboxed."}]},
        {"type": "message", "role": "user", "content": words},
    ]
    events = events_of(keyed_url, master_key, agent_request(model, items))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    [call] = done
    # The fake provider calls the first tool, with a value of its schema.
    assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "apply_patch", "Paris")
    deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(deltas) == "Paris"
    items.append({key: call[key] for key in ("type", "name", "input", "call_id", "status")})
    items.append({"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Success"})
    last = events_of(keyed_url, master_key, agent_request(model, items))[-1]
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == "The tool said: Success"
    tools = seen()[0]["body"]["tools"]
    names = [tool.get("name") or tool["function"]["name"] for tool in tools]
    assert names == ["apply_patch", "local_shell", "weather"]
