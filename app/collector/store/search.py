"""Full-text search over the finals of an owner's meetings, newest first.

SQLite: FTS5, read from the newest row back. PostgreSQL: a generated `tsvector` with a GIN index. Both get words that
search_words.py has read from the query, so that no query is a syntax error. Each row's owner is a word of both
indexes, so that other owners' rows cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, column, func, literal_column, select, table
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import Hit, MeetingRow, Page
from app.collector.store.cursors import read_cursor, write_cursor
from app.collector.store.read import MEETING_FIELDS, SEGMENT_FIELDS, segment_of
from app.collector.store.search_words import Term, read_query
from app.collector.store.snippets import snippet
from app.collector.store.tables import MEETINGS, SEGMENTS, SESSIONS

_M, _S, _T = MEETINGS.c, SESSIONS.c, SEGMENTS.c
_FTS = table("transcription_search", column("rowid"))


async def search(
    connection: AsyncConnection,
    owner_id: int,
    query: str,
    *,
    platform: str | None,
    from_ms: int | None,
    to_ms: int | None,
    speaker: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Hit]:
    """Segments that have all the words of a query; a query without words finds nothing."""
    terms = read_query(query)
    before_id = read_cursor(cursor, int)[0] if cursor is not None else None
    if not terms:
        return Page(())
    is_sqlite = connection.dialect.name == "sqlite"
    statement = _fts(owner_id, terms) if is_sqlite else _tsvector(owner_id, terms)
    row_id: ColumnElement[int] = _FTS.c.rowid if is_sqlite else _T.id
    if before_id is not None:
        statement = statement.where(row_id < before_id)
    filters = [_M.owner_id == owner_id, _M.deleted_ms.is_(None), _T.hidden_by.is_(None)]
    if platform is not None:
        filters.append(_M.platform == platform)
    if from_ms is not None:
        filters.append(_T.abs_start_ms >= from_ms)
    if to_ms is not None:
        filters.append(_T.abs_start_ms < to_ms)
    if speaker is not None:
        filters.append(func.lower(_T.speaker) == func.lower(speaker))
    rows = (await connection.execute(statement.where(and_(*filters)).order_by(row_id.desc()).limit(limit + 1))).all()
    hits = tuple(_hit(row, terms) for row in rows[:limit])
    return Page(hits, write_cursor(hits[-1].segment.id) if len(rows) > limit else None)


def _selected() -> Select[Any]:
    return select(*SEGMENT_FIELDS, *(each.label(f"meeting_{each.name}") for each in MEETING_FIELDS))


def _fts(owner_id: int, terms: Sequence[Term]) -> Select[Any]:
    phrases = [f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}' for term in terms]
    tables = _FTS.join(SEGMENTS, _T.id == _FTS.c.rowid)
    tables = tables.join(SESSIONS, _S.id == _T.session_id).join(MEETINGS, _M.id == _T.meeting_id)
    query = f"owner : owner{owner_id} AND words : ({' AND '.join(phrases)})"
    match = literal_column("transcription_search").op("MATCH")(query)
    return _selected().select_from(tables).where(match)


def _tsvector(owner_id: int, terms: Sequence[Term]) -> Select[Any]:
    tables = SEGMENTS.join(SESSIONS, _S.id == _T.session_id).join(MEETINGS, _M.id == _T.meeting_id)
    queries = [cast(f"'@owner{owner_id}'", TSQUERY), *(_tsquery(term) for term in terms)]
    matches = [literal_column("transcriptions.search").op("@@")(query) for query in queries]
    return _selected().select_from(tables).where(_T.completed, ~_T.deleted, *matches)


def _tsquery(term: Term) -> ColumnElement[Any]:
    words = " ".join(term.words)
    if term.is_prefix:
        return func.to_tsquery("simple", f"'{words}':*")
    return func.phraseto_tsquery("simple", words)


def _hit(row: Any, terms: Sequence[Term]) -> Hit:
    segment = segment_of(row, hidden=False)
    return Hit(MeetingRow(*row[len(SEGMENT_FIELDS) :]), segment, snippet(segment.text, terms))
