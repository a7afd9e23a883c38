import pytest

from tools.demo_model.phones import N_PHONES, SILENCE, number_phones, phone_name, read_phones, words_by_share


@pytest.mark.parametrize(
    ("identifier", "name"), [(b"A@", "A@"), (b"_:", SILENCE), (b"_", SILENCE), (b"_!", SILENCE), (b"", SILENCE)]
)
def test_pauses_of_every_kind_are_one(identifier: bytes, name: str):
    """espeak-ng marks pauses by their length; a phone keeps its name."""
    assert phone_name(identifier) == name


def test_flites_phones_begin_where_the_one_before_ends():
    """The program prints ends; names become espeak-ng's, those that are alike stay."""
    assert read_phones("pau:0.184 dh:0.246 ax:0.291 r:0.364 \n") == [
        (SILENCE, 0.0),
        ("D", 0.184),
        ("@", 0.246),
        ("r", 0.291),
    ]


def test_words_begin_at_the_same_share_of_the_phones():
    """A pause in one reading moves nothing: words are counted in phones that sound."""
    read = [("D", 0.0), ("@", 0.1), ("k", 0.2), ("a", 0.3), ("t", 0.4)]
    spoken = [(SILENCE, 0.0), ("D", 1.0), ("@", 2.0), (SILENCE, 2.5), ("k", 3.0), ("A:", 4.0), ("t", 5.0)]
    assert words_by_share([(4, 0.2)], read, spoken) == [(4, 3.0)]


def test_a_word_without_phones_of_its_own_has_no_place():
    """A word at either end of the other reading would share the text's own end: it is left out."""
    read = [("a", 0.0), ("b", 0.1)]
    assert words_by_share([(2, 0.0), (4, 0.5)], read, [("a", 0.0), ("b", 1.0)]) == []


def test_phones_are_numbered_by_name_and_silence_is_0():
    """The same names give the same numbers in whatever order they are met."""
    assert number_phones(["t", SILENCE, "a", "t"]) == {SILENCE: 0, "a": 1, "t": 2}
    assert number_phones(["a", "t"]) == number_phones(["t", "a"])


def test_more_phones_than_the_model_has_room_for_are_refused():
    """The count and the remedy are named."""
    with pytest.raises(ValueError, match="raise N_PHONES"):
        number_phones(str(number) for number in range(N_PHONES))
