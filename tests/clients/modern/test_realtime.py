"""Realtime sockets, with the client library that OpenAI's SDK uses, and with the SDK itself."""

import asyncio
import contextlib
import json
import os

import openai
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

pytestmark = pytest.mark.asyncio

PATIENCE = 20


@contextlib.asynccontextmanager
async def provider():
    """A provider that does what a text says; yields the requests it heard and how their sockets ended."""
    heard, endings = [], []

    async def converse(socket):
        heard.append(socket.request)
        await socket.send(json.dumps({"type": "session.created", "session": {"type": "realtime"}}))
        try:
            async for message in socket:
                event = json.loads(message) if message.startswith("{") else {"type": message}
                if event["type"] == "response.create":
                    usage = {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6}
                    await say(socket, type="response.created", response={"id": "r"})
                    await say(socket, type="response.output_text.delta", delta="Hello")
                    await say(socket, type="response.done", response={"id": "r", "usage": usage})
                elif event["type"] == "cut":
                    socket.transport.abort()
                elif event["type"] == "close":
                    await socket.close(4002, "had enough")
                else:
                    await say(socket, type="echo", length=len(message))
        except websockets.ConnectionClosed:
            pass
        await socket.wait_closed()
        endings.append(socket.close_code)

    async def say(socket, **event):
        await socket.send(json.dumps({"event_id": "e", **event}))

    port = int(os.environ["REALTIME_PORT"])
    async with serve(converse, "127.0.0.1", port, max_size=None):
        yield heard, endings


def address(keyed_url):
    return keyed_url.replace("http://", "ws://") + "/v1/realtime?model=realtime"


def with_key(master_key):
    return {"additional_headers": {"Authorization": f"Bearer {master_key}"}}


async def hear(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))


async def closed(socket):
    """The code and words with which a socket is closed."""
    with pytest.raises(websockets.ConnectionClosed) as ended:
        while True:
            await asyncio.wait_for(socket.recv(), PATIENCE)
    return ended.value.rcvd.code, ended.value.rcvd.reason


async def test_the_sdk_has_a_conversation(keyed_url, master_key):
    async with provider() as (heard, _):
        client = openai.AsyncOpenAI(base_url=f"{keyed_url}/v1", api_key=master_key)
        async with client.realtime.connect(model="realtime") as connection:
            said = ""
            await connection.response.create()
            async for event in connection:
                said += getattr(event, "delta", None) or ""
                if event.type == "response.done":
                    break
        assert said == "Hello"
        assert heard[0].path == "/v1/realtime?model=gpt-realtime"
        assert master_key not in str(heard[0].headers)


async def test_a_browser_shows_its_key_as_a_protocol(keyed_url, master_key):
    async with provider() as (heard, _):
        protocols = ["realtime", f"openai-insecure-api-key.{master_key}"]
        async with connect(address(keyed_url), subprotocols=protocols) as socket:
            assert socket.subprotocol == "realtime"
            assert (await hear(socket))["type"] == "session.created"
            pong = await socket.ping()
            await asyncio.wait_for(pong, PATIENCE)
        assert master_key not in str(heard[0].headers)


@pytest.mark.parametrize("key", [None, "sk-wrong"])
async def test_a_wrong_key_is_refused_before_the_socket_opens(keyed_url, key):
    async with provider() as (heard, _):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(address(keyed_url), additional_headers=headers)
        assert refused.value.response.status_code == 401
        assert heard == []


async def test_what_the_provider_says_last_is_passed_on(keyed_url, master_key):
    async with provider():
        async with connect(address(keyed_url), **with_key(master_key)) as socket:
            await socket.send("close")
            assert await closed(socket) == (4002, "had enough")


async def test_a_provider_that_is_cut_is_told(keyed_url, master_key):
    async with provider():
        async with connect(address(keyed_url), **with_key(master_key)) as socket:
            await socket.send("cut")
            code, reason = await closed(socket)
            assert code == 1011 and "lost" in reason


async def test_a_client_that_is_cut_ends_the_providers_socket(keyed_url, master_key):
    async with provider() as (_, endings):
        socket = await connect(address(keyed_url), **with_key(master_key))
        assert (await hear(socket))["type"] == "session.created"
        socket.transport.abort()
        for _ in range(PATIENCE * 50):
            if endings:
                break
            await asyncio.sleep(0.02)
        assert endings == [1000]


async def test_large_messages_pass_and_larger_ones_do_not(keyed_url, master_key):
    async with provider():
        # Not as a context: the library's own farewell stumbles over a connection that ends while it writes.
        socket = await connect(address(keyed_url), **with_key(master_key), max_size=None)
        await hear(socket)
        await socket.send("x" * (15 << 20))
        assert (await hear(socket))["length"] == 15 << 20
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.send("x" * (17 << 20))
        code, _ = await closed(socket)
        assert code == 1009


async def test_no_provider_is_an_answer_over_http(keyed_url, master_key):
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(address(keyed_url), **with_key(master_key))
    assert refused.value.response.status_code >= 500
    assert "error" in json.loads(refused.value.response.body)
