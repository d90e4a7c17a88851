"""The tables of the state, for SQLite as for PostgreSQL.

What a column means stands at the value that it keeps (`core.records`, `ports`). Everything that belongs to a job hangs
on its row and goes with it; the provisioning log and the names of cycles do not.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
    }
)

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""Only INTEGER is SQLite's own row id."""
ByteOrdered = Text().with_variant(String(collation="C"), "postgresql")
"""Compared byte by byte, so that the names with one beginning stand together."""


def _of_job() -> Column[int]:
    return Column("job_id", RowId, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, primary_key=True)


def _of_job_row() -> Column[int]:
    return Column("job_id", RowId, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False)


installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint_key", LargeBinary, nullable=False),
    Column("leapt_from", Double),
    Column("leapt_to", Double),
)

identities = Table(
    "identities",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("type", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("key", Text, nullable=False),
    UniqueConstraint("type", "place", "key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("source_ref", RowId, ForeignKey("identities.id")),
    Column("target_ref", RowId, ForeignKey("identities.id")),
    Column("epoch", BigInteger, nullable=False),
    Column("watermark", Text),
    Column("completed_rules", Text),
    Column("next_due_at", Double),
    sqlite_autoincrement=True,
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("job", Text, nullable=False),
    Column("cycle_id", Text, nullable=False),
    Column("source_ref", RowId, ForeignKey("identities.id"), nullable=False),
    Column("target_ref", RowId, ForeignKey("identities.id"), nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),
    Column("asked_by", Text, nullable=False, server_default=text("''")),
    Column("summary", LargeBinary),
    UniqueConstraint("job_id", "epoch"),
    Index("cycles_by_job", "job", "id"),
)

entries = Table(
    "entries",
    metadata,
    Column("row_id", RowId, primary_key=True),
    _of_job_row(),
    Column("kind", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("fingerprint", LargeBinary),
    Column("due_at", Double),
    Column("verdict", Text, nullable=False),
    Column("target_ref", RowId, ForeignKey("identities.id")),
    Column("target_id", Text),
    Column("disabled_at", Double),
    Column("why", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("person", Text),
    Column("attempted_at", Double),
    Column("escrow_failures", Integer),
    Column("escrow_first_failed_at", Double),
    Column("escrow_error_code", Text),
    Column("escrow_reason", Text),
    Column("origin", Text),
    Column("linked_at", Double),
    Column("disabled_because", Text),
    Column("delete_at", Double),
    Column("unkept", LargeBinary),
    Column("changed", LargeBinary),
    Column("agreed", LargeBinary),
    Column("off_since", Double),
    Column("claims", Text),
    Column("attempted_off_at", Double),
    UniqueConstraint("job_id", "kind", "source_id"),
    UniqueConstraint("target_ref", "kind", "target_id"),
    sqlite_autoincrement=True,
)
MATTERS = text("verdict <> 'gone'")
Index(
    "entries_that_matter",
    *(entries.c.job_id, entries.c.kind, entries.c.row_id),
    sqlite_where=MATTERS,
    postgresql_where=MATTERS,
)
WAITS = text("due_at IS NOT NULL")
Index(
    "entries_that_wait",
    *(entries.c.job_id, entries.c.kind, entries.c.row_id, entries.c.due_at),
    sqlite_where=WAITS,
    postgresql_where=WAITS,
)
UNSETTLED = text("fingerprint IS NULL AND verdict <> 'gone'")
Index(
    "entries_unsettled",
    *(entries.c.job_id, entries.c.kind, entries.c.row_id),
    sqlite_where=UNSETTLED,
    postgresql_where=UNSETTLED,
)
CLAIMS = text("claims IS NOT NULL")
Index(
    "entries_that_claim",
    *(entries.c.kind, entries.c.claims),
    sqlite_where=CLAIMS,
    postgresql_where=CLAIMS,
)
LOST = text("attempted_at IS NOT NULL AND target_id IS NULL")
Index("entries_lost", entries.c.kind, entries.c.row_id, sqlite_where=LOST, postgresql_where=LOST)
SHOULD_BE_OFF = text("off_since IS NOT NULL")
Index(
    "entries_that_should_be_off",
    *(entries.c.job_id, entries.c.off_since),
    sqlite_where=SHOULD_BE_OFF,
    postgresql_where=SHOULD_BE_OFF,
)
MANAGED = text("target_id IS NOT NULL AND disabled_at IS NULL")
Index("entries_managed", entries.c.job_id, entries.c.kind, sqlite_where=MANAGED, postgresql_where=MANAGED)
LEFT_ON = text(
    "target_id IS NOT NULL AND disabled_at IS NULL AND off_since IS NULL "
    "AND verdict IN ('gone', 'inactive', 'role_lost', 'out_of_scope')"
)
Index("entries_left_on", entries.c.job_id, entries.c.verdict, sqlite_where=LEFT_ON, postgresql_where=LEFT_ON)

staged_groups = Table(
    "staged_groups",
    metadata,
    _of_job(),
    Column("group_id", Text, primary_key=True),
    Column("name", Text, nullable=False, server_default=text("''")),
    Column("name_key", Text, nullable=False, server_default=text("''")),
    Column("digest", LargeBinary),
    Column("present", Boolean, nullable=False, server_default=text("FALSE")),
    Column("dirty", Boolean, nullable=False, server_default=text("FALSE")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("due_at", Double),
    Column("ledger_of", Text),
    Index("staged_groups_by_name", "job_id", "name_key"),
)
DIRTY = text("dirty")
Index(
    "staged_groups_dirty",
    *(staged_groups.c.job_id, staged_groups.c.group_id),
    sqlite_where=DIRTY,
    postgresql_where=DIRTY,
)

assignments = Table(
    "assignments",
    metadata,
    _of_job(),
    Column("principal_id", Text, primary_key=True),
    Column("role", Text, primary_key=True),
    sqlite_with_rowid=False,
)

memberships = Table(
    "memberships",
    metadata,
    _of_job(),
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Index("memberships_by_member", "job_id", "member_id", "group_id"),
    sqlite_with_rowid=False,
)

ledger = Table(
    "ledger",
    metadata,
    _of_job(),
    Column("group_id", Text, primary_key=True),
    Column("member_target_id", Text, primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("in_doubt", Boolean, nullable=False, server_default=text("FALSE")),
    Index("ledger_by_member", "job_id", "member_id"),
    sqlite_with_rowid=False,
)

pending_references = Table(
    "pending_references",
    metadata,
    Column("id", RowId, primary_key=True),
    _of_job_row(),
    Column("kind", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("wanted_kind", Text, nullable=False),
    Column("wanted_id", Text, nullable=False),
    UniqueConstraint(
        *("job_id", "kind", "source_id", "path", "wanted_kind", "wanted_id"), name="pending_references_once"
    ),
    sqlite_autoincrement=True,
)

accounts_let_go = Table(
    "accounts_let_go",
    metadata,
    _of_job(),
    Column("target_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

spool = Table(
    "spool",
    metadata,
    Column("id", RowId, primary_key=True),
    _of_job_row(),
    Column("queue", Text, nullable=False),
    Column("operation", LargeBinary, nullable=False),
    Index("spool_by_queue", "job_id", "queue", "id"),
    sqlite_autoincrement=True,
)

listing = Table(
    "listing",
    metadata,
    _of_job(),
    Column("kind", Text, primary_key=True),
    Column("target_id", Text, primary_key=True),
    Column("keys", LargeBinary, nullable=False),
    Column("resource", LargeBinary, nullable=False),
)

listing_keys = Table(
    "listing_keys",
    metadata,
    _of_job(),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("target_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

holds = Table(
    "holds",
    metadata,
    Column("id", RowId, primary_key=True),
    _of_job_row(),
    Column("safeguard", Text, nullable=False),
    Column("cycle_id", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("why", Text, nullable=False),
    UniqueConstraint("job_id", "safeguard"),
    sqlite_autoincrement=True,
)

held_operations = Table(
    "held_operations",
    metadata,
    Column("hold_id", RowId, ForeignKey("holds.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("about", LargeBinary),
)

decided_operations = Table(
    "decided_operations",
    metadata,
    _of_job(),
    Column("kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("decision", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", Double, nullable=False),
    Column("hold", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("about", LargeBinary),
)

taken_out = Table(
    "taken_out",
    metadata,
    _of_job(),
    Column("kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("taken_by", Text, nullable=False),
    Column("taken_at", Double, nullable=False),
)

# Whom a person took out, or let back, since the job was opened: what is under way may write over it.
spoken_of = Table(
    "spoken_of",
    metadata,
    _of_job(),
    Column("kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
)

provisioning_log = Table(
    "provisioning_log",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("job", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("target_id", Text),
    # Checksums of the ids, to find them by: indexes a third of the size, and so a third of the writing.
    Column("source_sum", BigInteger, nullable=False),
    Column("target_sum", BigInteger),
    Column("name", Text, nullable=False),
    Column("name_key", ByteOrdered, nullable=False),
    Column("action", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("counts", Text),
    Column("payload", LargeBinary, nullable=False),
    Index("provisioning_log_by_job", "job", "id"),
    Index("provisioning_log_by_source", "source_sum"),
    Index("provisioning_log_by_name", "name_key"),
    sqlite_autoincrement=True,
)
_ANSWERED = text("target_sum IS NOT NULL")
Index(
    "provisioning_log_by_target",
    provisioning_log.c.target_sum,
    sqlite_where=_ANSWERED,
    postgresql_where=_ANSWERED,
)
FAILED = text("status = 'failure'")
Index(
    "provisioning_log_failures",
    provisioning_log.c.id,
    sqlite_where=FAILED,
    postgresql_where=FAILED,
)
# Creates and updates are most of the log: who looks for them finds them anywhere, and they cost no index.
RARE = text("action IN ('disable', 'delete', 'stagedDelete', 'stagedAction')")
Index(
    "provisioning_log_rare",
    *(provisioning_log.c.action, provisioning_log.c.id),
    sqlite_where=RARE,
    postgresql_where=RARE,
)
COUNTED = text("counts IS NOT NULL")
Index(
    "provisioning_log_counted",
    *(provisioning_log.c.job_id, provisioning_log.c.counts, provisioning_log.c.at),
    sqlite_where=COUNTED,
    postgresql_where=COUNTED,
)

tallies = Table(
    "tallies",
    metadata,
    Column("job", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
)

steady_states = Table(
    "steady_states",
    metadata,
    Column("job", Text, primary_key=True),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
)

standings = Table(
    "standings",
    metadata,
    Column("job", Text, primary_key=True),
    Column("standing", LargeBinary, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("job", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("begun_at", Double),
    Column("due_at", Double),
    Column("sent_at", Double),
    Column("problem", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Index("notices_by_due", "due_at"),
    sqlite_autoincrement=True,
)

target_facts = Table(
    "target_facts",
    metadata,
    Column("target_ref", RowId, ForeignKey("identities.id"), primary_key=True, autoincrement=False),
    Column("facts", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
)
