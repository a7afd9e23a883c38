from __future__ import annotations

import asyncio
import base64
import json
import tracemalloc
from typing import Any

import pytest

from app.core.errors import InvalidRequest, TooLarge
from app.core.json_guard import MAX_STRUCTURE
from app.http.request import json_body
from app.http.request.json_body import LARGE_BYTES, MAX_AUDIO_BYTES, parse, read_json
from app.http.request.multipart import Upload
from app.http.request.receive import Share, UploadBudget
from tests.clients import PATH, Worker, tone_wav, worker
from tests.http.request.test_multipart import request

WAV = tone_wav()
ENCODED = base64.b64encode(WAV).decode()


def body(**given: Any) -> bytes:
    """A body with audio, and these keys."""
    return json.dumps({"model": "m", "input_audio": {"data": ENCODED, "format": "wav"}, **given}).encode()


def refusal(raw: bytes) -> InvalidRequest:
    """The error that a body makes."""
    with pytest.raises(InvalidRequest) as refused:
        parse(raw, limit_bytes=MAX_AUDIO_BYTES)
    return refused.value


def json_of(data: str) -> bytes:
    """A body with this as its audio, however odd."""
    return json.dumps({"model": "m", "input_audio": {"data": data}}).encode()


async def test_open_webuis_request(open_worker: Worker):
    """Model, audio in base64 and a language, as AUDIO_STT_OPENAI_API_REQUEST_FORMAT=json sends them."""
    given = {"model": "whisper-1", "input_audio": {"data": ENCODED, "format": "wav"}, "language": "de"}
    answer = await open_worker.client.post(PATH, json=given)
    assert answer.status_code == 200
    assert (answer.json()["text"], answer.json()["language"]) == ("word0000 word0001", "de")


async def test_every_field_may_be_json(open_worker: Worker):
    """Lists, numbers and objects are sent as JSON values, without the brackets of forms."""
    given = {
        "model": "m",
        "input_audio": {"data": ENCODED},
        "response_format": "verbose_json",
        "timestamp_granularities": ["word"],
        "temperature": 0.2,
        "include": ["logprobs"],
        "stream": False,
        "chunking_strategy": {"type": "server_vad", "threshold": 0.4},
        "prompt": None,
    }
    answer = (await open_worker.client.post(PATH, json=given)).json()
    assert {"words", "segments", "logprobs"} <= set(answer)


async def test_stream_from_json(open_worker: Worker):
    """`"stream": true` is a JSON boolean."""
    given = {"model": "m", "input_audio": {"data": ENCODED}, "stream": True}
    answer = await open_worker.client.post(PATH, json=given)
    assert answer.text.endswith("data: [DONE]\n\n")


def test_fields_of_every_json_type():
    """Each becomes the form field with the same meaning; null is absent, and speakers are ignored."""
    raw = body(language="de", temperature=0, stream=True, languages=["de", "ü"], prompt=None, known_speaker_names=["A"])
    upload = parse(raw, limit_bytes=MAX_AUDIO_BYTES)
    assert upload.fields == [
        ("model", "m"), ("language", "de"), ("temperature", "0"), ("stream", "true"), ("languages", '["de", "ü"]'),
    ]  # fmt: skip
    assert upload.file is not None
    assert upload.file.read() == WAV
    assert upload.file_bytes == len(WAV)


@pytest.mark.parametrize("data", [f"data:audio/wav;base64,{ENCODED}", "\n".join([ENCODED[:76], ENCODED[76:]])])
def test_base64_as_people_have_it(data: str):
    """A data URL, or lines of 76 characters."""
    upload = parse(body(input_audio={"data": data}), limit_bytes=MAX_AUDIO_BYTES)
    assert upload.file is not None
    assert upload.file.read() == WAV


@pytest.mark.parametrize("data", ["%%%", "QUJD=", "QUJ", ENCODED + "?", "QUJ_", "ü"])
def test_broken_base64_is_named(data: str):
    """Invalid base64 is an error that names the field; nothing is skipped or guessed."""
    error = refusal(body(input_audio={"data": data}))
    assert error.param == "input_audio"
    assert "base64" in error.message


@pytest.mark.parametrize("audio", [1, [], True, {"data": 1}, {"data": None}, {"format": "wav"}])
def test_audio_of_another_type_is_named(audio: object):
    """Neither a text nor an object with one."""
    assert refusal(body(input_audio=audio)).param == "input_audio"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000])
def test_body_that_is_no_object(raw: bytes):
    """Invalid JSON, or JSON that is not an object, is a 400 with a message of this service."""
    assert "JSON" in refusal(raw).message


def test_long_fields_are_bounded():
    """As in a multipart body."""
    assert refusal(body(prompt="x" * 600_000)).param == "prompt"


@pytest.mark.parametrize("given", [{"model": "m"}, {"model": "m", "input_audio": None}, {}])
async def test_missing_audio_or_model(open_worker: Worker, given: dict[str, object]):
    """A 400 that says where the audio belongs."""
    answer = await open_worker.client.post(PATH, json=given)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("file", "model")


