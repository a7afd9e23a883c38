"""Find what of a new pass has been committed before, and undo decoder loops.

A window keeps its committed front as context, so each pass hears those words again, with times that
move by a tenth of a second or two and now and then another spelling. Text alone cannot tell a
repeated word from a word said twice, time alone cannot tell a moved word from a new one: so both.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.live.policy.hypothesis import Word

SEARCH_WORDS = 4  # how far the seam may lie from where the times put it
SAME_WITHIN_S = 0.7  # a word heard again lies this close to where it was before
COMPARED_WORDS = 5
MATCH_WORTH_S = 0.05  # one more equal word outweighs this much distance
LONGEST_LOOP = 5  # words in a repeated phrase
FASTEST_WORDS_PER_S = 12.0  # nobody repeats words faster; a looping decoder does


def count_committed(words: Sequence[Word], committed: Sequence[Word]) -> int:
    """How many of the first `words` of a pass are the `committed` ones heard again.

    Args:
        words: the new pass, seconds of the stream.
        committed: the committed words that lie in the same window, newest last.
    """
    if not committed or not words:
        return 0
    last = committed[-1]
    by_time = sum(1 for word in words if (word.start + word.end) / 2 <= last.end)
    counts = range(max(1, by_time - SEARCH_WORDS), min(len(words), by_time + SEARCH_WORDS) + 1)
    costs = {count: cost for count in counts if (cost := _cost(words[:count], committed)) is not None}
    return min(costs, key=lambda count: costs[count]) if costs else by_time


def _cost(words: Sequence[Word], committed: Sequence[Word]) -> float | None:
    """How badly the last `words` fit the last committed ones; None if not even one is the same.

    Their distance in time decides between repeats of one word; that more of them match is a plus.
    """
    distances: list[float] = []
    for mine, theirs in zip(reversed(words), reversed(committed), strict=False):
        distance = abs(mine.end - theirs.end)
        if mine.key != theirs.key or distance > SAME_WITHIN_S or len(distances) == COMPARED_WORDS:
            break
        distances.append(distance)
    return sum(distances) / len(distances) - MATCH_WORTH_S * len(distances) if distances else None


def without_loops(words: Sequence[Word]) -> list[Word]:
    """Keep one round of each phrase that a looping decoder repeats faster than anyone can speak.

    Genuine repeats ("no, no, no") take their time and stay.
    """
    kept: list[Word] = []
    index = 0
    while index < len(words):
        length, rounds = _loop_at(words, index)
        kept += words[index : index + max(1, length)]
        index += max(1, length * rounds)
    return kept


def _loop_at(words: Sequence[Word], index: int) -> tuple[int, int]:
    """Phrase length and rounds of a loop that begins at `index`; (0, 0) if none does."""
    for length in range(1, LONGEST_LOOP + 1):
        keys = [word.key for word in words[index : index + length]]
        rounds = 1
        while [word.key for word in words[index + rounds * length : index + (rounds + 1) * length]] == keys:
            rounds += 1
        said = words[index : index + rounds * length]
        if rounds >= 3 and len(said) > FASTEST_WORDS_PER_S * max(said[-1].end - said[0].start, 1e-6):  # noqa: PLR2004  twice may be an echo of speech, thrice is a loop
            return length, rounds
    return 0, 0
