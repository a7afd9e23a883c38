"""The keys file: TOML with one `[[key]]` for each API key, its name, the hash of the key and its limits. Pure.

    [[key]]
    name = "alice"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    tiers = ["standard", "realtime"]    # this and what follows is optional; what is left out is not limited
    requests_per_minute = 60
    concurrent = 4
    audio_seconds_per_day = 36000

Errors name the line, the key and the field, and never show a value that could be a key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, Final, cast, get_args

from app.core.options import Tier
from app.ops.keys import Key

TIERS: Final = tuple(sorted(get_args(Tier)))
FIELDS: Final = ("name", "sha256", "tiers", "requests_per_minute", "concurrent", "audio_seconds_per_day")
LARGEST: Final = 1_000_000_000
RESERVED: Final = "other"  # the label under which the metrics sum the keys that have no series of their own
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_ENTRY: Final = re.compile(r"\s*\[\[\s*[\"']?key[\"']?\s*\]\]")


class BadKeysFile(ValueError):
    """A keys file that cannot be used; the message says where, what is wrong and the remedy."""


def parse(text: str) -> tuple[Key, ...]:
    """The keys of a keys file, in its order.

    Raises:
        BadKeysFile: it is not TOML, has no key, or an entry is wrong.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadKeysFile(f"not valid TOML: {str(error)[:200] or type(error).__name__}") from None
    _refuse_unknown(document, ("key",), where="")
    entries = document.get("key", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise BadKeysFile("'key' must be a list of tables: begin each key with [[key]]")
    if not entries:
        raise BadKeysFile("has no key; add one with: python -m app keys new --name NAME")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if _ENTRY.match(line)]
    places = [f"line {line}" for line in lines] if len(lines) == len(entries) else []
    keys: dict[str, Key] = {}
    names_of_hashes: dict[bytes, str] = {}
    for number, entry in enumerate(entries):
        place = places[number] if places else f"entry {number + 1}"
        key = _key(entry, place)
        if key.name in keys:
            raise BadKeysFile(f"{place}, key {key.name!r}: another key has this name already")
        if (other := names_of_hashes.setdefault(key.digest, key.name)) != key.name:
            raise BadKeysFile(f"{place}, key {key.name!r}: the same sha256 as key {other!r}")
        keys[key.name] = key
    return tuple(keys.values())


def render(key: Key) -> str:
    """The entry of a key, as `parse` reads it."""
    lines = ["[[key]]", f'name = "{key.name}"', f'sha256 = "{key.digest.hex()}"']
    if key.tiers is not None:
        listed = ", ".join(f'"{tier}"' for tier in sorted(key.tiers))
        lines.append(f"tiers = [{listed}]")
    limits = ("requests_per_minute", "concurrent", "audio_seconds_per_day")
    lines += [f"{field} = {value}" for field in limits if (value := getattr(key, field)) is not None]
    return "\n".join(lines) + "\n"


def require_name(name: object) -> str:
    """A name that logs, metrics and people can use.

    Raises:
        ValueError: what is allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{_shown(name)} is no name of a key: 1 to 64 letters, digits, '.', '_', '@' or '-', and a letter or "
            "digit first"
        )
    if name == RESERVED:
        raise ValueError(f"{RESERVED!r} cannot be the name of a key: metrics use it for the sum of several keys")
    return name


def require_tiers(tiers: object) -> frozenset[Tier]:
    """The tiers of a list.

    Raises:
        ValueError: it is no list, empty, or holds something else.
    """
    if not isinstance(tiers, list) or not tiers:
        raise ValueError(f"must be a list of {', '.join(TIERS)}; leave it out to allow all")
    for tier in tiers:
        if tier not in TIERS:
            raise ValueError(f"{_shown(tier)} is not one of {', '.join(TIERS)}{_meant(tier, TIERS)}")
    return frozenset(cast("list[Tier]", tiers))


def _key(entry: Mapping[str, Any], place: str) -> Key:
    named = entry.get("name")
    where = f"{place}, key {named!r}: " if isinstance(named, str) and _NAME.fullmatch(named) else f"{place}: "
    _refuse_unknown(entry, FIELDS, where=where)
    for field in ("name", "sha256"):
        if field not in entry:
            raise BadKeysFile(f"{where}{field} is missing")
    try:
        name = require_name(named)
    except ValueError as error:
        raise BadKeysFile(f"{where}name: {error}") from None
    try:
        tiers = require_tiers(entry["tiers"]) if "tiers" in entry else None
    except ValueError as error:
        raise BadKeysFile(f"{where}tiers: {error}") from None
    return Key(
        digest=_digest(entry["sha256"], where),
        name=name,
        tiers=tiers,
        requests_per_minute=_whole(entry, "requests_per_minute", where),
        concurrent=_whole(entry, "concurrent", where),
        audio_seconds_per_day=_number(entry, "audio_seconds_per_day", where),
    )


def _digest(value: object, where: str) -> bytes:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        length = f" of {len(value)} characters" if isinstance(value, str) else ""
        raise BadKeysFile(
            f"{where}sha256: not a SHA-256{length}: it has 64 hexadecimal digits, as `printf %s KEY | sha256sum` prints"
        )
    return bytes.fromhex(value)


def _whole(entry: Mapping[str, Any], field: str, where: str) -> int | None:
    value = entry.get(field)
    if field not in entry:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise BadKeysFile(
            f"{where}{field}: {_shown(value)} is not a whole number from 1 to {LARGEST}; leave it out for no limit"
        )
    return value


def _number(entry: Mapping[str, Any], field: str, where: str) -> float | None:
    value = entry.get(field)
    if field not in entry:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= LARGEST:
        raise BadKeysFile(
            f"{where}{field}: {_shown(value)} is not a number from 1 to {LARGEST}; leave it out for no limit"
        )
    return value


def _refuse_unknown(table: Mapping[str, Any], known: Collection[str], *, where: str) -> None:
    for field in table:
        if field not in known:
            raise BadKeysFile(
                f"{where}unknown field {field[:70]!r}{_meant(field, known)}; there is only {', '.join(known)}"
            )


def _shown(value: object) -> str:
    """The beginning of a value, in quotes."""
    try:
        return repr(str(value)[:70])
    except ValueError:  # Python writes no whole numbers of more than 4300 digits; 0xfff... may be one
        return "a number of thousands of digits"


def _meant(written: object, known: Collection[str]) -> str:
    if not isinstance(written, str):
        return ""
    close = difflib.get_close_matches(written[:100].lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
