"""The first tables, and the indexes for full-text search."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY: Final = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
_TABLES: Final = (
    "transcriptions",
    "meeting_sessions",
    "meetings",
    "api_tokens",
    "tombstones",
    "speaker_events",
    "owners",
)
# Finals that are shown; drafts change too often to be worth an index. Each row has its owner as one more word, so that
# a search for common words skips the rows of other owners.
_SQLITE_SEARCH: Final = (
    # The index reads its text here when it is rebuilt.
    """CREATE VIEW transcription_words AS
       SELECT id, 'owner' || owner_id AS owner, coalesce(search_text, text) AS words
       FROM transcriptions WHERE completed AND NOT deleted""",
    """CREATE VIRTUAL TABLE transcription_search USING fts5(
       owner, words, content='transcription_words', content_rowid='id', tokenize='unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER transcription_search_insert AFTER INSERT ON transcriptions
       WHEN new.completed AND NOT new.deleted BEGIN
         INSERT INTO transcription_search(rowid, owner, words)
         VALUES (new.id, 'owner' || new.owner_id, coalesce(new.search_text, new.text));
       END""",
    """CREATE TRIGGER transcription_search_update
       AFTER UPDATE OF owner_id, text, search_text, completed, deleted ON transcriptions BEGIN
         INSERT INTO transcription_search(transcription_search, rowid, owner, words)
         SELECT 'delete', old.id, 'owner' || old.owner_id, coalesce(old.search_text, old.text)
         WHERE old.completed AND NOT old.deleted;
         INSERT INTO transcription_search(rowid, owner, words)
         SELECT new.id, 'owner' || new.owner_id, coalesce(new.search_text, new.text)
         WHERE new.completed AND NOT new.deleted;
       END""",
    """CREATE TRIGGER transcription_search_delete AFTER DELETE ON transcriptions
       WHEN old.completed AND NOT old.deleted BEGIN
         INSERT INTO transcription_search(transcription_search, rowid, owner, words)
         VALUES ('delete', old.id, 'owner' || old.owner_id, coalesce(old.search_text, old.text));
       END""",
)
_POSTGRES_SEARCH: Final = (
    # `@owner1` is no word of any text, nor the beginning of one: those consist of letters and digits.
    """ALTER TABLE transcriptions ADD COLUMN search tsvector GENERATED ALWAYS AS (
       to_tsvector('simple', coalesce(search_text, regexp_replace(text, '[^A-Za-z0-9]+', ' ', 'g')))
       || array_to_tsvector(ARRAY['@owner' || CAST(owner_id AS text)])) STORED""",
    """CREATE INDEX ix_transcriptions_search ON transcriptions USING gin (search)
       WHERE completed AND NOT deleted""",
    "CREATE SEQUENCE own_meeting_ids START 1000000000",
)


def upgrade() -> None:
    """Create everything."""
    _create_tables()
    for statement in _SQLITE_SEARCH if op.get_bind().dialect.name == "sqlite" else _POSTGRES_SEARCH:
        op.execute(statement)


def downgrade() -> None:
    """Drop everything."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE transcription_search")
        op.execute("DROP VIEW transcription_words")
    else:
        op.execute("DROP SEQUENCE own_meeting_ids")
    for name in _TABLES:
        op.drop_table(name)


