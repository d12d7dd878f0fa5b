"""Streams that break after content and go on at another deployment (`router_settings.continuation`), as the official SDKs
see them: one answer, whole, as if nothing had happened."""

import anthropic
import openai
import pytest
from test_faults import BREAKS, SDKS, WORDS

# The Responses API of a provider's own is passed on as it is, and nobody else goes on with it.
PAIRS = [
    (sdk, provider)
    for sdk in SDKS
    for provider in ("openai", "openai_like", "anthropic")
    if (sdk, provider) != ("responses", "openai")
]


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("who", ["claude", "mistral"])
@pytest.mark.parametrize(("sdk", "provider"), PAIRS)
def test_a_stream_that_breaks_after_content_is_whole(onward_url, master_key, marker, seen, sdk, provider, who, how):
    read, _ = SDKS[sdk]
    heard = list(read(onward_url, master_key, f"{provider}-break-{how}-late-{who}", marker, {}))
    assert "".join(heard) == WORDS
    first, second = seen()
    last = second["body"]["messages"][-1]
    assert last["role"] == "assistant" and "one two" in str(last["content"])


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("sdk", SDKS)
def test_where_nobody_can_go_on_it_is_the_sdks_own_error(onward_url, master_key, marker, seen, sdk, how):
    read, error = SDKS[sdk]
    heard = []
    with pytest.raises(error):
        for words in read(onward_url, master_key, f"openai-break-{how}-late-nobody", marker, {}):
            heard.append(words)
    assert "".join(heard) == "one two "
    assert len(seen()) == 1


def test_a_providers_own_responses_are_not_gone_on_with(onward_url, master_key, marker, seen):
    read, error = SDKS["responses"]
    with pytest.raises(error):
        list(read(onward_url, master_key, "openai-break-cut-late-claude", marker, {}))
    assert len(seen()) == 1


def test_the_usage_and_the_last_message_are_those_of_one_answer(onward_url, master_key, marker):
    asked = [{"role": "user", "content": f"REPLY<<<{WORDS}>>> {marker}"}]
    with anthropic.Anthropic(base_url=onward_url, api_key=master_key, max_retries=0, timeout=20) as client:
        with client.messages.stream(model="openai-break-cut-late-claude", max_tokens=100, messages=asked) as stream:
            message = stream.get_final_message()
    assert [block.text for block in message.content] == [WORDS]
    assert message.stop_reason == "end_turn" and message.usage.output_tokens >= 6
    with openai.OpenAI(base_url=onward_url, api_key=master_key, max_retries=0, timeout=20) as client:
        chunks = list(
            client.chat.completions.create(
                model="anthropic-break-cut-late-mistral",
                messages=asked,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        with client.responses.stream(model="openai_like-break-cut-late-claude", input=asked[0]["content"]) as stream:
            response = stream.get_final_response()
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage.completion_tokens >= 6
    assert response.output_text == WORDS and response.status == "completed"
