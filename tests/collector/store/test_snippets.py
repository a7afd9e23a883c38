from __future__ import annotations

from app.collector.store.search_words import read_query
from app.collector.store.snippets import snippet


def test_a_snippet_marks_matches_and_escapes_the_rest():
    """The text of a meeting is never HTML."""
    assert snippet("a <script> b", read_query("script b")) == "a &lt;<b>script</b>&gt; <b>b</b>"


def test_a_long_text_is_cut_around_the_first_match():
    """At a space before it, and both cuts are shown."""
    shown = snippet("word " * 100 + "needle" + " word" * 100, read_query("needle"))
    assert shown.startswith("… word")
    assert "<b>needle</b>" in shown
    assert shown.endswith(" …")
    assert len(shown) < 300
