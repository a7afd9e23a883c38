"""The generator's words and the numbers of the collector's measurements."""

from __future__ import annotations

import math
import random

from bench.collector.corpus import any_word, queries, word
from bench.collector.numbers import milliseconds, percentile, slope
from bench.collector.report import table
from bench.collector.words import Talk, differences


def test_entries_of_a_talk():
    """Each final has its number in its text, its id and its times."""
    talk = Talk(17, 1_771_147_203_101, session=2, token="T")  # noqa: S106 - of the test
    final = talk.final(41)
    (segment,) = final["segments"]
    assert segment["text"] == " m17s2w00041"
    assert (segment["segment_id"], segment["seq"], segment["start"], segment["end"]) == ("m17s2:41", 41, 82.0, 83.9)
    assert segment["absolute_start_time"] == "2026-02-15T09:21:25.101Z"
    assert final.items() >= {"token": "T", "meeting_id": 17, "connection_id": "m17s2", "uid": "uid-m17s2"}.items()
    assert talk.end(42)["final_count"] == 42
    assert "token" not in Talk(17, 0).start()


def test_differences_are_found():
    """Lost, doubled, unknown and misplaced words are named; equal transcripts have none."""
    said = {1: ["a", "b", "c"], 2: ["d"]}
    assert differences(said, {1: ["a", "b", "c"], 2: ["d"]}) == []
    assert differences(said, {1: ["a", "c"], 2: ["d"]}) == ["meeting 1: 1 lost, such as ['b']"]
    assert differences(said, {1: ["a", "b", "b", "c"], 2: ["d"]}) == ["meeting 1: 1 doubled, such as ['b']"]
    assert differences(said, {1: ["a", "b", "c", "x"], 2: ["d"]}) == ["meeting 1: 1 unknown, such as ['x']"]
    assert differences(said, {1: ["b", "a", "c"], 2: ["d"]}) == ["meeting 1: out of order"]
    assert differences(said, {1: ["a", "b", "c"]}) == ["meeting 2: 1 lost, such as ['d']"]
    assert differences(said, {**said, 3: ["y"]}) == ["meeting 3: 1 unknown, such as ['y']"]


def test_numbers():
    """The percentile is a value that was measured; the slope is that of the straight line."""
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.99) == 4.0
    assert math.isnan(percentile([], 0.5))
    assert milliseconds([0.001, 0.002]) == {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 2.0}
    assert slope([(0, 5.0), (1, 7.0), (2, 9.0)]) == 2.0
    assert slope([(1, 5.0), (1, 7.0)]) == 0.0


def test_the_corpus_has_words():
    """Every number has a word of its own, and low numbers come often."""
    assert len({word(number) for number in range(20_000)}) == 20_000
    dice = random.Random(3)  # noqa: S311 - no key
    low = sum(any_word(dice) < 200 for _ in range(1000))
    assert low > 250
    assert {name: len(found) for name, found in queries(dice, 5).items()} == dict.fromkeys(
        ("rare", "frequent", "two", "phrase", "prefix"), 5
    )


def test_the_table_shows_what_was_measured():
    """A part that did not run leaves its cells empty."""
    lines = table({"outage": {"sqlite": {"caught_up_s": 1.2}}}).splitlines()
    assert "| database away for 60 s: caught up after s | ≤ 5 | 1.2 | ≤ 5 |  |" in lines
