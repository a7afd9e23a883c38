"""`python -m app listen FILE|-`: show a live transcript, grey while it may change.

A file is streamed in real time; `-` reads raw 16-bit mono 16 kHz samples from standard input. If the
output is not a terminal, only final lines are printed, one per line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import shutil
import signal
import sys
from pathlib import Path
from typing import TextIO

from app.core.errors import StartupError
from app.core.subtitles import srt
from app.live.client.client import Line, ListenerCallbacks, LiveClient, Refused, Unusable
from app.live.client.sources import UnreadableAudio, paced, read_wav, standard_input
from app.settings.explain import load
from app.settings.gateway import ClientSettings

GREY, PLAIN, CLEAR_LINE = "\x1b[2m", "\x1b[0m", "\r\x1b[2K"


class Screen:
    """Prints lines and notices."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._live = out.isatty()
        self.lines: list[Line] = []

    def line(self, line: Line) -> None:
        """Print a final line; overwrite a partial with the next line."""
        if line.completed:
            self.lines.append(line)
            self._out.write(f"{CLEAR_LINE if self._live else ''}{line.text.strip()}\n")
        elif self._live:
            room = shutil.get_terminal_size().columns - 1
            self._out.write(f"{CLEAR_LINE}{GREY}{line.text.strip()[-room:]}{PLAIN}")
        self._out.flush()

    def notice(self, text: str) -> None:
        """Print what is not transcript."""
        self._err.write(f"{CLEAR_LINE if self._live else ''}[{text}]\n")
        self._err.flush()

    def language(self, code: str, probability: float) -> None:
        """Print the detected language."""
        self.notice(f"language {code}, {probability:.0%}")

    def close(self) -> None:
        """Clear the partial line."""
        if self._live:
            self._out.write(CLEAR_LINE)
            self._out.flush()


async def listen(options: argparse.Namespace, screen: Screen) -> None:
    """Stream the chosen source; SIGTERM cancels it."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    handshake = {"language": options.language, "task": options.task, "initial_prompt": options.prompt}
    events = ListenerCallbacks(line=screen.line, notice=screen.notice, language=screen.language)
    key = options.key or load(ClientSettings).streaming_api_key.get_secret_value()
    client = LiveClient(options.url, handshake=handshake, events=events, key=key.strip())
    source = standard_input() if options.file == "-" else paced(read_wav(Path(options.file)), speed=options.speed)
    await client.run(source)


def check(options: argparse.Namespace) -> None:
    """Check the options before the recording starts, so that no error comes only at its end.

    Raises:
        Unusable: an option has a value that cannot work.
    """
    if not (math.isfinite(options.speed) and options.speed > 0):
        raise Unusable(f"--speed {options.speed:g}: must be a number above 0; 1 is real time")
    if options.srt is not None:
        try:
            with options.srt.open("a"):
                pass
        except OSError as error:
            raise Unusable(f"--srt {options.srt}: {error.strerror}; name a file that can be written") from error


def run(options: argparse.Namespace) -> int:
    """Listen; returns the exit status. However it ends, the subtitles contain all lines that were final by then."""
    screen = Screen(sys.stdout, sys.stderr)
    try:
        check(options)
        status = _listened(options, screen)
        if options.srt is not None:
            options.srt.write_text(srt(screen.lines), encoding="utf-8")
    except (StartupError, Unusable) as error:
        screen.notice(str(error))
        return 2
    except OSError as error:
        screen.notice(f"--srt {options.srt}: {error.strerror}")
        return 1
    return status


def _listened(options: argparse.Namespace, screen: Screen) -> int:
    with contextlib.closing(screen):
        try:
            asyncio.run(listen(options, screen))
        except (UnreadableAudio, Refused, OSError) as error:
            screen.notice(str(error))
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
        except asyncio.CancelledError:
            return 128 + signal.SIGTERM
        return 0
