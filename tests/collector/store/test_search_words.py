from __future__ import annotations

from app.collector.store.search_words import Term, find_terms, read_query, search_text, words_of


def test_words_are_small_letters_without_accents():
    """Scripts without spaces give one word for each character."""
    assert [word.text for word in words_of("Straße, CAFÉ!")] == ["strasse", "cafe"]
    assert [word.text for word in words_of("预算 ok了")] == ["预", "算", "ok", "了"]
    assert [word.text for word in words_of("हिन्दी İstanbul")] == ["हिन्दी", "istanbul"]
    assert words_of("… !") == []


def test_ascii_is_split_by_the_database():
    """Only other texts need their words in a column of their own."""
    assert search_text("Hello, world") is None
    assert search_text("Schöne Grüße") == "schone grusse"


def test_queries_are_words_phrases_and_beginnings():
    """A phrase may lack its last quote; a word of several parts is a phrase."""
    assert read_query('one "two three" fou*') == (
        Term(("one",)),
        Term(("two", "three")),
        Term(("fou",), is_prefix=True),
    )
    assert read_query('well-known "open end') == (Term(("well", "known")), Term(("open", "end")))
    assert read_query('* "" &') == ()


def test_terms_are_found_where_they_stand():
    """Spans of characters of the text itself; touching ones are joined."""
    text = "Ein Café, das cafés liebt"
    assert [text[a:b] for a, b in find_terms(text, read_query("cafe*"))] == ["Café", "cafés"]
    assert find_terms("abab", read_query("b")) == []
