"""Google's SDK, in front of a model of Google's and of one of OpenAI's: generate, stream, tools, counts, errors."""

import json
import os
import urllib.request

import pytest
from google import genai
from google.genai import errors, types

MODELS = ["gemini-chat", "openai-chat"]


@pytest.fixture(scope="session")
def url():
    """Where Google's words are understood."""
    return os.environ["GOOGLE_URL"]


@pytest.fixture
def client(url, master_key):
    return genai.Client(api_key=master_key, http_options=types.HttpOptions(base_url=url, timeout=20_000))


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@pytest.mark.parametrize("model", MODELS)
def test_content_is_generated_with_usage(client, model, marker):
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=50, temperature=0.2)
    answer = client.models.generate_content(model=model, contents=marker, config=config)
    assert answer.text == f"You said: {marker}"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.prompt_token_count > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_comes_in_pieces_with_usage(client, model, marker):
    prompt = f"one two three {marker}"
    chunks = list(client.models.generate_content_stream(model=model, contents=prompt))
    assert len([chunk for chunk in chunks if chunk.text]) > 3
    assert "".join(chunk.text or "" for chunk in chunks) == f"You said: {prompt}"
    assert chunks[-1].usage_metadata.candidates_token_count > 0


@pytest.mark.parametrize("model", MODELS)
async def test_the_asynchronous_client_streams_too(client, model, marker):
    stream = await client.aio.models.generate_content_stream(model=model, contents=marker)
    assert "".join([chunk.text or "" async for chunk in stream]) == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_functions_are_called_and_their_results_are_understood(client, model, marker):
    question = types.Content(role="user", parts=[types.Part(text=f"weather? {marker}")])
    config = types.GenerateContentConfig(
        tools=[weather], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    answer = client.models.generate_content(model=model, contents=[question], config=config)
    [call] = answer.function_calls
    assert (call.name, call.args) == ("weather", {"city": "Paris"})
    result = types.Part.from_function_response(name="weather", response={"result": weather(**call.args)})
    turns = [question, answer.candidates[0].content, types.Content(role="user", parts=[result])]
    assert "rain in Paris" in client.models.generate_content(model=model, contents=turns, config=config).text


@pytest.mark.parametrize("model", MODELS)
def test_a_streamed_call_is_whole(client, model, marker):
    config = types.GenerateContentConfig(
        tools=[weather], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )
    stream = client.models.generate_content_stream(model=model, contents=marker, config=config)
    calls = [call for chunk in stream for call in chunk.function_calls or []]
    assert [(call.name, call.args) for call in calls] == [("weather", {"city": "Paris"})]


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted(client, model, marker):
    short = client.models.count_tokens(model=model, contents=marker).total_tokens
    assert 0 < short < client.models.count_tokens(model=model, contents=f"{marker} and ten more words " * 10).total_tokens


def test_what_the_gateway_does_not_know_reaches_google(client, marker, seen):
    config = types.GenerateContentConfig(
        safety_settings=[types.SafetySetting(category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE")]
    )
    client.models.generate_content(model="gemini-chat", contents=marker, config=config)
    [request] = seen()
    assert request["body"]["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]


def test_a_wrong_key_is_refused_in_googles_words(url, marker):
    stranger = genai.Client(api_key="sk-wrong", http_options=types.HttpOptions(base_url=url))
    with pytest.raises(errors.ClientError) as refused:
        stranger.models.generate_content(model="gemini-chat", contents=marker)
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("dialect", ["gemini", "openai"])
def test_a_providers_refusal_is_told_in_googles_words(client, dialect, marker):
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model=f"{dialect}-fail-429", contents=marker)
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_that_is_no_event_stream_is_a_list(url, master_key, model, marker):
    body = {"contents": [{"role": "user", "parts": [{"text": f"Hello {marker}"}]}]}
    path = f"{url}/v1beta/models/{model}:streamGenerateContent"
    headers = {"x-goog-api-key": master_key, "content-type": "application/json"}
    request = urllib.request.Request(path, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["content-type"] == "application/json"
        elements = [types.GenerateContentResponse.model_validate(element) for element in json.load(answer)]
    assert "".join(element.text or "" for element in elements).endswith(f"Hello {marker}")


def test_a_refusal_below_the_pass_through_is_in_googles_words(url, marker):
    stranger = genai.Client(api_key="sk-wrong", http_options=types.HttpOptions(base_url=f"{url}/gemini"))
    with pytest.raises(errors.ClientError) as refused:
        stranger.models.generate_content(model="gemini-chat", contents=marker)
    assert (refused.value.code, refused.value.status) == (401, "UNAUTHENTICATED")
