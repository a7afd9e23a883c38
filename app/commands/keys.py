"""`python -m app keys`: make an API key with limits, and check a keys file.

- `keys new --name alice [--requests-per-minute 60] ...` prints a new key once, on standard error, and its entry for
  API_KEYS_FILE on standard output, so that `>> keys.toml` adds the entry and never the key;
- `keys check FILE` says whether a server would accept the file.

Exit status: 0: done. 2: an argument or the file cannot be used.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from app.core.errors import StartupError
from app.core.options import Tier
from app.ops.keys import Key, digest_of
from app.ops.keys_file import KeysFile
from app.ops.keys_format import LARGEST, TIERS, render, require_name, require_tiers

T = TypeVar("T")

PREFIX: Final = "sk-stt-"  # clients that check keys before they send one expect OpenAI's "sk-"


def main(argv: Sequence[str]) -> int:
    """Run `keys new` or `keys check`; return the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.action == "check":
        return _check(arguments.file)
    secret = PREFIX + secrets.token_urlsafe(32)
    entry = render(
        Key(
            digest=digest_of(secret),
            name=arguments.name,
            tiers=arguments.tiers,
            requests_per_minute=arguments.requests_per_minute,
            concurrent=arguments.concurrent,
            audio_seconds_per_day=arguments.audio_seconds_per_day,
        )
    )
    sys.stderr.write(f"The key of {arguments.name}, shown only now:\n{secret}\n\n")
    print(f"\n{entry}", end="")  # noqa: T201 - the command's output; a line between entries of a file
    return 0


def _check(path: str) -> int:
    try:
        keys = KeysFile(path).load()
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    print(f"{len(keys)} {'key' if len(keys) == 1 else 'keys'}: {', '.join(key.name for key in keys)}")  # noqa: T201
    return 0


def _argument(read: Callable[[str], T]) -> Callable[[str], T]:
    """An argument's type whose errors are shown: argparse shows only the message of its own."""

    def parse(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _tiers(listed: str) -> frozenset[Tier]:
    return require_tiers([each.strip() for each in listed.split(",") if each.strip()])


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= LARGEST:
        raise ValueError(f"{text[:40]!r} is not a whole number from 1 to {LARGEST}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app keys", description="API keys with limits.")
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a key, and print it and its entry for API_KEYS_FILE")
    new.add_argument(
        "--name", type=_argument(require_name), required=True, help="whose key it is; for logs and metrics"
    )
    new.add_argument("--tiers", type=_argument(_tiers), help=f"comma-separated, of {', '.join(TIERS)}; default: all")
    for option, meaning in (
        ("--requests-per-minute", "requests in one minute"),
        ("--concurrent", "requests, or live streams, at the same time"),
        ("--audio-seconds-per-day", "seconds of audio in one day (UTC)"),
    ):
        new.add_argument(option, type=_argument(_count), metavar="N", help=f"{meaning}; default: no limit")
    check = actions.add_parser("check", help="say whether a server would accept a keys file")
    check.add_argument("file", metavar="FILE", help="a keys file")
    return parser
