"""The hundred languages Whisper knows, and the many ways clients spell them.

Pure. Clients send codes (`en`), locales (`en-US`, `zh_CN`), English or native names (`German`,
`Deutsch`), three-letter codes (`deu`, `ger`) and several words for "detect it"; the model takes exactly
one code per language, among them a few that ISO has since replaced (`jw`, `tl`).
Source: codes and English names, openai/whisper `whisper/tokenizer.py`; three-letter codes, ISO 639-2 and
639-3, with the main member of a macrolanguage (`cmn`, `arb`) where software uses it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from app.core.errors import InvalidRequest

_LONGEST_CHARS: Final = 64  # longer than any name or locale
_SHOWN_CHARS: Final = 40
_DETECT: Final = frozenset({"", "auto", "unknown", "und", "none", "null", "undefined"})
_LOCALE: Final = re.compile(
    r"""
    (?P<code>[a-z]{2,3})
    (?: [-_] [a-z0-9]{1,8} )*    # script, region, variants: en-US, zh_Hant_TW, es-419
    (?: \. [a-z0-9-]+ )?         # POSIX codeset: en_US.UTF-8
    (?: @ [a-z]+ )?              # POSIX modifier: ca_ES@valencia
    """,
    re.VERBOSE,
)

# code, English name, other codes, other names; in the order of the model's language tokens
_LANGUAGES: Final = (
    ("en", "english", "eng", ""),
    ("zh", "chinese", "zho chi cmn", "mandarin, mandarin chinese, 中文, 汉语, 漢語, 普通话, 國語"),
    ("de", "german", "deu ger", "deutsch"),
    ("es", "spanish", "spa", "castilian, español, castellano"),
    ("ru", "russian", "rus", "русский"),
    ("ko", "korean", "kor", "한국어"),
    ("fr", "french", "fra fre", "français"),
    ("ja", "japanese", "jpn", "日本語"),
    ("pt", "portuguese", "por", "português"),
    ("tr", "turkish", "tur", "türkçe"),
    ("pl", "polish", "pol", "polski"),
    ("ca", "catalan", "cat", "valencian, català, valencià"),
    ("nl", "dutch", "nld dut", "flemish, nederlands, vlaams"),
    ("ar", "arabic", "ara arb", "العربية"),
    ("sv", "swedish", "swe", "svenska"),
    ("it", "italian", "ita", "italiano"),
    ("id", "indonesian", "ind in", "bahasa indonesia"),
    ("hi", "hindi", "hin", "हिन्दी"),
    ("fi", "finnish", "fin", "suomi"),
    ("vi", "vietnamese", "vie", "tiếng việt"),
    ("he", "hebrew", "heb iw", "עברית"),
    ("uk", "ukrainian", "ukr", "українська"),
    ("el", "greek", "ell gre", "modern greek, ελληνικά"),
    ("ms", "malay", "msa may zsm", "bahasa melayu"),
    ("cs", "czech", "ces cze", "čeština"),
    ("ro", "romanian", "ron rum mo mol", "moldavian, moldovan, română"),
    ("da", "danish", "dan", "dansk"),
    ("hu", "hungarian", "hun", "magyar"),
    ("ta", "tamil", "tam", "தமிழ்"),
    ("no", "norwegian", "nor nb nob", "bokmål, norwegian bokmål, norsk, norsk bokmål"),
    ("th", "thai", "tha", "ไทย"),
    ("ur", "urdu", "urd", "اردو"),
    ("hr", "croatian", "hrv", "hrvatski"),
    ("bg", "bulgarian", "bul", "български"),
    ("lt", "lithuanian", "lit", "lietuvių"),
    ("la", "latin", "lat", "latina"),
    ("mi", "maori", "mri mao", "te reo māori"),
    ("ml", "malayalam", "mal", "മലയാളം"),
    ("cy", "welsh", "cym wel", "cymraeg"),
    ("sk", "slovak", "slk slo", "slovenčina"),
    ("te", "telugu", "tel", "తెలుగు"),
    ("fa", "persian", "fas per pes", "farsi, فارسی"),
    ("lv", "latvian", "lav lvs", "latviešu"),
    ("bn", "bengali", "ben", "bangla, বাংলা"),
    ("sr", "serbian", "srp", "srpski, српски"),
    ("az", "azerbaijani", "aze azj", "azeri, azərbaycan"),
    ("sl", "slovenian", "slv", "slovene, slovenščina"),
    ("kn", "kannada", "kan", "ಕನ್ನಡ"),
    ("et", "estonian", "est ekk", "eesti"),
    ("mk", "macedonian", "mkd mac", "македонски"),
    ("br", "breton", "bre", "brezhoneg"),
    ("eu", "basque", "eus baq", "euskara"),
    ("is", "icelandic", "isl ice", "íslenska"),
    ("hy", "armenian", "hye arm", "հայերեն"),
    ("ne", "nepali", "nep npi", "नेपाली"),
    ("mn", "mongolian", "mon khk", "монгол"),
    ("bs", "bosnian", "bos", "bosanski"),
    ("kk", "kazakh", "kaz", "қазақ"),
    ("sq", "albanian", "sqi alb", "shqip"),
    ("sw", "swahili", "swa swh", "kiswahili"),
    ("gl", "galician", "glg", "galego"),
    ("mr", "marathi", "mar", "मराठी"),
    ("pa", "punjabi", "pan", "panjabi, ਪੰਜਾਬੀ"),
    ("si", "sinhala", "sin", "sinhalese, සිංහල"),
    ("km", "khmer", "khm", "cambodian, ខ្មែរ"),
    ("sn", "shona", "sna", "chishona"),
    ("yo", "yoruba", "yor", ""),
    ("so", "somali", "som", "soomaali"),
    ("af", "afrikaans", "afr", ""),
    ("oc", "occitan", "oci", ""),
    ("ka", "georgian", "kat geo", "ქართული"),
    ("be", "belarusian", "bel", "беларуская"),
    ("tg", "tajik", "tgk", "тоҷикӣ"),
    ("sd", "sindhi", "snd", "سنڌي"),
    ("gu", "gujarati", "guj", "ગુજરાતી"),
    ("am", "amharic", "amh", "አማርኛ"),
    ("yi", "yiddish", "yid ydd ji", "ייִדיש"),
    ("lo", "lao", "lao", "laotian, ລາວ"),
    ("uz", "uzbek", "uzb uzn", "o'zbek"),
    ("fo", "faroese", "fao", "føroyskt"),
    ("ht", "haitian creole", "hat", "haitian, kreyòl ayisyen"),
    ("ps", "pashto", "pus", "pushto, پښتو"),
    ("tk", "turkmen", "tuk", ""),
    ("nn", "nynorsk", "nno", "norwegian nynorsk, norsk nynorsk"),
    ("mt", "maltese", "mlt", "malti"),
    ("sa", "sanskrit", "san", "संस्कृतम्"),
    ("lb", "luxembourgish", "ltz", "letzeburgesch, lëtzebuergesch"),
    ("my", "myanmar", "mya bur", "burmese, မြန်မာ"),
    ("bo", "tibetan", "bod tib", "བོད་སྐད་"),
    ("tl", "tagalog", "tgl fil", "filipino"),
    ("mg", "malagasy", "mlg plt", ""),
    ("as", "assamese", "asm", "অসমীয়া"),
    ("tt", "tatar", "tat", "татар"),
    ("haw", "hawaiian", "", "ʻōlelo hawaiʻi"),
    ("ln", "lingala", "lin", ""),
    ("ha", "hausa", "hau", ""),
    ("ba", "bashkir", "bak", "башҡорт"),
    ("jw", "javanese", "jav jv", "basa jawa"),
    ("su", "sundanese", "sun", "basa sunda"),
    ("yue", "cantonese", "", "粤语, 粵語, 廣東話"),
)

NAMES: Final[Mapping[str, str]] = MappingProxyType({code: name for code, name, _, _ in _LANGUAGES})


def _fold(value: str) -> str:
    """Lower-case and drop accents, so that "Español", "español" and "espanol" are one."""
    letters = unicodedata.normalize("NFKD", value.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


def _spellings() -> Iterator[tuple[str, str]]:
    for code, english, _, others in _LANGUAGES:
        for spelling in (english, *others.split(",")):
            if spelling:
                yield _fold(spelling), code


_BY_CODE: Final = {other: code for code, _, others, _ in _LANGUAGES for other in (code, *others.split())}
_BY_NAME: Final = dict(_spellings())


def _unknown(value: str) -> InvalidRequest:
    printable = "".join(c for c in value[: 2 * _LONGEST_CHARS] if c.isprintable())
    shown = printable if len(printable) <= _SHOWN_CHARS else printable[:_SHOWN_CHARS] + "..."
    return InvalidRequest(
        f"language: '{shown}' is not a language this service knows. Leave it out to detect the language, or "
        "send an English name ('english'), a locale ('en-US') or one of the codes "
        f"{', '.join(sorted(NAMES))}.",
        param="language",
    )


def normalize(value: str) -> str | None:
    """Give Whisper's code for a language however it was spelled; None = detect the language.

    Raises:
        InvalidRequest: no language Whisper knows; the message says what may be sent.
    """
    if len(value) > _LONGEST_CHARS:
        raise _unknown(value)
    folded = _fold(value)
    if folded in _DETECT:
        return None
    if code := _BY_NAME.get(folded):
        return code
    locale = _LOCALE.fullmatch(folded)
    code = _BY_CODE.get(locale["code"]) if locale else None
    if code is None:
        raise _unknown(value)
    return code


def name(code: str) -> str:
    """Give the lower-case English name of a code; a code not listed here stands for itself."""
    return NAMES.get(code, code)
