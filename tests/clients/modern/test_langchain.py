"""LangChain's OpenAI package: invoke, stream, tools, structured output, embeddings."""

import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

MODELS = ["openai-chat", "anthropic-chat"]


class Trip(BaseModel):
    """Where to go and for how long."""

    city: str
    days: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


@pytest.fixture
def chat(keyed_url, master_key):
    def build(model, **options):
        return ChatOpenAI(model=model, base_url=keyed_url, api_key=master_key, max_retries=0, timeout=20, **options)

    return build


@pytest.mark.parametrize("model", MODELS)
def test_invoke_answers_with_usage(chat, model, marker):
    answer = chat(model).invoke([SystemMessage("Be brief."), HumanMessage(marker)])
    assert answer.content == f"You said: {marker}"
    assert answer.usage_metadata["input_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("model", MODELS)
async def test_ainvoke_and_batch_answer(chat, model, marker):
    assert (await chat(model).ainvoke(marker)).content == f"You said: {marker}"
    answers = chat(model).batch([f"{marker} {number}" for number in range(5)])
    assert [answer.content for answer in answers] == [f"You said: {marker} {number}" for number in range(5)]


@pytest.mark.parametrize("model", MODELS)
def test_stream_yields_the_answer_in_pieces_with_usage(chat, model, marker):
    chunks = list(chat(model, stream_usage=True).stream(f"one two three {marker}"))
    assert len([chunk for chunk in chunks if chunk.content]) > 3
    whole = sum(chunks[1:], start=chunks[0])
    assert whole.content == f"You said: one two three {marker}"
    assert whole.usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_bound_tools_are_called_and_their_results_are_understood(chat, model, marker):
    bound = chat(model).bind_tools([weather])
    question = HumanMessage(f"weather? {marker}")
    asked = bound.invoke([question])
    [call] = asked.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})
    result = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
    assert bound.invoke([question, asked, result]).content == "The tool said: rain in Paris"


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tool_calls_are_assembled(chat, model, marker):
    chunks = list(chat(model).bind_tools([weather]).stream(marker))
    whole = sum(chunks[1:], start=chunks[0])
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("weather", {"city": "Paris"})]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("model", MODELS)
def test_structured_output_is_typed(chat, model, method, marker):
    answer = chat(model).with_structured_output(Trip, method=method).invoke(marker)
    assert answer == Trip(city="Paris", days=7)


@pytest.mark.parametrize("length_check", [True, False], ids=["tokens", "text"])
def test_embeddings_are_made_of_token_lists_and_of_text(keyed_url, master_key, length_check, monkeypatch):
    use_bundled_tokenizer(monkeypatch)
    embeddings = OpenAIEmbeddings(
        model="embedder",
        base_url=keyed_url,
        api_key=master_key,
        max_retries=0,
        check_embedding_ctx_length=length_check,
        tiktoken_model_name="gpt-4",
    )
    vectors = embeddings.embed_documents(["hello", "hello hello"])
    assert [len(vector) for vector in vectors] == [3, 3]
    assert vectors[0] != vectors[1]
    assert len(embeddings.embed_query("hello")) == 3


def use_bundled_tokenizer(monkeypatch):
    """Lets tiktoken read the word list that litellm's package carries, so that nothing is downloaded."""
    import pathlib

    import litellm

    folder = pathlib.Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
