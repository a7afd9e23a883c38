from __future__ import annotations

import json

import httpx
import pytest

from tests.chaos.bad_input import bad_uploads
from tests.chaos.recordings import CONVERSATION, Recordings, load_recordings
from tests.chaos.traffic import WEIGHTS, rate_of
from tests.chaos.uploads import Upload, Uploads, uploads_of
from tests.clients import Worker
from tests.samples import sample


@pytest.fixture(scope="module")
def recordings() -> Recordings:
    """Encoded once."""
    return load_recordings()


@pytest.fixture(scope="module")
def uploads(recordings: Recordings) -> Uploads:
    """The good requests."""
    return uploads_of(recordings)


@pytest.fixture(scope="module")
def bad(recordings: Recordings) -> tuple[Upload, ...]:
    """The bad ones."""
    return bad_uploads(recordings.short[0])


def test_every_upload_has_a_name_of_its_own(uploads, bad):
    """Texts are compared by name, so two requests must not share one; every kind has a weight."""
    names = [each.name for each in (*uploads.all, *bad)]
    assert len(set(names)) == len(names)
    assert set(uploads.by_kind) <= set(WEIGHTS)


def test_recordings_have_their_lengths(recordings):
    """Three minutes, parts of half a minute and more with what is said in them, and short ones in six formats."""
    assert recordings.long.audio_s == 180.0
    assert min(part.recording.audio_s for part in recordings.parts) >= 30.0
    assert " ".join(part.said for part in recordings.parts) == sample(CONVERSATION).text
    assert len({each.name.rpartition(".")[2] for each in recordings.encoded}) == 6


async def test_a_worker_transcribes_every_upload(open_worker, uploads):
    """Each is a request that a worker answers with 200."""
    for upload in uploads.all:
        answer = await sent(open_worker, upload)
        assert (upload.name, answer.status_code) == (upload.name, 200)


async def test_a_worker_refuses_bad_input(open_worker, bad):
    """Each gets 4xx with a message, never 5xx."""
    for upload in bad:
        answer = await sent(open_worker, upload)
        assert (upload.name, answer.status_code // 100) == (upload.name, 4)
        assert json.loads(answer.content)["error"]["message"]


async def sent(running: Worker, upload: Upload) -> httpx.Response:
    """The worker's answer."""
    return await running.client.post(upload.path, content=upload.body, headers={"Content-Type": upload.content_type})


def test_the_head_of_a_request_has_its_length(uploads):
    """A client that writes bytes itself sends a whole request with it."""
    upload = uploads.all[0]
    assert f"Content-Length: {len(upload.body)}\r\n".encode() in upload.head
    assert upload.head.endswith(b"\r\n\r\n")


def test_the_rate_keeps_the_cores_busy_for_their_share():
    """Slow requests come less often, and fast ones not more often than the most."""
    slow = rate_of(dict.fromkeys(WEIGHTS, 1.0), 2)
    assert slow == pytest.approx(0.35 * 2)
    assert rate_of(dict.fromkeys(WEIGHTS, 2.0), 2) == pytest.approx(slow / 2)
    assert rate_of(dict.fromkeys(WEIGHTS, 0.001), 2) == 4.0
