"""LiteLLM as its users call it, in a process of its own: it takes seconds to import and warns a lot.

Arguments: the worker's base URL and a short audio file. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import litellm
import openai


def call(base_url: str, audio: str, **wishes: Any) -> Any:
    """One transcription by LiteLLM; its answer as plain JSON, with the extra keys that it keeps."""
    with Path(audio).open("rb") as file:
        return plain(litellm.transcription(**arguments(base_url, file), **wishes))


async def call_async(base_url: str, audio: str) -> Any:
    """The same through the asynchronous entrance."""
    file = ("audio.wav", await asyncio.to_thread(Path(audio).read_bytes))
    return plain(await litellm.atranscription(**arguments(base_url, file)))


def arguments(base_url: str, file: Any) -> dict[str, Any]:
    """What each call shares."""
    return {"model": "openai/whisper-1", "file": file, "api_base": base_url, "api_key": "unused", "max_retries": 0}


def plain(answer: Any) -> Any:
    """What a caller reads of LiteLLM's answer."""
    return json.loads(answer.model_dump_json())


def refusal(base_url: str) -> dict[str, object]:
    """What LiteLLM raises for bytes that are no audio."""
    try:
        call(base_url, __file__)
    except openai.BadRequestError as error:  # LiteLLM hands the SDK's own on
        return {"error": type(error).__name__, "status": error.status_code, "message": str(error)}
    return {"error": None}


def main(base_url: str, audio: str) -> None:
    """Make every call and print what came back."""
    results = {
        "default": call(base_url, audio),
        "json": call(base_url, audio, response_format="json", prompt="Fire.", language="en"),
        "verbose": call(base_url, audio, response_format="verbose_json", timestamp_granularities=["word"]),
        "srt": call(base_url, audio, response_format="srt"),
        "vtt": call(base_url, audio, response_format="vtt"),
        "async": asyncio.run(call_async(base_url, audio)),
        "broken": refusal(base_url),
    }
    print(json.dumps(results))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
