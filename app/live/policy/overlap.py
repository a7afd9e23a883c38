"""Find which words of a new hypothesis are committed already, and remove decoder loops. Pure.

A window keeps some committed audio as context, so each hypothesis repeats those words, with times
that move by a tenth of a second or two, and sometimes with another spelling. Text alone cannot
distinguish a repeated word from one spoken twice, and time alone cannot distinguish a moved word
from a new one, so both are compared. A model that skips words may move one by seconds: then several
words in a row decide without their times.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.live.policy.hypothesis import Word

SEARCH_WORDS = 4  # how many words the boundary may be away from where the times put it
SAME_WITHIN_S = 0.7  # a repeated word starts or ends this close to where it did before
COMPARED_WORDS = 5
LEAST_MATCHED_WORDS = 3  # in a row, to be recognised by their letters alone
MATCH_WORTH_S = 0.05  # one more equal word outweighs this much difference in time
LONGEST_LOOP = 40  # words of a repeated phrase
LEAST_KEPT = 0.25  # part of the words
LEAST_ECHO = 5  # words of a phrase that is a loop if it is repeated once
FASTEST_WORDS_PER_S = 12.0  # faster than anyone speaks; a looping decoder repeats faster


def count_committed(words: Sequence[Word], committed: Sequence[Word]) -> int:
    """How many of the first `words` of a hypothesis repeat the `committed` ones.

    Args:
        words: the new hypothesis, in seconds of the stream.
        committed: the committed words in the same window, newest last.
    """
    if not committed or not words:
        return 0
    last = committed[-1]
    by_time = sum(1 for word in words if (word.start + word.end) / 2 <= last.end)
    counts = range(max(1, by_time - SEARCH_WORDS), min(len(words), by_time + SEARCH_WORDS) + 1)
    costs = {count: cost for count in counts if (cost := _cost(words[:count], committed)) is not None}
    if costs:
        return min(costs, key=lambda count: costs[count])
    by_text = _count_by_text([word.key for word in words], [word.key for word in committed])
    return by_time if by_text is None else by_text


def _count_by_text(words: Sequence[str], committed: Sequence[str]) -> int | None:
    """How many of the first `words` repeat the committed ones, from the keys alone; None unless one place fits."""
    for length in range(min(COMPARED_WORDS, len(committed)), LEAST_MATCHED_WORDS - 1, -1):
        last = list(committed[-length:])
        found = [end for end in range(length, len(words) + 1) if list(words[end - length : end]) == last]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _cost(words: Sequence[Word], committed: Sequence[Word]) -> float | None:
    """How badly the last `words` fit the last committed ones; None if not even one matches.

    Their difference in time decides between repeats of one word; more matching words lower the cost.
    """
    distances: list[float] = []
    for word, earlier in zip(reversed(words), reversed(committed), strict=False):
        # a model may stretch the last word into the pause after it in one pass and not in the next
        distance = min(abs(word.start - earlier.start), abs(word.end - earlier.end))
        if word.key != earlier.key or distance > SAME_WITHIN_S or len(distances) == COMPARED_WORDS:
            break
        distances.append(distance)
    return sum(distances) / len(distances) - MATCH_WORTH_S * len(distances) if distances else None


def without_loops(words: Sequence[Word]) -> list[Word]:
    """Keep one round of each phrase that a looping decoder repeats faster than anyone can speak.

    Spoken repetitions ("no, no, no") take longer and stay.
    """
    keys = [word.key for word in words]
    kept: list[int] = []
    index = 0
    while index < len(words):
        length, rounds = _loop_at(words, keys, kept, index)
        if not rounds:
            kept.append(index)
        index += max(1, length * rounds)
        last = [keys[n] for n in kept[-2 * length :]]  # the next round may begin at any word of the phrase
        if rounds and _is_part(keys[index:], last) and _too_fast(words[index:]):
            break
    return [words[n] for n in kept]


def is_mostly_loops(words: Sequence[Word], kept: Sequence[Word]) -> bool:
    """Did the decoder repeat itself instead of transcribing? `kept` are the words without loops."""
    return len(kept) < LEAST_KEPT * len(words)


def _loop_at(words: Sequence[Word], keys: Sequence[str], kept: Sequence[int], index: int) -> tuple[int, int]:
    """Length of the phrase that the kept words end with, and how often it is repeated at `index`; (0, 0) if no loop."""
    for length in range(1, min(LONGEST_LOOP, len(kept), len(words) - index) + 1):
        if keys[kept[-length]] != keys[index]:
            continue
        phrase = [keys[n] for n in kept[-length:]]
        rounds = 0
        while list(keys[index + rounds * length : index + (rounds + 1) * length]) == phrase:
            rounds += 1
        repeats = words[index : index + rounds * length]
        whole = [*(words[n] for n in kept[-length:]), *repeats]
        # Two short phrases may be an echo. Of a long one, the first round may be speech, and takes its time; the last
        # word may be stretched to the end of the window.
        long = rounds >= 1 and length >= LEAST_ECHO
        if (long and _too_fast(repeats[:-1])) or (rounds >= 2 and _too_fast(whole)):  # noqa: PLR2004  three times is a loop
            return length, rounds
    return 0, 0


def _too_fast(words: Sequence[Word]) -> bool:
    """Could nobody say them in their time?"""
    return bool(words) and len(words) > FASTEST_WORDS_PER_S * max(words[-1].end - words[0].start, 1e-6)


def _is_part(keys: Sequence[str], phrase: Sequence[str]) -> bool:
    """Do the keys follow each other in the phrase?"""
    count = len(keys)
    return any(list(phrase[start : start + count]) == list(keys) for start in range(len(phrase) - count + 1))
