"""The world of the client tests: the fake provider and, in front of it, the gateways that the tests talk to.

  keyed   a configuration file, a master key, models of both dialects by name, one failing model per status
  open    `--model gpt-3.5-turbo`, no key: as the seeds start it for LibreChat, Continue, aider, AutoGen
  onward  the same key; streams that break after content go on at another deployment
  drop    `--model claude-… --drop_params`, no key: an Anthropic model that answers every name
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import fake_anthropic
import fake_bedrock
import fake_gemini
import fake_openai
from fake_provider import FakeProvider
from fake_words import BREAKING

MASTER_KEY = "sk-client-tests-master"
FAILING = [400, 401, 403, 404, 429, 500, 503]
READY_WITHIN_SECONDS = 20


class World:
    """Everything that runs. `environment()` is what a test process needs to find it."""

    def __init__(self, binary):
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory(prefix="tollgate-clients-")
        self.processes = []
        # Without a binary the tests run against the fake provider itself, which checks the tests, not the gateway.
        self.provider = FakeProvider(direct=binary is None)
        self.urls = {}
        # The realtime provider is a socket server of its test's own, where the client library for sockets is.
        self.realtime_port = free_port()

    def start(self):
        if self.binary is None:
            self.urls = dict.fromkeys(("keyed", "onward", "open", "drop"), self.provider.url + "/openai/v1")
            return
        config = pathlib.Path(self.folder.name) / "config.yaml"
        # JSON is YAML, and the standard library writes it.
        config.write_text(json.dumps(self.configuration(), indent=2))
        openai = ["--api_base", f"{self.provider.url}/openai/v1"]
        anthropic = ["--api_base", f"{self.provider.url}/anthropic", "--temperature", "0.3", "--max_tokens", "2048"]
        onward = pathlib.Path(self.folder.name) / "onward.yaml"
        onward.write_text(json.dumps(self.onward(), indent=2))
        self.launch("keyed", ["--config", str(config)])
        self.launch("onward", ["--config", str(onward)])
        self.launch("open", ["--model", "gpt-3.5-turbo", *openai])
        self.launch("drop", ["--model", "anthropic/claude-3-haiku-20240307", *anthropic, "--drop_params"])
        for name in self.urls:
            self.wait_until_ready(name)

    def configuration(self):
        """The configuration of the gateway `keyed`."""
        openai = {"api_base": f"{self.provider.url}/openai/v1", "api_key": fake_openai.KEY}
        anthropic = {"api_base": f"{self.provider.url}/anthropic", "api_key": fake_anthropic.KEY}
        gemini = {"api_base": f"{self.provider.url}/gemini/v1beta", "api_key": fake_gemini.KEY}
        bedrock = {
            "api_base": self.provider.url,
            "aws_access_key_id": fake_bedrock.ACCESS_KEY,
            "aws_secret_access_key": fake_bedrock.SECRET_KEY,
            "aws_region_name": fake_bedrock.REGION,
        }
        models = [
            ("gemini-chat", {"model": "gemini/gemini-2.5-flash", **gemini}),
            ("gemini-fail-429", {"model": "gemini/fail-429", **gemini}),
            ("nova", {"model": "bedrock/amazon.nova-lite-v1:0", **bedrock}),
            ("openai-chat", {"model": "openai/gpt-4o-mini", **openai}),
            # A server that knows chat only.
            ("bridged-chat", {"model": "openai_like/gpt-4o-mini", **openai}),
            # Claude Code asks by these names, and in other words for names that it does not know.
            ("claude-sonnet-4-5", {"model": "anthropic/claude-sonnet-4-5-20250929", **anthropic}),
            ("claude-opus-4-8", {"model": "anthropic/claude-opus-4-8", **anthropic}),
            ("anthropic-chat", {"model": "anthropic/claude-sonnet-4-5-20250929", **anthropic}),
            ("anthropic-older", {"model": "anthropic/claude-3-haiku-20240307", **anthropic}),
            ("vllm-chat", {"model": "hosted_vllm/gpt-4o-mini", **openai}),
            ("vllm-cut", {"model": "hosted_vllm/cut", **openai}),
            ("text", {"model": "text-completion-openai/gpt-3.5-turbo-instruct", **openai}),
            (
                "realtime",
                {
                    "model": "openai/gpt-realtime",
                    "api_base": f"http://127.0.0.1:{self.realtime_port}/v1",
                    "api_key": fake_openai.KEY,
                },
            ),
            ("embedder", {"model": "openai/text-embedding-3-small", **openai}),
            ("ears", {"model": "openai/whisper-1", **openai}),
            ("voice", {"model": "openai/tts-1", **openai}),
            ("painter", {"model": "openai/gpt-image-1", **openai}),
            ("judge", {"model": "openai/omni-moderation-latest", **openai}),
        ]
        for kind in ["slow", "cut", *(f"fail-{status}" for status in FAILING)]:
            models.append((f"openai-{kind}", {"model": f"openai/{kind}", **openai}))
            models.append((f"anthropic-{kind}", {"model": f"anthropic/{kind}", **anthropic}))
        for name in BREAKING:
            # Alone, and with another deployment behind it that answers.
            for dialect, well in [("openai", ("gpt-4o-mini", openai)), ("anthropic", ("claude-opus-4-8", anthropic))]:
                broken = {"model": f"{dialect}/{name}", **well[1], "order": 1}
                models.append((f"{dialect}-{name}", broken))
                models.append((f"{dialect}-{name}-helped", broken))
                models.append((f"{dialect}-{name}-helped", {"model": f"{dialect}/{well[0]}", **well[1], "order": 2}))
        return {
            "model_list": [{"model_name": name, "litellm_params": params} for name, params in models],
            # One attempt per call, so that a test of an error sees it once and at once.
            "litellm_settings": {"num_retries": 0, "request_timeout": 30},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True, "stream_idle_timeout": 2},
            "general_settings": {"master_key": MASTER_KEY},
        }

    def onward(self):
        """The configuration of the gateway `onward`: `<dialect>-<how it breaks>-<who may go on>`."""
        openai = {"api_base": f"{self.provider.url}/openai/v1", "api_key": fake_openai.KEY}
        anthropic = {"api_base": f"{self.provider.url}/anthropic", "api_key": fake_anthropic.KEY}
        nexts = {
            "claude": {"model": "anthropic/claude-sonnet-4-5-20250929", **anthropic},
            "mistral": {"model": "mistral/gpt-4o-mini", **openai},
            "nobody": {"model": "anthropic/claude-opus-4-8", **anthropic},
        }
        models = []
        for dialect, place in [("openai", openai), ("openai_like", openai), ("anthropic", anthropic)]:
            for name in [name for name in BREAKING if name.endswith("-late")]:
                for who, goes_on in nexts.items():
                    group = f"{dialect}-{name}-{who}"
                    models.append((group, {"model": f"{dialect}/{name}", **place, "order": 1}))
                    models.append((group, {**goes_on, "order": 2}))
        return {
            "model_list": [{"model_name": name, "litellm_params": params} for name, params in models],
            "router_settings": {
                "num_retries": 0,
                "disable_cooldowns": True,
                "stream_idle_timeout": 2,
                "continuation": {"enabled": True},
            },
            "general_settings": {"master_key": MASTER_KEY},
        }

    def launch(self, name, arguments):
        port = free_port()
        self.urls[name] = f"http://127.0.0.1:{port}"
        folder = pathlib.Path(self.folder.name) / name
        folder.mkdir()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "OPENAI_API_KEY": fake_openai.KEY,
            "ANTHROPIC_API_KEY": fake_anthropic.KEY,
        }
        command = [str(self.binary), "--host", "127.0.0.1", "--port", str(port), *arguments]
        log = open(folder / "log", "wb")
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.processes.append((name, process))

    def wait_until_ready(self, name):
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        process = dict(self.processes)[name]
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.urls[name]}/health/liveliness", timeout=1).read()
                return
            except OSError:
                time.sleep(0.02)
        self.close()
        sys.exit(f"clients: the gateway {name} did not start\n{self.log_of(name)}")

    def log_of(self, name):
        """What a gateway has printed."""
        path = pathlib.Path(self.folder.name) / name / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def environment(self):
        """The variables that lead a test process here, and keep the clients from looking anywhere else."""
        foreign = ("ANTHROPIC_", "AWS_", "OPENAI_", "LITELLM_", "GOOGLE_", "GEMINI_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "KEYED_URL": self.urls["keyed"],
            "ONWARD_URL": self.urls["onward"],
            "OPEN_URL": self.urls["open"],
            "DROP_URL": self.urls["drop"],
            "GOOGLE_URL": self.urls["keyed"] if self.binary else f"{self.provider.url}/gemini",
            "OPEN_LOG": str(pathlib.Path(self.folder.name) / "open" / "log"),
            "FAKE_URL": self.provider.url,
            "REALTIME_PORT": str(self.realtime_port),
            "MASTER_KEY": MASTER_KEY,
            "TMPDIR": self.folder.name,
            "PYTHONDONTWRITEBYTECODE": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LANGSMITH_TRACING": "false",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def close(self):
        for _name, process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _name, process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.provider.close()


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
