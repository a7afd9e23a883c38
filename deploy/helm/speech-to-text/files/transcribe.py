"""Send one second of a tone to the service and expect 200: what `helm test` runs.

Reads URL, and API_KEYS or API_KEY if the service needs a key. A busy or starting
service is asked again for two minutes.
"""

from __future__ import annotations

import io
import math
import os
import sys
import time
import wave
from array import array

import httpx

RATE_HZ = 16_000
TRIES = 24


def tone() -> bytes:
    """One second at 440 Hz, as a wav file."""
    samples = array("h", (int(8000 * math.sin(2 * math.pi * 440 * n / RATE_HZ)) for n in range(RATE_HZ)))
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(RATE_HZ)
        audio.writeframes(samples.tobytes())
    return file.getvalue()


def ask(url: str, key: str) -> str:
    """Send the tone once; return an empty text for 200, otherwise what went wrong."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    files = {"file": ("tone.wav", tone(), "audio/wav")}
    try:
        answer = httpx.post(url, headers=headers, files=files, data={"model": "whisper-1"}, timeout=60)
    except httpx.HTTPError as error:
        return f"{url}: {type(error).__name__}: {error}"
    return "" if answer.status_code == httpx.codes.OK else f"{url}: {answer.status_code} {answer.text}"


def main() -> int:
    """Ask until the answer is 200; return the exit status."""
    key = os.environ.get("API_KEY") or os.environ.get("API_KEYS", "").split(",")[0].strip()
    wrong = ""
    for attempt in range(TRIES):
        wrong = ask(os.environ["URL"], key)
        if not wrong:
            sys.stdout.write("200: the service transcribes\n")
            return 0
        sys.stderr.write(wrong + "\n")
        if attempt < TRIES - 1:
            time.sleep(5)
    return 1


if __name__ == "__main__":
    sys.exit(main())
