"""Streams that break at the provider, as the official SDKs see them: whole where another deployment could answer, an error
where it was too late for that, and never as if all were well. `docs/reference/faults.md` has the table of all faults."""

import anthropic
import openai
import pytest

BREAKS = ["cut", "error", "stall"]
WORDS = "one two three four five six"
RETRY = {"num_retries": 1}


def chat(url, key, model, marker, extra):
    """The words of a chat's stream, as they come."""
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20) as client:
        asked = [{"role": "user", "content": f"REPLY<<<{WORDS}>>> {marker}"}]
        for chunk in client.chat.completions.create(model=model, messages=asked, stream=True, extra_body=extra):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


def messages(url, key, model, marker, extra):
    """The words of a message's stream, as they come."""
    with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=20) as client:
        asked = [{"role": "user", "content": f"REPLY<<<{WORDS}>>> {marker}"}]
        with client.messages.stream(model=model, max_tokens=100, messages=asked, extra_body=extra) as stream:
            yield from stream.text_stream


class Failed(Exception):
    """The event with which a response ends that failed: OpenAI's SDK hands it out and does not raise it."""


def responses(url, key, model, marker, extra):
    """The words of a response's stream, as they come."""
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20) as client:
        asked = f"REPLY<<<{WORDS}>>> {marker}"
        last = None
        for event in client.responses.create(model=model, input=asked, stream=True, extra_body=extra):
            assert last is None or last.type not in ("response.failed", "error"), "nothing comes after a failure"
            last = event
            if event.type == "response.output_text.delta":
                yield event.delta
        if last.type == "response.failed":
            raise Failed(last.response.error.message)
        if last.type == "error":
            raise Failed(last.message)
        assert last.type == "response.completed"


def final_response(url, key, model, marker):
    """What the SDK's helper makes of a response's stream."""
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=20) as client:
        with client.responses.stream(model=model, input=f"REPLY<<<{WORDS}>>> {marker}") as stream:
            return stream.get_final_response()


SDKS = {"chat": (chat, openai.APIError), "messages": (messages, anthropic.APIError), "responses": (responses, Failed)}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("sdk", SDKS)
def test_a_stream_that_breaks_after_content_is_the_sdks_own_error(keyed_url, master_key, marker, seen, sdk, provider, how):
    read, error = SDKS[sdk]
    heard = []
    with pytest.raises(error) as raised:
        for words in read(keyed_url, master_key, f"{provider}-break-{how}-late-helped", marker, RETRY):
            heard.append(words)
    assert "".join(heard) == "one two "
    assert str(raised.value)
    assert len(seen()) == 1, "what the client has read cannot be taken back"


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("sdk", SDKS)
def test_a_stream_that_breaks_before_content_is_another_deployments(keyed_url, master_key, marker, seen, sdk, provider, how):
    read, _ = SDKS[sdk]
    model = f"{provider}-break-{how}-early-helped"
    assert "".join(read(keyed_url, master_key, model, marker, RETRY)) == WORDS
    assert len(seen()) == 2


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("sdk", SDKS)
def test_a_stream_that_breaks_before_content_and_has_nobody_else_is_a_status(keyed_url, master_key, marker, sdk, provider, how):
    read, _ = SDKS[sdk]
    error = anthropic.APIStatusError if sdk == "messages" else openai.APIStatusError
    with pytest.raises(error) as raised:
        list(read(keyed_url, master_key, f"{provider}-break-{how}-early", marker, {}))
    assert raised.value.status_code in ((408,) if how == "stall" else (500, 503))


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_no_final_response_is_made_of_a_broken_stream(keyed_url, master_key, marker, provider, how):
    with pytest.raises((openai.APIError, RuntimeError)):
        final_response(keyed_url, master_key, f"{provider}-break-{how}-late", marker)