def _create_tables() -> None:
    op.create_table(
        "owners",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owners")),
    )
    op.create_table(
        "speaker_events",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=True),
        sa.Column("t_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=True),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("rev_n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_speaker_events")),
        sa.UniqueConstraint("uid", "t_ms", "kind", "name", name=op.f("uq_speaker_events_uid_t_ms_kind_name")),
    )
    op.create_index(op.f("ix_speaker_events_rev_ms"), "speaker_events", ["rev_ms"], unique=False)
    op.create_table(
        "tombstones",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
    )
    op.create_index(op.f("ix_tombstones_kind_key_hash"), "tombstones", ["kind", "key_hash"], unique=False)
    op.create_index(op.f("ix_tombstones_until_ms"), "tombstones", ["until_ms"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("id", _ID, nullable=False),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_api_tokens_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
    )
    op.create_table(
        "meetings",
        sa.Column("id", _ID, autoincrement=False, nullable=False),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("native_meeting_id", sa.Text(), nullable=True),
        sa.Column("native_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=True),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_meetings_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meetings")),
    )
    op.create_index(op.f("ix_meetings_native_hash"), "meetings", ["native_hash"], unique=False)
    op.create_index(
        op.f("ix_meetings_owner_id_created_ms_id"), "meetings", ["owner_id", "created_ms", "id"], unique=False
    )
    op.create_index(
        op.f("ix_meetings_owner_id_platform_native_meeting_id_created_ms"),
        "meetings",
        ["owner_id", "platform", "native_meeting_id", "created_ms"],
        unique=False,
    )
    op.create_index(op.f("ix_meetings_status_last_rev_ms"), "meetings", ["status", "last_rev_ms"], unique=False)
    op.create_table(
        "meeting_sessions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("meeting_id", _ID, nullable=False),
        sa.Column("session_key", _KEY, nullable=False),
        sa.Column("session_uid", sa.Text(), nullable=True),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_source", sa.SmallInteger(), nullable=False),
        sa.Column("start_rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_rev_n", sa.BigInteger(), nullable=False),
        sa.Column("draft_rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("draft_rev_n", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_rev_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_rev_n", sa.BigInteger(), nullable=True),
        sa.Column("expected_segments", sa.Integer(), nullable=True),
        sa.Column("missing", sa.Integer(), nullable=True),
        sa.Column("missing_reported", sa.Integer(), nullable=False),
        sa.Column("first_rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_rev_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["meeting_id"], ["meetings.id"], name=op.f("fk_meeting_sessions_meeting_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meeting_sessions")),
        sa.UniqueConstraint("meeting_id", "session_key", name=op.f("uq_meeting_sessions_meeting_id_session_key")),
    )
    op.create_index(
        "ix_meeting_sessions_missing",
        "meeting_sessions",
        ["end_rev_ms"],
        unique=False,
        sqlite_where=sa.text("missing > missing_reported"),
        postgresql_where=sa.text("missing > missing_reported"),
    )
    op.create_index(op.f("ix_meeting_sessions_session_key"), "meeting_sessions", ["session_key"], unique=False)
    op.create_index(op.f("ix_meeting_sessions_session_uid"), "meeting_sessions", ["session_uid"], unique=False)
    op.create_table(
        "transcriptions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("meeting_id", _ID, nullable=False),
        sa.Column("owner_id", _ID, nullable=False),
        sa.Column("session_id", _ID, nullable=False),
        sa.Column("segment_key", _KEY, nullable=False),
        sa.Column("has_id", sa.Boolean(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=True),
        sa.Column("timing", sa.SmallInteger(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("abs_start_ms", sa.BigInteger(), nullable=False),
        sa.Column("abs_end_ms", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("speaker", sa.Text(), nullable=True),
        sa.Column("speaker_key", sa.Text(), nullable=True),
        sa.Column("speaker_status", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("hidden_by", sa.Text(), nullable=True),
        sa.Column("words", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("rev_ms", sa.BigInteger(), nullable=False),
        sa.Column("rev_n", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["meeting_id"], ["meetings.id"], name=op.f("fk_transcriptions_meeting_id")),
        sa.ForeignKeyConstraint(["session_id"], ["meeting_sessions.id"], name=op.f("fk_transcriptions_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcriptions")),
        sa.UniqueConstraint("session_id", "segment_key", name=op.f("uq_transcriptions_session_id_segment_key")),
    )
    op.create_index(
        "ix_transcriptions_drafts",
        "transcriptions",
        ["session_id"],
        unique=False,
        sqlite_where=sa.text("NOT completed"),
        postgresql_where=sa.text("NOT completed"),
    )
    op.create_index(
        op.f("ix_transcriptions_meeting_id_abs_start_ms_id"),
        "transcriptions",
        ["meeting_id", "abs_start_ms", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_transcriptions_meeting_id_seq"), "transcriptions", ["meeting_id", "seq"], unique=False)
