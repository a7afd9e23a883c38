"""The documents agree with the code and with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bench", "deploy", "docs", "models", "tools")
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
# [text](target), ![text](target), and the attributes of the few HTML elements that Markdown has no form for.
LINK = re.compile(r"\]\(([^()\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z]+:")


def documents() -> list[Path]:
    """Every Markdown file for readers, relative to the repository's root."""
    found = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    return sorted(path.relative_to(ROOT) for path in found)


def links(text: str) -> list[str]:
    """The targets of a document's links and pictures, without those in code."""
    prose = CODE.sub("", FENCE.sub("", text))
    return [bare or quoted for bare, quoted in LINK.findall(prose)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings: lower case, no punctuation, hyphens; a repeated one is numbered."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (name := slug if number == 0 else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found


def exists(target: str, document: Path, text: str) -> bool:
    """Whether a relative link of a document leads to a file, and to a heading of it if it names one."""
    path, _, anchor = target.partition("#")
    file = ROOT / document.parent / path
    if path and not file.exists():
        return False
    return not anchor or anchor in anchors(file.read_text(encoding="utf-8") if path else text)


def broken(document: Path, text: str) -> list[str]:
    """The relative links of a document that lead nowhere."""
    return [target for target in links(text) if not ELSEWHERE.match(target) and not exists(target, document, text)]


@pytest.mark.parametrize("document", documents(), ids=str)
def test_relative_links_point_to_something(document: Path) -> None:
    """Each file exists, and each anchor is a heading of its document."""
    assert broken(document, (ROOT / document).read_text(encoding="utf-8")) == []


def test_broken_links_are_found() -> None:
    """Missing files and anchors are listed; links in code and to other sites are not."""
    text = "# A b: `c`\n[1](#a-b-c) [2](#a) [3](no.md) [4](../README.md#start) [5](https://e.org/x)\n"
    text += "```\n[6](no)\n```\n`[7](no)`"
    assert broken(Path("docs/some.md"), text) == ["#a", "no.md"]


def test_the_index_lists_every_page() -> None:
    """Each page of docs/ can be reached from docs/index.md."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / target).resolve() for target in links(index)}
    pages = {ROOT / page for page in documents() if page.parts[0] == "docs" and page.name != "index.md"}
    assert pages - listed == set()


def test_every_setting_is_documented() -> None:
    """docs/settings.md has a row for each variable of the worker and no other; .env.example has each of them."""
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    table = settings.partition("\n## Worker\n")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in WorkerSettings.model_fields)
    for name in named:
        assert f"\n{name}=" in example, name


@pytest.mark.parametrize(
    ("section", "settings_type"),
    [("Worker", WorkerSettings), ("Live gateway", GatewaySettings), ("Transcript collector", CollectorSettings)],
)
def test_settings_are_described_as_in_the_code(section: str, settings_type: type[BaseSettings]) -> None:
    """The sentence in docs/settings.md is the description that an error message at start shows."""
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    table = settings.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| .*? \| (.*) \|$", table, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in settings_type.model_fields.items()}


def test_the_example_configuration_is_valid() -> None:
    """Copying .env.example to .env changes nothing."""
    example = WorkerSettings(_env_file=ROOT / ".env.example")
    assert WorkerSettings(_env_file=None) == example
