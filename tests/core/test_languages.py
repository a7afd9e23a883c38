"""Every spelling clients are known to send, and a clear refusal of the rest."""

from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from app.core import languages
from app.core.errors import InvalidRequest


def test_the_codes_are_whispers():
    """The table has exactly the codes the model has tokens for."""
    assert set(languages.NAMES) == set(_LANGUAGE_CODES)
    assert len(languages._LANGUAGES) == 100


def test_no_spelling_means_two_languages():
    """Every code and every name stands in the table once."""
    codes = [c for code, _, others, _ in languages._LANGUAGES for c in {code, *others.split()}]
    assert len(codes) == len(set(codes))
    names = [spelling for spelling, _ in languages._spellings()]
    assert len(names) == len(set(names))
    assert {c for c in codes if c in languages._BY_NAME} <= {"lao"}
    assert languages._BY_NAME["lao"] == languages._BY_CODE["lao"] == "lo"


@pytest.mark.parametrize("code", languages.NAMES)
def test_codes_and_names_of_all_languages_are_understood(code: str):
    """A code, its name, any case, spaces around and a region all lead back to the code."""
    for spelling in (code, code.upper(), f" {code}\n", languages.name(code), languages.name(code).title()):
        assert languages.normalize(spelling) == code
    assert languages.normalize(f"{code}-XX") == languages.normalize(f"{code}_XX") == code


@pytest.mark.parametrize("value", ["", "  ", "auto", "AUTO", "unknown", "None", "null", "und", "undefined"])
def test_words_for_detection_give_none(value: str):
    """Empty and the many words for "you find out" mean detection, never an error."""
    assert languages.normalize(value) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("en-US", "en"),
        ("zh_CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("es-419", "es"),
        ("pt_BR.UTF-8", "pt"),
        ("ca_ES@valencia", "ca"),
        ("yue-Hant-HK", "yue"),
        ("fil-PH", "tl"),
        ("fil", "tl"),
        ("nb", "no"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("jv", "jw"),
        ("in", "id"),
        ("mo", "ro"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("spa", "es"),
        ("fre", "fr"),
        ("cmn-Hans-CN", "zh"),
        ("burmese", "my"),
        ("Valencian", "ca"),
        ("flemish", "nl"),
        ("haitian", "ht"),
        ("letzeburgesch", "lb"),
        ("pushto", "ps"),
        ("panjabi", "pa"),
        ("moldavian", "ro"),
        ("moldovan", "ro"),
        ("sinhalese", "si"),
        ("castilian", "es"),
        ("mandarin", "zh"),
        ("cantonese", "yue"),
        ("Deutsch", "de"),
        ("Español", "es"),
        ("espanol", "es"),
        ("FRANÇAIS", "fr"),
        ("日本語", "ja"),
        ("한국어", "ko"),
        ("हिन्दी", "hi"),
        ("Tiếng  Việt", "vi"),
        ("Norsk Bokmål", "no"),
        ("ｅｎ", "en"),
    ],
)
def test_other_spellings_lead_to_whispers_code(value: str, code: str):
    """Locales, replaced codes, three-letter codes, aliases and native names are understood."""
    assert languages.normalize(value) == code


@pytest.mark.parametrize(
    "value",
    [
        "klingon",
        "xx",
        "xxx",
        "e",
        "en-",
        "-en",
        "en US",
        "en--US",
        "english-US",
        "tlh-en",
        "en,de",
        "1",
        "\x00",
        "en\x00",
    ],
)
def test_anything_else_is_refused_by_name(value: str):
    """The error for an unknown language names the field and the values that may be sent."""
    with pytest.raises(InvalidRequest) as refusal:
        languages.normalize(value)
    assert refusal.value.param == "language"
    assert "'en-US'" in refusal.value.message
    assert all(f" {code}" in refusal.value.message for code in languages.NAMES)


def test_the_refused_value_is_shown_short_and_harmless():
    """A message for logs and terminals has no control characters and no megabytes."""
    with pytest.raises(InvalidRequest, match=r"^language: 'ab\[31mc' is not") as refusal:
        languages.normalize("a\r\nb\x1b[31m\u202ec\ud800")
    assert refusal.value.message.isprintable()
    with pytest.raises(InvalidRequest, match=r"^language: 'x{40}\.\.\.' is not") as refusal:
        languages.normalize("x" * 1_000_000)
    assert len(refusal.value.message) < 1000


def test_names_are_lower_case_english():
    """Names are Whisper's own; a code from a later model stands for itself."""
    assert (languages.name("de"), languages.name("my"), languages.name("jw")) == (
        "german",
        "myanmar",
        "javanese",
    )
    assert languages.name("qqq") == "qqq"
