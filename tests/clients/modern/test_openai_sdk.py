"""The current OpenAI Python SDK: chat, streams, tools, structured output, text completions, embeddings, models."""

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

MODELS = ["openai-chat", "anthropic-chat"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Trip(BaseModel):
    city: str
    days: int
    sunny: bool


class Itinerary(BaseModel):
    title: str
    stops: list[Trip]


@pytest.fixture
def client(keyed_url, master_key):
    with openai.OpenAI(base_url=keyed_url, api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def async_client(keyed_url, master_key):
    async with openai.AsyncOpenAI(base_url=keyed_url, api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


def ask(text):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_answered_with_the_base_url_lacking_v1(client, model, marker):
    answer = client.chat.completions.create(model=model, messages=ask(f"Hello {marker}"))
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == f"You said: Hello {marker}"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_chat_is_answered_with_the_base_url_ending_in_v1(keyed_url, master_key, model, marker):
    client = openai.OpenAI(base_url=f"{keyed_url}/v1/", api_key=master_key, max_retries=0)
    answer = client.chat.completions.create(model=model, messages=ask(marker))
    assert answer.choices[0].message.content == f"You said: {marker}"


def test_the_provider_sees_its_own_model_name_and_every_openai_parameter(client, marker, seen):
    client.chat.completions.create(
        model="openai-chat",
        messages=ask(marker),
        temperature=0.2,
        max_completion_tokens=50,
        seed=7,
        stop=["END"],
        user="u-1",
        extra_body={"field_of_the_future": {"kept": [1, 2.50, None]}},
    )
    [request] = seen()
    assert request["path"] == "/openai/v1/chat/completions"
    body = request["body"]
    assert body.pop("messages") == ask(marker)
    assert body == {
        "model": "gpt-4o-mini",
        "temperature": 0.2,
        "max_completion_tokens": 50,
        "seed": 7,
        "stop": ["END"],
        "user": "u-1",
        "field_of_the_future": {"kept": [1, 2.50, None]},
    }


@pytest.mark.parametrize("model", MODELS)
def test_parameters_meant_for_the_gateway_are_not_forwarded(client, model, marker, seen):
    extra = {"num_retries": 0, "fallbacks": [], "caching": False, "request_timeout": 10}
    client.chat.completions.create(model=model, messages=ask(marker), extra_body=extra)
    [request] = seen()
    assert not extra.keys() & request["body"].keys()


def test_a_chat_for_an_anthropic_model_arrives_in_anthropics_words(client, marker, seen):
    client.chat.completions.create(
        model="anthropic-chat", messages=ask(marker), max_tokens=99, stop="END", temperature=0.5
    )
    [request] = seen()
    assert request["path"] == "/anthropic/v1/messages"
    body = request["body"]
    assert body["model"] == "claude-sonnet-4-5-20250929"
    assert body["max_tokens"] == 99
    assert body["stop_sequences"] == ["END"]
    assert body["temperature"] == 0.5
    assert "Be brief." in json.dumps(body["system"])
    assert [message["role"] for message in body["messages"]] == ["user"]


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_as_the_whole_answer(client, model, marker):
    prompt = f"one two three {marker} – ünï 🙂"
    chunks = list(client.chat.completions.create(model=model, messages=ask(prompt), stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == f"You said: {prompt}"
    assert len(chunks) > 4
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert reasons == ["stop"]


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_ends_with_its_usage_when_asked(client, model, marker):
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=model, messages=ask(marker), stream=True, stream_options=options)
    )
    # OpenAI sends this chunk without choices, LiteLLM with an empty one: clients of both are about.
    assert not any(choice.delta.content or choice.finish_reason for choice in chunks[-1].choices)
    assert chunks[-1].usage.prompt_tokens > 0
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_is_an_event_stream_that_ends_with_done(client, model, marker):
    create = client.chat.completions.with_streaming_response.create
    with create(model=model, messages=ask(marker), stream=True) as reply:
        lines = [line for line in reply.iter_lines() if line]
        assert reply.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("model", MODELS)
async def test_the_async_client_is_answered_whole_and_streamed(async_client, model, marker):
    answer = await async_client.chat.completions.create(model=model, messages=ask(marker))
    assert answer.choices[0].message.content == f"You said: {marker}"
    text = ""
    async for chunk in await async_client.chat.completions.create(model=model, messages=ask(marker), stream=True):
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    assert text == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
async def test_forty_calls_at_once_get_each_its_own_answer(async_client, model, marker):
    prompts = [f"{marker} number {number}" for number in range(40)]
    calls = [async_client.chat.completions.create(model=model, messages=ask(prompt)) for prompt in prompts]
    answers = await asyncio.gather(*calls)
    assert [answer.choices[0].message.content for answer in answers] == [f"You said: {prompt}" for prompt in prompts]


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_helper_assembles_the_answer(client, model, marker):
    with client.chat.completions.stream(model=model, messages=ask(marker)) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_with_two_parallel_tool_calls_comes_to_its_end(client, model, marker):
    messages = ask(f"The weather, two calls please {marker}")
    first = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    calls = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["weather", "weather"]
    assert len({call.id for call in calls}) == 2
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}

    messages.append(first.choices[0].message)
    for number, call in enumerate(calls):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{number} degrees"})
    second = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content == "The tool said: 1 degrees"
    assert second.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tool_calls_assemble_into_valid_arguments(client, model, marker):
    calls, reason = {}, None
    messages = ask(f"two calls {marker}")
    for chunk in client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], stream=True):
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
                call["id"] = delta.id or call["id"]
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
    assert reason == "tool_calls"
    assert sorted(calls) == [0, 1]
    assert all(call["id"] and call["name"] == "weather" for call in calls.values())
    assert [json.loads(call["arguments"]) for call in calls.values()] == [{"city": "Paris"}] * 2


