import random

import pytest

from tools.demo_model.frames import everyday
from tools.demo_model.sentences import (
    LANGUAGES,
    is_speakable,
    key,
    select,
    split_fortunes,
    split_gloss,
    split_verses,
    tidy,
    without,
    word_salad,
)


def test_fortunes_are_cut_into_sentences_without_attribution():
    """Quotes end where the attribution begins; sentences and brackets are apart."""
    raw = "Be kind. It costs\nlittle (mostly).\n\t\t-- Somebody\n%\nNext one!\n"
    pieces = [piece for piece in split_fortunes(raw) if piece]
    assert pieces == ["Be kind", "It costs little", "mostly", "Next one!"]


def test_verses_lose_their_numbers():
    """A verse gives its clauses, not its place."""
    assert list(split_verses("Gen1:1 In the beginning; and so on")) == ["In the beginning", "and so on"]


def test_glosses_are_parted_into_definitions_and_examples():
    """What is quoted is an example; brackets belong to nobody."""
    gloss = '(of wood) hard to cut; not soft; "the oak is `hard\'"; "a hard nut"  '
    assert split_gloss(gloss) == (["hard to cut", "not soft"], ["the oak is 'hard", "a hard nut"])


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("¿qué es esto?", "Qué es esto?"),
        ("and then - silence", "And then silence."),
        ("well...", "Well."),
        ("what?!", "What!"),
        (" - ", ""),
    ],
)
def test_tidy_writes_one_capital_and_one_mark(raw, written):
    """Sentences look alike, whatever their source."""
    assert tidy(raw) == written


@pytest.mark.parametrize("piece", ["one", "see RFC", "a b c", "http://x y", "x" * 17 + " word", "ein Ärger"])
def test_unspeakable_pieces_are_dropped(piece):
    """Single words, acronyms, spelt letters, addresses, monsters and foreign letters are no English."""
    assert not is_speakable(piece, "en")


def test_select_gives_each_sentence_once_in_order():
    """The list is the same whatever the order of the files."""
    assert select(["we go", "one cat", "We go."], "en") == ["One cat.", "We go."]


def test_held_out_sentences_never_train():
    """Case and marks do not smuggle a held-out sentence in."""
    assert without(["The end!", "The end is near."], ["the end."]) == ["The end is near."]
    assert key("It's, here?") == key("it s here")


def test_word_salad_uses_known_words_only():
    """Salad has no word that the sentences lack, and repeats for the same seed."""
    source = ["Uno dos tres.", "Cuatro cinco."]
    salads = word_salad(source, 5, random.Random(1))
    assert len(salads) == 5
    assert set(key(" ".join(salads)).split()) <= {"uno", "dos", "tres", "cuatro", "cinco"}
    assert salads == word_salad(source, 5, random.Random(1))


@pytest.mark.parametrize("language", LANGUAGES)
def test_everyday_sentences_are_different_and_speakable(language):
    """Frames give as many sentences as asked, all of which the model could be given."""
    written = everyday(language, 200, random.Random(3))
    assert len(set(written)) == 200
    assert all(is_speakable(sentence, language) for sentence in written)
