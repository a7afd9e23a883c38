import pytest

from bench.accuracy.words import WordErrors, changes, n_letters, normalised, plain, word_errors


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c d", "a b c d", WordErrors(0, 4)),
        ("a b c d", "a x c", WordErrors(2, 4)),  # one substituted, one deleted
        ("a b", "a b c d", WordErrors(2, 2)),
        ("a b", "", WordErrors(2, 2)),
        ("", "thank you", WordErrors(2, 0)),
        ("", "", WordErrors(0, 0)),
    ],
)
def test_word_errors_are_counted(reference, hypothesis, expected):
    """Substitutions, deletions and insertions; without a reference every word is one too many."""
    assert word_errors(reference, hypothesis) == expected


def test_rates_need_words():
    """Errors add up over recordings; a rate without reference words is none."""
    assert (WordErrors(1, 4) + WordErrors(2, 8)).rate == 0.25
    assert WordErrors(2, 0).rate is None


def test_the_plain_comparison_keeps_numbers():
    """Annotations and punctuation go, dashes separate, apostrophes join, numbers stay as written."""
    assert plain("[noise] It's a  well-known <unk> NUMBER: 12%, twelve!") == "its a well known number 12 twelve"


def test_the_normaliser_writes_one_form():
    """Numbers, contractions and spelling are the same however they were written."""
    assert normalised("It's twenty-five colours.") == normalised("it is 25 colors")


def test_digits_can_be_words():
    """A row of spoken digits is compared digit by digit, in either spelling."""
    assert normalised("one six two five") == "1625"
    assert normalised("one six two five", split_digits=True) == "1 6 2 5"
    assert normalised("1, 6, 2, 5.", split_digits=True) == "1 6 2 5"


def test_languages_without_spaces_are_compared_by_letter():
    """Each letter of Japanese counts as a word; other languages keep theirs."""
    assert normalised("東京です", "ja") == "東 京 で す"
    assert normalised("Schöne Grüße!", "de") == "schöne grüße"


def test_letters_of_every_script_count():
    """Digits, spaces and punctuation are no letters."""
    assert n_letters("Ab 12, é 東.") == 4


def test_changes_name_the_words():
    """Wrong words in order, with a dash where there is none on one side."""
    assert changes("a b c d", "a x c") == ["b > x", "d > -"]
    assert changes("", "thank you") == ["- > thank you"]
    assert changes("a", "a") == []
