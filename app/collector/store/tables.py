"""The tables as SQLAlchemy sees them. Migrations create them; a test compares both.

Times are Unix milliseconds, or milliseconds since a session's second 0. Strings have no length in the database:
`app/collector/wire` bounds what producers send.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TEXT

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers INTEGER keys only
_KEY: Final = Text().with_variant(TEXT(collation="C"), "postgresql")  # ordered by code point, as in SQLite

OWNERS: Final = Table(
    "owners",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

API_TOKENS: Final = Table(
    "api_tokens",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("owner_id", _ID, ForeignKey(OWNERS.c.id), nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # hex SHA-256
    Column("prefix", Text, nullable=False),  # first characters, so that people recognize it
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("expires_ms", BigInteger),
    Column("last_used_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
)

MEETINGS: Final = Table(
    "meetings",
    METADATA,
    Column("id", _ID, primary_key=True, autoincrement=False),  # Vexa's number, or ours from 1 000 000 000
    Column("owner_id", _ID, ForeignKey(OWNERS.c.id), nullable=False),
    Column("platform", Text, nullable=False),
    Column("native_meeting_id", Text),  # NULL once deleted
    Column("native_hash", Text, nullable=False),  # of owner, platform and native id; stays after a deletion
    Column("status", Text, nullable=False),
    Column("start_ms", BigInteger),  # the first session's second 0
    Column("end_ms", BigInteger),  # end of the last final
    Column("data", JSON, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("complete", Boolean),
    Column("deleted_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),  # time of its lowest revision
    Column("last_rev_ms", BigInteger, nullable=False),  # time of its highest revision
    Column("updated_ms", BigInteger, nullable=False),
    Index(None, "owner_id", "platform", "native_meeting_id", "created_ms"),
    Index(None, "owner_id", "created_ms", "id"),
    Index(None, "native_hash"),
    Index(None, "status", "last_rev_ms"),
)

SESSIONS: Final = Table(
    "meeting_sessions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("meeting_id", _ID, ForeignKey(MEETINGS.c.id), nullable=False),
    Column("session_key", _KEY, nullable=False),
    Column("session_uid", Text),
    Column("stream", Text, nullable=False),  # Redis key of its entries
    Column("start_ms", BigInteger, nullable=False),
    Column("start_source", SmallInteger, nullable=False),  # merge.ARRIVAL, SEGMENTS or EVENT
    Column("start_rev_ms", BigInteger, nullable=False),
    Column("start_rev_n", BigInteger, nullable=False),
    Column("draft_rev_ms", BigInteger, nullable=False),  # revision of its newest complete set of drafts
    Column("draft_rev_n", BigInteger, nullable=False),
    Column("end_ms", BigInteger),
    Column("end_rev_ms", BigInteger),
    Column("end_rev_n", BigInteger),
    Column("expected_segments", Integer),  # finals that its producer counted
    Column("missing", Integer),  # of those; NULL while nobody counted
    Column("missing_reported", Integer, nullable=False),  # of those, how many the metric has counted
    Column("first_rev_ms", BigInteger, nullable=False),
    Column("last_rev_ms", BigInteger, nullable=False),
    UniqueConstraint("meeting_id", "session_key"),
    Index(None, "session_key"),
    Index(None, "session_uid"),
    Index(
        "ix_meeting_sessions_missing",
        "end_rev_ms",
        sqlite_where=text("missing > missing_reported"),
        postgresql_where=text("missing > missing_reported"),
    ),
)

SEGMENTS: Final = Table(
    "transcriptions",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("meeting_id", _ID, ForeignKey(MEETINGS.c.id), nullable=False),
    Column("owner_id", _ID, nullable=False),  # the meeting's, in the full-text index too
    Column("session_id", _ID, ForeignKey(SESSIONS.c.id), nullable=False),
    Column("segment_key", _KEY, nullable=False),
    Column("has_id", Boolean, nullable=False),  # the key came from the producer
    Column("ordinal", Integer),
    Column("timing", SmallInteger, nullable=False),  # merge.RELATIVE, ABSOLUTE or BOTH: what the producer gave
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("abs_start_ms", BigInteger, nullable=False),
    Column("abs_end_ms", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("search_text", Text),  # words of a text that is not ASCII (search_words.py); NULL: the text itself
    Column("language", Text),
    Column("speaker", Text),
    Column("speaker_key", Text),
    Column("speaker_status", Text),
    Column("source", Text),
    Column("completed", Boolean, nullable=False),
    Column("promoted", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),  # retracted if completed, else a draft that was replaced
    Column("hidden_by", Text),
    Column("words", JSON(none_as_null=True)),
    Column("rev_ms", BigInteger, nullable=False),
    Column("rev_n", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    UniqueConstraint("session_id", "segment_key"),
    Index(None, "meeting_id", "abs_start_ms", "id"),
    Index(None, "meeting_id", "seq"),
    Index(
        "ix_transcriptions_drafts",
        "session_id",
        sqlite_where=text("NOT completed"),
        postgresql_where=text("NOT completed"),
    ),
)

SPEAKER_EVENTS: Final = Table(
    "speaker_events",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("uid", Text, nullable=False),  # session_key or session_uid; events may come before their session
    Column("platform", Text),
    Column("t_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("participant_id", Text),
    Column("stream", Text, nullable=False),
    Column("rev_ms", BigInteger, nullable=False),
    Column("rev_n", BigInteger, nullable=False),
    UniqueConstraint("uid", "t_ms", "kind", "name"),
    Index(None, "rev_ms"),
)

TOMBSTONES: Final = Table(
    "tombstones",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("kind", Text, nullable=False),  # session, uid or room
    Column("key_hash", Text, nullable=False),
    Column("from_ms", BigInteger, nullable=False),  # entries from here …
    Column("to_ms", BigInteger, nullable=False),  # … to here are refused
    Column("until_ms", BigInteger, nullable=False),  # then the tombstone goes
    Index(None, "kind", "key_hash"),
    Index(None, "until_ms"),
)
