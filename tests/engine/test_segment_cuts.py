from __future__ import annotations

import itertools
import unicodedata
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.transcribe import Segment as WhisperSegment
from faster_whisper.transcribe import Word as WhisperWord
from faster_whisper.transcribe import merge_punctuations

from app.core.text_breaks import NEVER_FIRST, NEVER_LAST
from app.engine.segment_cuts import LONG_SEGMENT_S, SHORT_PIECE_S, SpokenWord, pieces_of


def spoken(text: str, *, start_s: float = 0.0, word_s: float = 0.5, pauses: dict[int, float] | None = None) -> tuple[
    WhisperSegment, list[SpokenWord]
]:  # fmt: skip
    """A segment and its words, half a second each, with pauses before some; one or two tokens a word."""
    words, now_s, token = list[SpokenWord](), start_s, itertools.count(1)
    for index, word in enumerate(text.split()):
        now_s += (pauses or {}).get(index, 0.0)
        tokens = tuple(next(token) for _ in range(1 + index % 2))
        words.append(SpokenWord(f" {word}", tokens, now_s, now_s + word_s))
        now_s += word_s
    segment = WhisperSegment(
        id=1, seek=0, start=start_s, end=now_s, text="".join(word.text for word in words),
        tokens=[each for word in words for each in word.tokens], avg_logprob=-0.2, compression_ratio=1.0,
        no_speech_prob=0.1, words=[WhisperWord(word.start_s, word.end_s, word.text, 0.9) for word in words],
        temperature=0.0,
    )  # fmt: skip
    return segment, words


def assert_whole(segment: WhisperSegment, pieces: list[WhisperSegment]) -> None:
    """Nothing is lost, doubled or out of order."""
    assert segment.text == "".join(piece.text for piece in pieces)
    assert segment.tokens == [token for piece in pieces for token in piece.tokens]
    assert segment.words == [word for piece in pieces for word in piece.words or ()]
    assert (segment.start, segment.end) == (pieces[0].start, pieces[-1].end)
    assert all(piece.start < piece.end for piece in pieces)
    assert all(first.end <= second.start for first, second in pairwise(pieces))


def test_a_short_segment_is_left_alone() -> None:
    """Up to eight seconds nothing is cut."""
    segment, words = spoken("one two three. four five")
    assert [segment] == pieces_of(segment, words)


def test_a_long_segment_is_cut_at_a_sentences_end() -> None:
    """The end of a sentence is preferred to a longer pause and to the middle."""
    segment, words = spoken("a b c d e f. g h i j k l m n o p q r", pauses={12: 1.0})
    pieces = pieces_of(segment, words)
    assert pieces[0].text == " a b c d e f."
    assert_whole(segment, pieces)


def test_without_sentences_the_longest_pause_is_the_place() -> None:
    """A pause marks a phrase; without one the middle must do."""
    paused, words = spoken("a b c d e f g h i j k l m n o p q r", pauses={6: 0.8, 10: 0.4})
    assert pieces_of(paused, words)[0].text == " a b c d e f"
    even, words = spoken("a b c d e f g h i j k l m n o p q r")
    assert pieces_of(even, words)[0].text == " a b c d e f g h i"


def test_pieces_are_neither_too_long_nor_too_short() -> None:
    """Half a minute of words: every piece is at most eight seconds and at least two."""
    segment, words = spoken(" ".join(f"w{n}" for n in range(60)))
    pieces = pieces_of(segment, words)
    assert all(SHORT_PIECE_S <= piece.end - piece.start <= LONG_SEGMENT_S for piece in pieces)
    assert_whole(segment, pieces)


