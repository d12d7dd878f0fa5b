"""AutoGen of 2023 (`pyautogen` 0.1): the seed's `config_list` and calls."""

import pytest
from autogen import oai


@pytest.fixture(params=["open", "drop"], ids=["openai", "anthropic"])
def config_list(request, open_url, drop_url):
    base = {"open": open_url, "drop": drop_url}[request.param]
    return [{"model": "my-fake-model", "api_base": base, "api_type": "open_ai", "api_key": "NULL"}]


@pytest.fixture(autouse=True)
def no_answers_from_disk(tmp_path):
    """AutoGen keeps answers on disk by default; here each one comes from the gateway."""
    oai.Completion.set_cache(seed=1, cache_path_root=str(tmp_path))


def test_completion_create_with_a_prompt_is_answered(config_list, marker):
    response = oai.Completion.create(config_list=config_list, prompt=marker)
    assert oai.Completion.extract_text(response) == [f"You said: {marker}"]


def test_chat_completion_create_is_answered(config_list, marker):
    messages = [{"role": "user", "content": marker}]
    response = oai.ChatCompletion.create(config_list=config_list, messages=messages)
    assert oai.ChatCompletion.extract_text(response) == [f"You said: {marker}"]
