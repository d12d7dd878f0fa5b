"""The OpenAI SDK beside chat: sound, pictures, moderations, files, batches and fine-tuning jobs."""

import io
import json

import openai
import pytest

SOUND = ("a.wav", b"RIFF" + b"\x00\xff\r\n--" * 832 + b"tail", "audio/wav")


@pytest.fixture(params=["", "/v1"])
def client(request, keyed_url, master_key):
    with openai.OpenAI(base_url=keyed_url + request.param, api_key=master_key, max_retries=0, timeout=20) as client:
        yield client


def test_sound_is_written_down_in_every_format(client):
    assert len(SOUND[1]) == 5000
    assert client.audio.transcriptions.create(model="ears", file=SOUND).text == "hello"
    for format in ["text", "srt", "vtt"]:
        assert client.audio.transcriptions.create(model="ears", file=SOUND, response_format=format) == f"{format}: hello\n"
    verbose = client.audio.transcriptions.create(
        model="ears", file=SOUND, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (verbose.text, verbose.duration) == ("hello", 1.5)
    assert client.audio.translations.create(model="ears", file=SOUND).text == "hello"


def test_a_transcription_can_be_streamed(client):
    events = list(client.audio.transcriptions.create(model="ears", file=SOUND, stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]


def test_speech_comes_as_bytes_and_as_a_stream(client, marker, seen):
    whole = client.audio.speech.create(model="voice", voice="alloy", input=f"Hello {marker}")
    assert len(whole.content) == 5 * 4004 and whole.response.headers["content-type"] == "audio/mpeg"
    with client.audio.speech.with_streaming_response.create(model="voice", voice="alloy", input=marker) as stream:
        assert b"".join(stream.iter_bytes(1000)) == whole.content
    assert seen()[0]["body"] == {"model": "tts-1", "voice": "alloy", "input": f"Hello {marker}"}


def test_pictures_are_changed(client, marker, seen):
    picture = ("a.png", b"\x89PNG" + b"\x00" * 96, "image/png")
    answer = client.images.edit(model="painter", image=[picture, picture], mask=picture, prompt=f"a hat {marker}")
    assert answer.data[0].b64_json == "AAAA" and answer.usage.total_tokens == 16
    assert seen()[0]["body"]["files"] == {"image[]": 100, "mask": 100}


def test_a_text_is_judged(client):
    assert client.moderations.create(model="judge", input="I am kind").results[0].flagged is False


def test_a_file_is_sent_looked_at_fetched_and_deleted(client):
    content = b'{"custom_id": "1"}\n' * 100_000
    file = client.files.create(file=("a.jsonl", io.BytesIO(content)), purpose="batch")
    assert file.bytes == len(content)
    assert client.files.retrieve(file.id).filename == "a.jsonl"
    assert file.id in [known.id for known in client.files.list()]
    assert len(client.files.content(file.id).content) == len(content)
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(file.id)


def test_a_file_may_say_which_provider_keeps_it(client, marker, seen):
    client.files.create(file=("a.jsonl", b"{}"), purpose=marker, extra_body={"custom_llm_provider": "openai"})
    assert seen()[0]["body"]["fields"] == {"purpose": marker}


def test_batches_and_jobs_are_started_looked_at_and_cancelled(client):
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.retrieve(batch.id).object == "batch"
    assert batch.id in [known.id for known in client.batches.list(limit=2)]
    assert client.batches.cancel(batch.id).status == "cancelled"
    job = client.fine_tuning.jobs.create(model="openai-chat", training_file=file.id)
    assert (job.model, job.training_file) == ("gpt-4o-mini", file.id)
    assert client.fine_tuning.jobs.retrieve(job.id).object == "fine_tuning.job"
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_a_batch_runs_from_its_file_to_its_results_by_ids_alone(client):
    file = client.files.create(
        file=("a.jsonl", b"{}"), purpose="batch", extra_body={"target_model_names": "openai-chat"}
    )
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert batch.id.startswith("batch_") and file.id.startswith("file-") and batch.input_file_id == file.id
    done = client.batches.retrieve(batch.id)
    assert (done.id, done.status, done.request_counts.completed) == (batch.id, "completed", 1)
    result = json.loads(client.files.content(done.output_file_id).text)
    assert result["response"]["body"]["usage"]["total_tokens"] == 7
    assert client.files.delete(done.output_file_id).id == done.output_file_id


def test_an_id_is_nobody_elses_and_of_no_other_kind(client):
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    changed = file.id[:40] + ("A" if file.id[40] != "A" else "B") + file.id[41:]
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(changed)
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve(file.id)


def test_openais_own_paths_are_passed_on(keyed_url, master_key, marker):
    with openai.OpenAI(base_url=f"{keyed_url}/openai/v1", api_key=master_key, max_retries=0, timeout=20) as client:
        messages = [{"role": "user", "content": f"Hello {marker}"}]
        whole = client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        assert whole.choices[0].message.content == f"You said: Hello {marker}"
        chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True))
        said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(said) == f"You said: Hello {marker}"
