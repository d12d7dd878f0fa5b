"""What every Python client test starts with: where the gateways are, and what reached the provider."""

import json
import os
import urllib.parse
import urllib.request
import uuid

import pytest


@pytest.fixture(scope="session")
def keyed_url():
    """The gateway with a configuration file and a master key."""
    return os.environ["KEYED_URL"]


@pytest.fixture(scope="session")
def onward_url():
    """The same, and streams that break after content go on at another deployment."""
    return os.environ["ONWARD_URL"]


@pytest.fixture(scope="session")
def open_url():
    """The gateway started as `tollgate --model gpt-3.5-turbo`, without a key."""
    return os.environ["OPEN_URL"]


@pytest.fixture(scope="session")
def drop_url():
    """The gateway in front of an Anthropic model, with `--drop_params` and without a key."""
    return os.environ["DROP_URL"]


@pytest.fixture(scope="session")
def master_key():
    return os.environ["MASTER_KEY"]


@pytest.fixture
def marker():
    """A word of this test alone: put into the prompt, it finds the request at the provider."""
    return f"marker-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def seen(marker):
    """The requests of this test as they reached the provider: `path`, `headers`, `body` of each."""

    def requests():
        query = urllib.parse.urlencode({"marker": marker})
        with urllib.request.urlopen(f"{os.environ['FAKE_URL']}/_seen?{query}", timeout=5) as reply:
            return json.load(reply)

    return requests