def test_random_segments_lose_nothing() -> None:
    """Any words, pauses and punctuation: texts, tokens and timed words join to the whole, times ascend."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        n = int(rng.integers(1, 80))
        text = " ".join("word"[: int(rng.integers(1, 5))] + str(rng.choice(["", ".", ",", "?"])) for _ in range(n))
        pauses = {int(index): float(rng.random() * 3) for index in rng.integers(0, n, 5)}
        segment, words = spoken(text, start_s=3.0, word_s=float(rng.uniform(0.05, 0.8)), pauses=pauses)
        assert_whole(segment, pieces_of(segment, words))


def test_one_word_is_never_cut() -> None:
    """Parts of a name or a number, which have no space before them, stay together, however long it takes."""
    segment, words = spoken("a b c d e f g h i j k l m 1 . 2 3 4 5 6 7 8")
    joined = [replace(word, text=word.text.strip()) for word in words]
    assert [segment] == pieces_of(segment, joined)


def unspaced(text: str, *, word_s: float = 0.25, pauses: dict[int, float] | None = None) -> tuple[
    WhisperSegment, list[SpokenWord]
]:  # fmt: skip
    """Text without spaces as the tokenizer splits it, a word for every character; timed words as clients get them."""
    segment, words = spoken(" ".join(text), word_s=word_s, pauses=pauses)
    words = [replace(word, text=word.text.strip()) for word in words]
    found = [
        {"word": word.text, "tokens": list(word.tokens), "start": word.start_s, "end": word.end_s} for word in words
    ]
    merge_punctuations(found, "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、")
    timed = [WhisperWord(each["start"], each["end"], each["word"], 0.9) for each in found if each["word"]]
    return replace(segment, text=text, words=timed), words


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("今天天气很好我们去公园散步吧。明天可能会下雨所以我们要早点回家吃饭休息", "今天天气很好我们去公园散步吧。"),
        ("「今日はとても寒いですね。」彼はそう言ってから静かに部屋を出て行ったのです", "「今日はとても寒いですね。」"),
        ("そうですか？それならばわたしたちはあしたのあさはやくここをでましょうか", None),
        ("今天天气很好我们去公园散步吧，明天可能会下雨所以我们要早点回家吃饭休息", "今天天气很好我们去公园散步吧，"),
    ],
)
def test_text_without_spaces_is_cut_where_it_pauses(text: str, first: str | None) -> None:
    """At the end of a sentence, its quotes included, else behind a clause; not so early that the piece is short."""
    segment, words = unspaced(text)
    pieces = pieces_of(segment, words)
    assert len(pieces) > 1
    assert first is None or pieces[0].text == first
    assert all(SHORT_PIECE_S <= piece.end - piece.start <= LONG_SEGMENT_S for piece in pieces)
    assert_whole(segment, pieces)


@pytest.mark.parametrize(
    "text", ["这是一个没有标点符号的句子", "วันนี้อากาศดีมากเราไปเดินเล่น", "きょうはちょっとさむいっしょ", "ວັນນີ້ອາກາດດີ"]
)
def test_half_a_minute_without_spaces_or_marks(text: str) -> None:
    """As with spaces: every piece is at most eight seconds, at least two, and begins with what may begin a line."""
    segment, words = unspaced(text * 8)
    pieces = pieces_of(segment, words)
    assert all(SHORT_PIECE_S <= piece.end - piece.start <= LONG_SEGMENT_S for piece in pieces)
    assert all(piece.text[0] not in NEVER_FIRST and piece.text[-1] not in NEVER_LAST for piece in pieces)
    assert not any(unicodedata.category(piece.text[0]).startswith("M") for piece in pieces)
    assert_whole(segment, pieces)


def test_a_foreign_word_in_text_without_spaces_stays_whole() -> None:
    """The middle lies in a Latin name: the cut goes beside it."""
    segment, words = unspaced("我们今天在这里说的是" + "CTranslatetwo" + "的使用方法和它的好处")
    pieces = pieces_of(segment, words)
    assert len(pieces) > 1
    assert any("CTranslatetwo" in piece.text for piece in pieces)
    assert_whole(segment, pieces)


def test_a_pause_is_the_place_in_text_without_spaces() -> None:
    """Without marks the longest pause decides, as with spaces."""
    segment, words = unspaced("这是一个没有标点符号的句子" * 3, pauses={11: 0.9})
    assert pieces_of(segment, words)[0].text == "这是一个没有标点符号的"


def test_times_that_stand_still_stay_in_order() -> None:
    """An alignment that puts every word on one spot still gives pieces that end after they begin."""
    segment, words = spoken("a b c d e f g h i j k l m n o p q r")
    squeezed = [replace(word, start_s=min(word.start_s, 5.0), end_s=min(word.end_s, 5.0)) for word in words]
    squeezed[-1] = replace(squeezed[-1], end_s=segment.end)
    pieces = pieces_of(segment, squeezed)
    assert all(piece.start < piece.end for piece in pieces)
    assert all(first.start <= second.start for first, second in pairwise(pieces))


def test_without_timed_words_pieces_have_none() -> None:
    """Pieces of a segment whose words were not asked for stay without words."""
    segment, words = spoken(" ".join(f"w{n}" for n in range(40)))
    pieces = pieces_of(replace(segment, words=None), words)
    assert len(pieces) > 1
    assert all(piece.words is None for piece in pieces)