async def test_empty_audio_is_bad_audio(open_worker: Worker):
    """Zero bytes decode to nothing."""
    answer = await open_worker.client.post(PATH, json={"model": "m", "input_audio": {"data": ""}})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


async def test_size_is_limited_as_it_is_read():
    """The limit of the file applies to the decoded audio, and the error suggests multipart."""
    async with worker(max_upload_bytes=len(WAV) - 1) as running:
        answer = await running.client.post(PATH, content=body(), headers={"content-type": "application/json"})
        flood = await running.client.post(
            PATH, content=body(input_audio={"data": "A" * 4_000_000}), headers={"content-type": "application/json"}
        )
    for each in (answer, flood):
        assert (each.status_code, each.json()["error"]["code"]) == (413, "request_too_large")
        assert "multipart" in each.json()["error"]["message"]


def test_limit_is_exact():
    """A file of exactly the limit passes; one byte more does not."""
    parse(body(), limit_bytes=len(WAV))
    with pytest.raises(TooLarge):
        parse(body(), limit_bytes=len(WAV) - 1)


def test_half_characters_are_replaced():
    """Lone surrogates, which JSON can express, are replaced."""
    read = parse(body(prompt="\ud800 hi", hotwords=["\udc00"]), limit_bytes=MAX_AUDIO_BYTES)
    assert ("prompt", "? hi") in read.fields
    assert ("hotwords", '["?"]') in read.fields


@pytest.mark.parametrize("depth", [100, 900, 980, 990, 995, 1000, 5000])
def test_deep_nesting_is_refused_or_read(depth: int):
    """However deeply a value is nested, the result is a field or an error, never a crash."""
    raw = b'{"model":"m","a":' + b"[" * depth + b"]" * depth + b"}"
    try:
        read = parse(raw, limit_bytes=MAX_AUDIO_BYTES)
    except InvalidRequest:
        return
    assert ("a", "[" * depth + "]" * depth) in read.fields


def test_keys_and_values_are_bounded_together():
    """The number of keys and the sum of the values are limited, as in a form."""
    assert "keys" in refusal(body(**{f"k{number}": "" for number in range(300)})).message
    assert "too long" in refusal(body(**{f"k{number}": "x" * 500_000 for number in range(20)})).message


@pytest.mark.parametrize("encoded", ["QUJD=QUJ", "QQ==QUJD", "====", "=QUJ"])
def test_padding_in_the_middle_is_broken_base64(encoded: str):
    """Padding ends the data, wherever it is cut for decoding."""
    assert refusal(json.dumps({"model": "m", "input_audio": {"data": encoded}}).encode()).param == "input_audio"


def test_long_audio_is_whole():
    """More than one slice of base64 gives the same bytes."""
    audio = bytes(range(256)) * 12_000
    raw = json.dumps({"model": "m", "input_audio": {"data": base64.b64encode(audio).decode()}}).encode()
    read = parse(raw, limit_bytes=MAX_AUDIO_BYTES)
    assert read.file is not None
    assert read.file.read() == audio


@pytest.mark.parametrize("item", ["[],", "{},", "1,", '"",'])
def test_too_many_items_are_refused_unread(item: str, monkeypatch: pytest.MonkeyPatch):
    """Too many lists and objects, whose creation would block every thread, are counted and refused before parsing."""
    raw = ('{"model":"m","x":[' + item * MAX_STRUCTURE + "1]}").encode()
    monkeypatch.setattr("app.core.json_guard.json.loads", lambda _: pytest.fail("was read"))
    message = refusal(raw).message
    assert f"{MAX_STRUCTURE}" in message
    assert "JSON" in message


def test_a_thousand_items_are_read():
    """A list of a thousand keywords is accepted."""
    keywords = [f"word{number}" for number in range(1000)]
    assert ("keywords", json.dumps(keywords)) in parse(body(keywords=keywords), limit_bytes=MAX_AUDIO_BYTES).fields


def test_white_space_costs_no_memory():
    """Base64 with a space after each letter takes a few copies in memory, not a Python object for each letter."""
    raw = json_of("A " * 1_000_000)
    tracemalloc.start()
    try:
        read = parse(raw, limit_bytes=MAX_AUDIO_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read.file is not None
    assert read.file.read() == bytes(750_000)
    assert peak < 5 * len(raw)


async def test_large_bodies_take_turns(monkeypatch: pytest.MonkeyPatch):
    """Large bodies are parsed one at a time, however many arrive; a small one does not wait for them."""
    turn, now, most = asyncio.Semaphore(1), 0, 0

    async def slowly(_: object) -> Upload:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return Upload()

    monkeypatch.setattr(json_body, "in_thread", slowly)
    raw = json_of("A" * LARGE_BYTES)
    await asyncio.gather(
        *(
            read_json(request(raw), max_file_bytes=MAX_AUDIO_BYTES, share=Share(UploadBudget()), turn=turn)
            for _ in range(4)
        )
    )
    assert most == 1
    async with turn:
        await asyncio.wait_for(
            read_json(request(body()), max_file_bytes=MAX_AUDIO_BYTES, share=Share(UploadBudget()), turn=turn), 5
        )
