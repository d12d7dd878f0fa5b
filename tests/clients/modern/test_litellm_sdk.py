"""LiteLLM's own SDK, pointed at the gateway as its proxy: `litellm_proxy/<model>`."""

import json

import litellm
import pytest

MODELS = ["openai-chat", "anthropic-chat"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def target(keyed_url, master_key):
    return {"api_base": keyed_url, "api_key": master_key, "num_retries": 0, "timeout": 20}


def ask(text):
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("model", MODELS)
def test_completion_answers_with_usage(target, model, marker):
    answer = litellm.completion(model=f"litellm_proxy/{model}", messages=ask(marker), **target)
    assert answer.choices[0].message.content == f"You said: {marker}"
    assert answer.usage.total_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_environment_variables_of_the_sdk_are_enough(target, model, marker, monkeypatch):
    monkeypatch.setenv("LITELLM_PROXY_API_BASE", target["api_base"])
    monkeypatch.setenv("LITELLM_PROXY_API_KEY", target["api_key"])
    answer = litellm.completion(model=f"litellm_proxy/{model}", messages=ask(marker))
    assert answer.choices[0].message.content == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
async def test_acompletion_streams(target, model, marker):
    text = ""
    stream = await litellm.acompletion(model=f"litellm_proxy/{model}", messages=ask(marker), stream=True, **target)
    async for chunk in stream:
        text += chunk.choices[0].delta.content or ""
    assert text == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_tools_are_called(target, model, marker):
    answer = litellm.completion(model=f"litellm_proxy/{model}", messages=ask(marker), tools=[WEATHER], **target)
    [call] = answer.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})


def test_metadata_sent_along_stays_in_the_gateway(target, marker, seen):
    extra = {"metadata": {"tags": ["blue"]}}
    litellm.completion(model="litellm_proxy/anthropic-chat", messages=ask(marker), extra_body=extra, **target)
    [request] = seen()
    assert "blue" not in json.dumps(request["body"])


def test_embedding_answers(target, marker):
    answer = litellm.embedding(model="litellm_proxy/embedder", input=[marker], **target)
    assert answer.data[0]["embedding"] == [19.0, 0.0, 0.25]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, litellm.BadRequestError),
        (401, litellm.AuthenticationError),
        (404, litellm.NotFoundError),
        (429, litellm.RateLimitError),
        (500, litellm.InternalServerError),
    ],
)
def test_errors_keep_their_class(target, dialect, status, kind):
    with pytest.raises(kind):
        litellm.completion(model=f"litellm_proxy/{dialect}-fail-{status}", messages=ask("hello"), **target)


def test_a_wrong_key_is_an_authentication_error(target):
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(model="litellm_proxy/openai-chat", messages=ask("hi"), **target | {"api_key": "sk-wrong"})
