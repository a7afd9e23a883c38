"""A database with a million segments to search in, written past the collector, and queries for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import create_engine, func, insert, select, text

from app.collector.store.database import engine_url
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

VOCABULARY: Final = 20_000
SEGMENTS_OF_A_MEETING: Final = 1000
WORDS_OF_A_SEGMENT: Final = 9
FIRST_MEETING: Final = 2_000_000
AT_ONCE: Final = 10_000
_SYLLABLES: Final = ("ba", "ce", "di", "fo", "gu", "ha", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "vu")


def word(number: int) -> str:
    """A word of the vocabulary; low numbers are said often."""
    syllables = ""
    rest = number + len(_SYLLABLES)
    while rest:
        rest, digit = divmod(rest, len(_SYLLABLES))
        syllables += _SYLLABLES[digit]
    return syllables


def any_word(dice: random.Random) -> int:
    """A word's number; as in speech, few words make up most of it."""
    return int(VOCABULARY * dice.random() ** 4)


def queries(dice: random.Random, count: int) -> dict[str, list[str]]:
    """Queries by kind: a rare word, a frequent one, two words, a phrase, the beginning of a word."""
    return {
        "rare": [word(dice.randrange(VOCABULARY // 2, VOCABULARY)) for _ in range(count)],
        "frequent": [word(dice.randrange(20)) for _ in range(count)],
        "two": [f"{word(dice.randrange(300))} {word(dice.randrange(300))}" for _ in range(count)],
        "phrase": [f'"{word(dice.randrange(100))} {word(dice.randrange(100))}"' for _ in range(count)],
        "prefix": [word(dice.randrange(1000, VOCABULARY))[:5] + "*" for _ in range(count)],
    }


def fill(database_url: str, segments: int) -> None:
    """Add meetings of 1000 segments, like the one that is there, until there are so many segments."""
    engine = create_engine(engine_url(database_url))
    with engine.begin() as connection:
        meeting = dict(connection.execute(select(MEETINGS)).mappings().first() or {})
        session = dict(connection.execute(select(SESSIONS)).mappings().first() or {})
        segment = dict(connection.execute(select(SEGMENTS)).mappings().first() or {})
        next_session = connection.execute(select(func.max(SESSIONS.c.id))).scalar_one() + 1
        count = segments // SEGMENTS_OF_A_MEETING
        day_ms = 24 * 3600 * 1000
        for number in range(count):
            own = {"id": FIRST_MEETING + number, "native_meeting_id": f"room-{number}", "native_hash": f"{number}"}
            connection.execute(
                insert(MEETINGS), meeting | own | {"created_ms": meeting["created_ms"] - number * day_ms}
            )
            of_session = {"id": next_session + number, "meeting_id": own["id"], "session_key": f"c{number}"}
            connection.execute(insert(SESSIONS), session | of_session)
        rows: list[dict[str, Any]] = []
        for row in _segments(segment, count, next_session):
            rows.append(row)
            if len(rows) == AT_ONCE:
                connection.execute(insert(SEGMENTS), rows)
                rows = []
        if rows:
            connection.execute(insert(SEGMENTS), rows)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    engine.dispose()


def _segments(template: dict[str, Any], meetings: int, next_session: int) -> Iterator[dict[str, Any]]:
    del template["id"]
    dice = random.Random(1)  # noqa: S311 - no key
    for meeting in range(meetings):
        for number in range(SEGMENTS_OF_A_MEETING):
            at_ms = template["abs_start_ms"] + number * 3000 - meeting * 24 * 3600 * 1000
            yield template | {
                "meeting_id": FIRST_MEETING + meeting,
                "session_id": next_session + meeting,
                "segment_key": f"c{meeting}:{number}",
                "ordinal": number,
                "start_ms": number * 3000,
                "end_ms": number * 3000 + 2900,
                "abs_start_ms": at_ms,
                "abs_end_ms": at_ms + 2900,
                "text": " ".join(word(any_word(dice)) for _ in range(WORDS_OF_A_SEGMENT)),
                "seq": number + 1,
            }
