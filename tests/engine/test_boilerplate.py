from __future__ import annotations

import pytest

from app.engine.boilerplate import is_boilerplate


@pytest.mark.parametrize(
    "text",
    [
        " Thanks for watching!",
        " Thank you.",
        " you",
        " So, THANK YOU for watching, and see you in the next video.",
        " Subtitles by the Amara.org community",
        " Untertitel im Auftrag des ZDF für funk, 2017",
        " Vielen Dank fürs Zuschauen.",
        " Subtítulos realizados por la comunidad de Amara.org",
        " Sous-titres réalisés para la communauté d'Amara.org",
        " ご視聴ありがとうございました。",
        " 请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        " Субтитры сделал DimaTorzok",
    ],
)
def test_phrases_of_subtitle_files_are_known(text: str) -> None:
    """Whatever their case and punctuation."""
    assert is_boilerplate(text)


@pytest.mark.parametrize(
    "text",
    [
        " Thank you for the report.",
        " Are you there?",
        " He was watching the thanksgiving parade.",
        " I subscribe to a newspaper.",
        " The captions bystanders wrote were kind.",
        "",
        " ...",
    ],
)
def test_other_text_is_not(text: str) -> None:
    """A part of a word or of a sentence does not match."""
    assert not is_boilerplate(text)
