"""Ask the cluster's own Redis how it is, in its own protocol (RESP2). Blocking: call it on a thread."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import BinaryIO, TypeAlias

from app.cluster.transcripts import LOOPBACK, Transcripts

TIMEOUT_S = 2.0

Reply: TypeAlias = "bytes | int | list[Reply] | None"


class RedisRefused(Exception):
    """Redis answered with an error."""


def answers(transcripts: Transcripts) -> bool:
    """Return whether Redis answers, having read its file."""
    try:
        return _ask(transcripts, "PING") == b"PONG"
    except (OSError, ValueError, RedisRefused):
        return False


def unread(transcripts: Transcripts) -> int | None:
    """Return how many entries of the streams the collector has not stored; None if Redis does not say."""
    count = 0
    for stream in transcripts.streams:
        try:
            groups = _ask(transcripts, "XINFO", "GROUPS", stream)
        except RedisRefused:
            continue  # there is no such stream: nothing was published
        except (OSError, ValueError):
            return None
        for group in groups if isinstance(groups, list) else []:
            fields = _fields(group)
            if fields.get("name") != transcripts.group.encode():
                continue
            lag, pending = fields.get("lag"), fields.get("pending")
            if not isinstance(lag, int) or not isinstance(pending, int):
                return None  # Redis before 7.0 does not count, and later ones not always
            count += lag + pending
    return count


def _fields(group: Reply) -> Mapping[str, Reply]:
    """The names and values of one group, which come as one flat list."""
    items = group if isinstance(group, list) else []
    return {
        name.decode(): value for name, value in zip(items[::2], items[1::2], strict=True) if isinstance(name, bytes)
    }


def _ask(transcripts: Transcripts, *words: str) -> Reply:
    with socket.create_connection((LOOPBACK, transcripts.redis_port), timeout=TIMEOUT_S) as connection:
        connection.sendall(_command(("AUTH", transcripts.redis_password)) + _command(words))
        with connection.makefile("rb") as replies:
            _read(replies)
            return _read(replies)


def _command(words: Sequence[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _read(replies: BinaryIO) -> Reply:
    """Read one reply.

    Raises:
        RedisRefused: it is an error.
        ValueError: it is no reply of Redis, or it is cut off.
    """
    line = replies.readline()
    kind, rest = line[:1], line[1:].rstrip(b"\r\n")
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else replies.read(size + 2)[:size]
    if kind == b"*":
        return [_read(replies) for _ in range(int(rest))]
    if kind == b"-":
        raise RedisRefused(rest.decode(errors="replace"))
    raise ValueError(f"{line[:40]!r} is no reply of Redis")
