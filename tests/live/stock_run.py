"""Runs the real whisper-live client in its own process and prints its results as JSON.

    python -m tests.live.stock_run file PORT WAV SRT [TAIL_S]
    python -m tests.live.stock_run stream PORT WAV
    python -m tests.live.stock_run connect PORT

It needs its own process because the client uses a whole core while it waits, leaves sockets and
threads open, and writes a copy of its audio into the current directory.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import wave
from typing import Any

from tests.live.stock import client_module


def play_file(port: int, wav: str, srt: str, tail_s: float | None) -> dict[str, Any]:
    """The file client: real time, ended by its own rule of no messages for 15 s."""
    client = client_module().TranscriptionClient(
        "127.0.0.1",
        port,
        lang="en",
        mute_audio_playback=True,
        log_transcription=False,
        output_transcription_path=srt,
    )
    if tail_s is not None:
        client.client.disconnect_if_no_response_for = tail_s
    return {"text": client(wav)}


def stream(port: int, wav: str) -> dict[str, Any]:
    """The streaming client: callbacks, END_OF_AUDIO, waits for the server's close."""
    committed, partials, errors = [], [], []
    client = client_module().StreamingTranscriptionClient(
        "127.0.0.1",
        port,
        lang=None,
        send_last_n_segments=2,
        on_committed_transcript=lambda text, segments: committed.append(text),
        on_partial_transcript=lambda text, segments: partials.append(text),
        on_error=lambda error: errors.append(str(error)),
    )
    client.connect()
    with wave.open(wav) as file:
        while data := file.readframes(1600):
            client.send(data)
            time.sleep(0.1)
    began = time.time()
    client.close()
    closing_s = time.time() - began
    language = client._client.language
    return {
        "committed": committed,
        "partials": partials,
        "closing_s": closing_s,
        "language": language,
        "errors": errors,
    }


def only_connect(port: int) -> dict[str, Any]:
    """How the streaming client reports a server that refuses it."""
    client = client_module().StreamingTranscriptionClient("127.0.0.1", port, lang="en")
    try:
        client.connect()
    except RuntimeError as error:
        return {"error": str(error)}
    client.close()
    return {"error": None}


def main(mode: str, port: str, *rest: str) -> None:
    """Everything the client prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        if mode == "file":
            wav, srt, *tail = rest
            result = play_file(int(port), wav, srt, float(tail[0]) if tail else None)
        elif mode == "stream":
            result = stream(int(port), rest[0])
        else:
            result = only_connect(int(port))
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
