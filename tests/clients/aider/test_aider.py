"""aider, not interactive: it sends a task, reads the answer and edits a file."""

import os
import pathlib
import subprocess
import sys

import pytest

LIMIT_SECONDS = 120
# aider's `whole` edit format: the name of the file, then its new content in a fence.
ANSWER = "Done.\n\ngreeting.txt\n```\nhello from the model\n```\n"
QUIET = [
    "--yes-always",
    "--no-git",
    "--no-pretty",
    "--no-check-update",
    "--no-show-model-warnings",
    "--no-show-release-notes",
    "--analytics-disable",
    "--no-detect-urls",
    "--no-suggest-shell-commands",
    "--map-tokens",
    "0",
]


@pytest.fixture(params=["OPEN_URL", "DROP_URL"], ids=["openai", "anthropic"])
def base(request):
    """Both gateways without a key; each answers every model name with its one model."""
    return os.environ[request.param]


def run_aider(folder, base, *arguments):
    command = [str(pathlib.Path(sys.executable).parent / "aider"), "--openai-api-base", base]
    command += ["--openai-api-key", "fake-key", *QUIET, *arguments]
    environment = os.environ | {"HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )


@pytest.mark.parametrize("streaming", ["--stream", "--no-stream"], ids=["streamed", "whole"])
def test_aider_edits_a_file_as_the_model_says(base, streaming, tmp_path, marker, seen):
    task = f"Write a greeting. {marker} REPLY<<<{ANSWER}>>>"
    done = run_aider(
        tmp_path, base, "--model", "openai/gpt-4", "--edit-format", "whole", streaming, "--message", task, "greeting.txt"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "greeting.txt").read_text() == "hello from the model\n", done.stdout + done.stderr
    assert len(seen()) >= 1


def test_aider_without_a_model_flag_prints_the_answer(base, tmp_path, marker, seen):
    # As in the seed: only the base and the key are given.
    done = run_aider(tmp_path, base, "--chat-mode", "ask", "--message", f"{marker} REPLY<<<the sky is blue>>>")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the sky is blue" in done.stdout, done.stdout + done.stderr
    assert len(seen()) >= 1
