from __future__ import annotations

import json

import pytest

from tests.chaos.bad_input import bad_uploads
from tests.chaos.recordings import CONVERSATION, load_recordings
from tests.chaos.traffic import WEIGHTS, rate_of
from tests.chaos.uploads import uploads_of
from tests.clients import worker
from tests.samples import sample

RECORDINGS = load_recordings()
UPLOADS = uploads_of(RECORDINGS)
BAD = bad_uploads(RECORDINGS.short[0])


def test_every_upload_has_a_name_of_its_own():
    """Texts are compared by name, so two requests must not share one; every kind has a weight."""
    names = [each.name for each in (*UPLOADS.all, *BAD)]
    assert len(set(names)) == len(names)
    assert set(UPLOADS.by_kind) <= set(WEIGHTS)


def test_recordings_have_their_lengths():
    """Three minutes, parts of half a minute and more, and short ones in six formats."""
    assert RECORDINGS.long.audio_s == 180.0
    assert min(part.recording.audio_s for part in RECORDINGS.parts) >= 30.0
    assert " ".join(part.said for part in RECORDINGS.parts) == sample(CONVERSATION).text
    assert len({each.name.rpartition(".")[2] for each in RECORDINGS.encoded}) == 6


async def test_a_worker_transcribes_every_upload():
    """Each is a request that a worker answers with 200."""
    async with worker(max_concurrent_transcriptions=4) as running:
        for upload in UPLOADS.all:
            answer = await running.client.post(
                upload.path, content=upload.body, headers={"Content-Type": upload.content_type}
            )
            assert (upload.name, answer.status_code) == (upload.name, 200)


@pytest.mark.parametrize("upload", BAD, ids=lambda each: each.name)
async def test_a_worker_refuses_bad_input(open_worker, upload):
    """Each gets 4xx with a message, never 5xx."""
    answer = await open_worker.client.post(
        upload.path, content=upload.body, headers={"Content-Type": upload.content_type}
    )
    assert 400 <= answer.status_code < 500
    assert json.loads(answer.content)["error"]["message"]


def test_the_head_of_a_request_has_its_length():
    """A client that writes bytes itself sends a whole request with it."""
    upload = UPLOADS.all[0]
    assert f"Content-Length: {len(upload.body)}\r\n".encode() in upload.head
    assert upload.head.endswith(b"\r\n\r\n")


def test_the_rate_keeps_the_cores_busy_for_their_share():
    """Slow requests come less often, and fast ones not more often than the most."""
    slow = rate_of(dict.fromkeys(WEIGHTS, 1.0), 2)
    assert slow == pytest.approx(0.35 * 2)
    assert rate_of(dict.fromkeys(WEIGHTS, 2.0), 2) == pytest.approx(slow / 2)
    assert rate_of(dict.fromkeys(WEIGHTS, 0.001), 2) == 4.0
