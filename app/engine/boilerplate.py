"""Phrases that Whisper writes for audio without speech: thanks and credits from the subtitles of its training. Pure.

People say most of them, too, so a match alone says nothing: see `app.engine.evidence`.
Source: lists that users of Whisper collected (openai/whisper discussions 928 and 1873), in the languages that
have most reports.
"""

from __future__ import annotations

import unicodedata

# The whole segment, as letters and digits in lower case.
WHOLE = frozenset(
    {
        "you",
        "thanks",
        "thank you",
        "thank you very much",
        "thank you so much",
        "bye",
        "bye bye",
        "the end",
        "to be continued",
        "vielen dank",
        "danke",
        "tschüss",
        "gracias",
        "muchas gracias",
        "merci",
        "obrigado",
        "grazie",
        "dziękuję",
        "спасибо",
        "продолжение следует",
        "谢谢",
        "謝謝",
        "谢谢大家",
        "ありがとうございました",
        "감사합니다",
    }
)
# Anywhere in the segment, likewise.
PARTS = (
    "thanks for watching",
    "thank you for watching",
    "thank you for joining us",
    "thanks for listening",
    "thank you for listening",
    "like and subscribe",
    "please subscribe",
    "subscribe to my channel",
    "subscribe to the channel",
    "see you in the next",
    "see you next time",
    "subtitles by",
    "subtitled by",
    "captions by",
    "captioned by",
    "closed captioning",
    "transcription by",
    "transcribed by",
    "translation by",
    "translated by",
    "amara org",
    "opensubtitles",
    "untertitel im auftrag",
    "untertitelung",
    "untertitel von",
    "untertitel der",
    "danke fürs zuschauen",
    "dank fürs zuschauen",
    "bis zum nächsten mal",
    "subtítulos realizados por",
    "subtítulos por",
    "gracias por ver",
    "suscríbete al canal",
    "sous titres réalisés",
    "sous titrage",
    "sous titres par",
    "merci d avoir regardé",
    "abonnez vous",
    "legendas pela comunidade",
    "obrigado por assistir",
    "sottotitoli creati dalla",
    "sottotitoli e revisione",
    "grazie per aver guardato",
    "ondertiteld door",
    "ondertiteling",
    "bedankt voor het kijken",
    "napisy stworzone przez",
    "dziękuję za uwagę",
    "dziękuję za oglądanie",
    "altyazı",
    "субтитры сделал",
    "субтитры создавал",
    "редактор субтитров",
    "спасибо за просмотр",
    "请不吝点赞",
    "字幕",
    "ご視聴ありがとうございました",
    "시청해주셔서 감사합니다",
    "시청해 주셔서 감사합니다",
)


def is_boilerplate(text: str) -> bool:
    """Whether a segment's text is such a phrase, whatever its case and punctuation."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(character if character.isalnum() else " " for character in plain)
    said = " ".join(words.split())
    return said in WHOLE or any(f" {part} " in f" {said} " or (not part.isascii() and part in said) for part in PARTS)
