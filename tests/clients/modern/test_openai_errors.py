"""The current OpenAI Python SDK: every failure arrives as the exception class that applications catch."""

import time

import openai
import pytest

DIALECTS = ["openai", "anthropic"]
QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(keyed_url, master_key):
    with openai.OpenAI(base_url=keyed_url, api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


def refused(error):
    """Checks that an error's body is OpenAI's, and returns it."""
    assert error.body.keys() >= {"message", "type", "param", "code"}
    assert error.body["message"]
    assert isinstance(error.body["code"], str)
    return error.body


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_providers_error_keeps_its_class(client, dialect, stream, status, kind):
    with pytest.raises(kind) as raised:
        client.chat.completions.create(model=f"{dialect}-fail-{status}", messages=QUESTION, stream=stream)
    assert raised.value.status_code == status or status >= 500
    assert f"asked to fail with {status}" in refused(raised.value)["message"]


@pytest.mark.parametrize("key", ["sk-wrong", "sk-client-tests-maste", "sk-client-tests-master2"])
def test_a_wrong_key_is_an_authentication_error(keyed_url, key):
    client = openai.OpenAI(base_url=keyed_url, api_key=key, max_retries=0)
    with pytest.raises(openai.AuthenticationError) as raised:
        client.chat.completions.create(model="openai-chat", messages=QUESTION)
    assert key not in refused(raised.value)["message"]


def test_a_wrong_key_may_not_list_the_models(keyed_url):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=keyed_url, api_key="sk-wrong", max_retries=0).models.list()


def test_an_unknown_model_is_a_bad_request_that_names_it(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
    assert "no-such-model" in refused(raised.value)["message"]


def test_an_unknown_path_is_a_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.post("/no/such/path", body={}, cast_to=object)
    refused(raised.value)


@pytest.mark.parametrize("messages", ["hello", 7, [], [{"content": "no role"}]], ids=["text", "number", "none", "role"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_malformed_messages_are_a_bad_request(client, dialect, messages):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=f"{dialect}-chat", messages=messages)
    refused(raised.value)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_clients_own_timeout_is_an_api_timeout_error(client, dialect):
    started = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model=f"{dialect}-slow", messages=QUESTION, timeout=0.5)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_gateways_timeout_is_answered_with_408(client, dialect):
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=f"{dialect}-slow", messages=QUESTION, extra_body={"timeout": 0.5})
    assert raised.value.status_code == 408
    refused(raised.value)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_the_provider_cuts_raises_an_error_in_the_client(client, dialect):
    words = " ".join(f"word{number}" for number in range(30))
    stream = client.chat.completions.create(
        model=f"{dialect}-cut", messages=[{"role": "user", "content": words}], stream=True
    )
    with pytest.raises(openai.APIError):
        for _chunk in stream:
            pass


def test_the_clients_retries_meet_a_retry_after_header(client):
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="openai-fail-429", messages=QUESTION)
    assert int(raised.value.response.headers["retry-after"]) == 7
