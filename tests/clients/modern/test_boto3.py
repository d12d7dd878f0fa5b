"""AWS's own client at the pass-through: our key is the access key that it signs with, the provider checks our signature."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def client_with(url, key):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=f"{url}/bedrock",
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="anything",
        config=Config(retries={"max_attempts": 1}),
    )


def ask(text):
    return [{"role": "user", "content": [{"text": text}]}]


@pytest.mark.parametrize("model", ["amazon.nova-lite-v1:0", "nova"])
def test_a_conversation_is_signed_anew(keyed_url, master_key, model):
    answer = client_with(keyed_url, master_key).converse(modelId=model, messages=ask("Hello"))
    assert answer["output"]["message"]["content"] == [{"text": "You said: Hello"}]
    assert answer["usage"]["totalTokens"] == 11


def test_a_stream_passes_as_it_is(keyed_url, master_key):
    answer = client_with(keyed_url, master_key).converse_stream(modelId="nova", messages=ask("Hello"))
    events = [next(iter(event)) for event in answer["stream"]]
    assert events == ["messageStart", "contentBlockDelta", "messageStop", "metadata"]


def test_another_key_is_refused(keyed_url):
    with pytest.raises(ClientError) as refused:
        client_with(keyed_url, "sk-another").converse(modelId="nova", messages=ask("Hello"))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401
