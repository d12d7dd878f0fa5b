"""openai 0.28, as the tools of 2023 embed it: the base URL lacks `/v1`, and the key is anything."""

import openai
import pytest

QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture(params=["open", "drop"], ids=["openai", "anthropic"])
def target(request, open_url, drop_url):
    """Both gateways without a key; each answers every model name with its one model."""
    return {"api_base": {"open": open_url, "drop": drop_url}[request.param], "api_key": "fake-key"}


def ask(text):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def test_a_chat_is_answered(target, marker):
    answer = openai.ChatCompletion.create(model="any-name", messages=ask(marker), **target)
    assert answer["choices"][0]["message"]["content"] == f"You said: {marker}"
    assert answer["usage"]["total_tokens"] > 0


def test_a_chat_is_streamed(target, marker):
    stream = openai.ChatCompletion.create(model="any-name", messages=ask(marker), stream=True, **target)
    deltas = [chunk["choices"][0]["delta"] for chunk in stream if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == f"You said: {marker}"
    assert len(deltas) > 3


def test_a_text_completion_is_answered_by_the_chat_model(target, marker):
    answer = openai.Completion.create(model="any-name", prompt=marker, **target)
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == f"You said: {marker}"


def test_a_text_completion_is_streamed(target, marker):
    stream = openai.Completion.create(model="any-name", prompt=marker, stream=True, **target)
    assert "".join(chunk["choices"][0]["text"] or "" for chunk in stream if chunk["choices"]) == f"You said: {marker}"


def test_continue_reaches_the_one_model_under_a_name_that_does_not_exist(target, marker):
    # Continue's configuration in the seed: api_base without /v1, api_key "IGNORED", model "fake-model-name".
    stream = openai.ChatCompletion.create(
        model="fake-model-name", messages=ask(marker), stream=True, **target | {"api_key": "IGNORED"}
    )
    deltas = [chunk["choices"][0]["delta"] for chunk in stream if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == f"You said: {marker}"


def test_legacy_functions_are_called(open_url, marker, seen):
    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    openai.ChatCompletion.create(
        model="any-name", messages=ask(marker), functions=[function], api_base=open_url, api_key="fake-key"
    )
    assert seen()[0]["body"]["functions"] == [function]


def test_embeddings_are_answered(keyed_url, master_key, marker):
    answer = openai.Embedding.create(model="embedder", input=[marker], api_base=keyed_url, api_key=master_key)
    assert answer["data"][0]["embedding"] == [19.0, 0.0, 0.25]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.error.InvalidRequestError),
        (401, openai.error.AuthenticationError),
        (429, openai.error.RateLimitError),
        (500, openai.error.APIError),
        (503, openai.error.ServiceUnavailableError),
    ],
)
def test_errors_keep_their_class(keyed_url, master_key, dialect, status, kind):
    with pytest.raises(kind):
        openai.ChatCompletion.create(
            model=f"{dialect}-fail-{status}", messages=QUESTION, api_base=keyed_url, api_key=master_key
        )


def test_a_wrong_key_is_an_authentication_error(keyed_url):
    with pytest.raises(openai.error.AuthenticationError):
        openai.ChatCompletion.create(model="openai-chat", messages=QUESTION, api_base=keyed_url, api_key="sk-wrong")
