"""The current Anthropic Python SDK before a model of Anthropic's and before one of another provider's."""

import anthropic
import pytest

MODELS = ["anthropic-chat", "vllm-chat"]
WEATHER = {
    "name": "weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "cache_control": {"type": "ephemeral"},
}
BRIEF = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]


@pytest.fixture
def client(keyed_url, master_key):
    with anthropic.Anthropic(base_url=keyed_url, api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


def ask(text):
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]


@pytest.mark.parametrize("model", MODELS)
def test_a_message_is_answered(client, model, marker):
    answer = client.messages.create(model=model, max_tokens=100, system=BRIEF, messages=ask(f"Hello {marker}"))
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", model)
    assert answer.content[0].text == f"You said: Hello {marker}"
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_a_bearer_token_is_a_key_as_well(keyed_url, master_key, model, marker):
    client = anthropic.Anthropic(base_url=keyed_url, auth_token=master_key, api_key=None, max_retries=0)
    answer = client.messages.create(model=model, max_tokens=100, messages=ask(marker))
    assert answer.content[0].text == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_adds_up_to_a_message(client, model, marker):
    with client.messages.stream(model=model, max_tokens=100, messages=ask(f"Hello {marker}")) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert text == answer.content[0].text == f"You said: Hello {marker}"
    assert (answer.model, answer.stop_reason) == (model, "end_turn")
    assert answer.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streams", [False, True])
def test_tools_are_called_and_their_results_understood(client, model, streams, marker):
    question = {"model": model, "max_tokens": 100, "tools": [WEATHER], "messages": ask(f"two calls {marker}")}
    if streams:
        with client.messages.stream(**question) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(**question)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert [set(call.input) for call in calls] == [{"city"}, {"city"}]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"21 {marker}"} for call in calls]
    question["messages"] += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]},
        {"role": "user", "content": results},
    ]
    assert client.messages.create(**question).content[0].text == f"The tool said: 21 {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_a_request_to_think_is_no_mistake(client, model, marker):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answer = client.messages.create(model=model, max_tokens=2000, thinking=thinking, messages=ask(marker))
    assert answer.content[-1].text == f"You said: {marker}"


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted(client, model, marker):
    count = client.messages.count_tokens(model=model, system="Be brief.", messages=ask(f"Hello {marker}"))
    assert count.input_tokens > 0


def test_the_provider_sees_its_own_model_and_what_the_client_wrote(client, marker, seen):
    client.beta.messages.create(
        model="anthropic-chat",
        max_tokens=100,
        system=BRIEF,
        messages=ask(marker),
        metadata={"user_id": "user_1"},
        betas=["interleaved-thinking-2025-05-14"],
    )
    [request] = seen()
    assert request["body"]["model"] == "claude-sonnet-4-5-20250929"
    assert (request["body"]["system"], request["body"]["metadata"]) == (BRIEF, {"user_id": "user_1"})
    assert request["headers"]["anthropic-beta"] == "interleaved-thinking-2025-05-14"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_providers_refusal_is_the_sdks_own_exception(client, status, error, streams, marker):
    with pytest.raises(error) as refused:
        client.messages.create(
            model=f"anthropic-fail-{status}", max_tokens=100, messages=ask(marker), stream=streams
        )
    assert refused.value.status_code == status
    assert refused.value.body["type"] == "error"


def test_a_wrong_key_is_an_authentication_error(keyed_url, marker):
    client = anthropic.Anthropic(base_url=keyed_url, api_key="sk-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model="anthropic-chat", max_tokens=100, messages=ask(marker))


@pytest.mark.parametrize("model", ["anthropic-cut", "vllm-cut"])
def test_a_stream_that_breaks_off_is_an_error(client, model, marker):
    with pytest.raises(anthropic.APIError), client.messages.stream(
        model=model, max_tokens=100, messages=ask(f"REPLY<<<{'word ' * 50}>>> {marker}")
    ) as stream:
        stream.until_done()


def test_a_refusal_below_the_pass_through_is_the_sdks_own_exception(keyed_url, master_key, marker):
    stranger = anthropic.Anthropic(base_url=f"{keyed_url}/anthropic", api_key="sk-wrong", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        stranger.messages.create(model="anthropic-chat", max_tokens=9, messages=ask(marker))
    assert refused.value.body["error"]["type"] == "authentication_error"
    client = anthropic.Anthropic(base_url=keyed_url, api_key=master_key, max_retries=0)
    with pytest.raises(anthropic.NotFoundError) as refused:
        client.messages.batches.list()
    assert refused.value.body["type"] == "error"


@pytest.mark.parametrize("model", MODELS)
def test_the_operator_may_speak_among_the_turns(client, model, marker):
    said = [{"role": "system", "content": "Be brief."}, *ask("One"), {"role": "system", "content": "Still brief."}]
    said += [{"role": "assistant", "content": "Two"}, *ask(f"Hello {marker}")]
    answer = client.messages.create(model=model, max_tokens=100, messages=said)
    assert answer.content[0].text.endswith(f"Hello {marker}")