@pytest.mark.parametrize("model", MODELS)
def test_a_named_tool_choice_is_obeyed(client, model, marker, seen):
    other = json.loads(json.dumps(WEATHER).replace('"weather"', '"forecast"'))
    choice = {"type": "function", "function": {"name": "forecast"}}
    answer = client.chat.completions.create(
        model=model, messages=ask(marker), tools=[WEATHER, other], tool_choice=choice
    )
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["forecast"]
    assert len(seen()[0]["body"]["tools"]) == 2


@pytest.mark.parametrize("model", [*MODELS, "anthropic-older"])
def test_parse_returns_a_typed_object(client, model, marker):
    answer = client.chat.completions.parse(model=model, messages=ask(marker), response_format=Itinerary)
    trip = Trip(city="Paris", days=7, sunny=True)
    assert answer.choices[0].message.parsed == Itinerary(title="Paris", stops=[trip])
    assert answer.choices[0].finish_reason == "stop"
    assert not answer.choices[0].message.tool_calls


@pytest.mark.parametrize("model", MODELS)
def test_the_beta_parse_returns_a_typed_object(client, model, marker):
    answer = client.beta.chat.completions.parse(model=model, messages=ask(marker), response_format=Trip)
    assert answer.choices[0].message.parsed == Trip(city="Paris", days=7, sunny=True)


@pytest.mark.parametrize("model", MODELS)
def test_parse_returns_typed_tool_arguments(client, model, marker):
    tools = [openai.pydantic_function_tool(Trip, name="plan_trip")]
    answer = client.chat.completions.parse(model=model, messages=ask(marker), tools=tools)
    [call] = answer.choices[0].message.tool_calls
    assert call.function.parsed_arguments == Trip(city="Paris", days=7, sunny=True)


@pytest.mark.parametrize("model", [*MODELS, "anthropic-older"])
def test_a_streamed_structured_answer_parses(client, model, marker):
    with client.chat.completions.stream(model=model, messages=ask(marker), response_format=Trip) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Trip(city="Paris", days=7, sunny=True)


@pytest.mark.parametrize(("model", "kind"), [("openai-chat", "image_url"), ("anthropic-chat", "image")])
def test_an_image_reaches_the_provider_in_its_own_form(client, model, kind, marker, seen):
    picture = "data:image/png;base64,iVBORw0KGgo="
    content = [{"type": "text", "text": marker}, {"type": "image_url", "image_url": {"url": picture}}]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == f"You said: {marker}[{kind}]"
    assert "iVBORw0KGgo=" in json.dumps(seen()[0]["body"])


def test_logprobs_come_back_from_an_openai_model(client, marker):
    answer = client.chat.completions.create(model="openai-chat", messages=ask(marker), logprobs=True)
    assert [entry.token for entry in answer.choices[0].logprobs.content] == ["You ", "said: ", marker]


def test_a_text_completion_is_answered_whole_and_streamed(client, marker):
    answer = client.completions.create(model="text", prompt=marker)
    assert answer.object == "text_completion"
    assert answer.choices[0].text == f"You said: {marker}"
    assert answer.usage.total_tokens > 0
    chunks = list(client.completions.create(model="text", prompt=marker, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_a_text_completion_of_a_chat_model_is_answered_by_a_chat(client, model, marker):
    answer = client.completions.create(model=model, prompt=marker, max_tokens=20)
    assert answer.object == "text_completion"
    assert answer.choices[0].text == f"You said: {marker}"
    chunks = list(client.completions.create(model=model, prompt=marker, stream=True))
    assert "".join(chunk.choices[0].text or "" for chunk in chunks if chunk.choices) == f"You said: {marker}"


def test_embeddings_come_back_as_floats_in_both_encodings(client, marker):
    texts = [marker, marker + "!"]
    packed = client.embeddings.create(model="embedder", input=texts)
    plain = client.embeddings.create(model="embedder", input=texts, encoding_format="float")
    assert [item.embedding for item in packed.data] == [[19.0, 0.0, 0.25], [20.0, 1.0, 0.25]]
    assert [item.embedding for item in plain.data] == [item.embedding for item in packed.data]
    assert packed.usage.prompt_tokens == 2


def test_the_models_are_listed_and_one_can_be_looked_up(client):
    names = [model.id for model in client.models.list()]
    assert set(MODELS) <= set(names)
    assert client.models.retrieve("anthropic-chat").id == "anthropic-chat"


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_names_its_call_and_its_deployment(client, model, marker):
    replies = [
        client.chat.completions.with_raw_response.create(model=model, messages=ask(marker)).headers for _ in range(2)
    ]
    assert len({reply["x-litellm-call-id"] for reply in replies}) == 2
    assert len({reply["x-litellm-model-id"] for reply in replies}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_the_azure_client_finds_its_deployment_paths(keyed_url, master_key, model, marker):
    client = openai.AzureOpenAI(
        azure_endpoint=keyed_url, api_version="2024-10-21", api_key=master_key, max_retries=0, timeout=20
    )
    answer = client.chat.completions.create(model=model, messages=ask(marker))
    assert answer.choices[0].message.content == f"You said: {marker}"


def test_any_key_is_accepted_when_no_master_key_is_set(open_url, marker):
    client = openai.OpenAI(base_url=open_url, api_key="anything", max_retries=0)
    answer = client.chat.completions.create(model="gpt-3.5-turbo", messages=ask(marker))
    assert answer.choices[0].message.content == f"You said: {marker}"
