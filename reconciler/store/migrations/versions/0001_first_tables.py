"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", row_id, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="identities_pk"),
        sa.UniqueConstraint("type", "place", "key", name="identities_type_place_key_unique"),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint_key", sa.LargeBinary(), nullable=False),
        sa.Column("leapt_from", sa.Double(), nullable=True),
        sa.Column("leapt_to", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="installation_pk"),
    )
    op.create_table(
        "tallies",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "kind", "operation", "status", name="tallies_pk"),
    )
    op.create_table(
        "steady_states",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("first_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="steady_states_pk"),
    )
    op.create_table(
        "provisioning_log",
        sa.Column("id", row_id, nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text()),
        sa.Column("source_sum", sa.BigInteger(), nullable=False),
        sa.Column("target_sum", sa.BigInteger()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text()),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="provisioning_log_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("provisioning_log_by_job", "provisioning_log", ["job", "id"])
    op.create_index("provisioning_log_failures", "provisioning_log", ["id"], **_only("status = 'failure'"))
    rare = "action IN ('disable', 'delete', 'stagedDelete', 'stagedAction')"
    op.create_index("provisioning_log_rare", "provisioning_log", ["action", "id"], **_only(rare))
    op.create_index("provisioning_log_by_name", "provisioning_log", ["name_key"])
    op.create_index("provisioning_log_by_source", "provisioning_log", ["source_sum"])
    op.create_index("provisioning_log_by_target", "provisioning_log", ["target_sum"], **_only("target_sum IS NOT NULL"))
    op.create_index(
        "provisioning_log_counted", "provisioning_log", ["job_id", "counts", "at"], **_only("counts IS NOT NULL")
    )
    op.create_table(
        "cycles",
        sa.Column("id", row_id, nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("cycle_id", sa.Text(), nullable=False),
        sa.Column("source_ref", row_id, nullable=False),
        sa.Column("target_ref", row_id, nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double()),
        sa.Column("asked_by", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("summary", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["source_ref"], ["identities.id"], name="cycles_source_ref_fk"),
        sa.ForeignKeyConstraint(["target_ref"], ["identities.id"], name="cycles_target_ref_fk"),
        sa.PrimaryKeyConstraint("id", name="cycles_pk"),
        sa.UniqueConstraint("job_id", "epoch", name="cycles_job_id_epoch_unique"),
    )
    op.create_index("cycles_by_job", "cycles", ["job", "id"])
    op.create_table(
        "jobs",
        sa.Column("id", row_id, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_ref", row_id),
        sa.Column("target_ref", row_id),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("watermark", sa.Text()),
        sa.Column("completed_rules", sa.Text()),
        sa.Column("next_due_at", sa.Double()),
        sa.ForeignKeyConstraint(["source_ref"], ["identities.id"], name="jobs_source_ref_fk"),
        sa.ForeignKeyConstraint(["target_ref"], ["identities.id"], name="jobs_target_ref_fk"),
        sa.PrimaryKeyConstraint("id", name="jobs_pk"),
        sa.UniqueConstraint("name", name="jobs_name_unique"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "target_facts",
        sa.Column("target_ref", row_id, autoincrement=False, nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["target_ref"], ["identities.id"], name="target_facts_target_ref_fk"),
        sa.PrimaryKeyConstraint("target_ref", name="target_facts_pk"),
    )
    op.create_table(
        "entries",
        sa.Column("row_id", row_id, nullable=False),
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary()),
        sa.Column("due_at", sa.Double()),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("target_ref", row_id),
        sa.Column("target_id", sa.Text()),
        sa.Column("disabled_at", sa.Double()),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("attempted_at", sa.Double()),
        sa.Column("escrow_failures", sa.Integer()),
        sa.Column("escrow_first_failed_at", sa.Double()),
        sa.Column("escrow_error_code", sa.Text()),
        sa.Column("escrow_reason", sa.Text()),
        sa.Column("origin", sa.Text()),
        sa.Column("linked_at", sa.Double()),
        sa.Column("disabled_because", sa.Text()),
        sa.Column("delete_at", sa.Double()),
        sa.Column("unkept", sa.LargeBinary()),
        sa.Column("changed", sa.LargeBinary()),
        sa.Column("agreed", sa.LargeBinary()),
        sa.Column("off_since", sa.Double()),
        sa.Column("claims", sa.Text()),
        sa.Column("attempted_off_at", sa.Double()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="entries_job_id_fk", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["target_ref"], ["identities.id"], name="entries_target_ref_fk"),
        sa.PrimaryKeyConstraint("row_id", name="entries_pk"),
        sa.UniqueConstraint("job_id", "kind", "source_id", name="entries_job_id_kind_source_id_unique"),
        sa.UniqueConstraint("target_ref", "kind", "target_id", name="entries_target_ref_kind_target_id_unique"),
        sqlite_autoincrement=True,
    )
    managed = "target_id IS NOT NULL AND disabled_at IS NULL"
    op.create_index("entries_managed", "entries", ["job_id", "kind"], **_only(managed))
    leavers = "verdict IN ('gone', 'inactive', 'role_lost', 'out_of_scope')"
    op.create_index(
        "entries_left_on", "entries", ["job_id", "verdict"], **_only(f"{managed} AND off_since IS NULL AND {leavers}")
    )
    op.create_index("entries_that_should_be_off", "entries", ["job_id", "off_since"], **_only("off_since IS NOT NULL"))
    op.create_index(
        "entries_lost", "entries", ["kind", "row_id"], **_only("attempted_at IS NOT NULL AND target_id IS NULL")
    )
    op.create_index("entries_that_claim", "entries", ["kind", "claims"], **_only("claims IS NOT NULL"))
    op.create_index("entries_that_matter", "entries", ["job_id", "kind", "row_id"], **_only("verdict <> 'gone'"))
    op.create_index(
        "entries_that_wait", "entries", ["job_id", "kind", "row_id", "due_at"], **_only("due_at IS NOT NULL")
    )
    op.create_index(
        "entries_unsettled",
        "entries",
        ["job_id", "kind", "row_id"],
        **_only("fingerprint IS NULL AND verdict <> 'gone'"),
    )
    op.create_table(
        "holds",
        sa.Column("id", row_id, nullable=False),
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("safeguard", sa.Text(), nullable=False),
        sa.Column("cycle_id", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="holds_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="holds_pk"),
        sa.UniqueConstraint("job_id", "safeguard", name="holds_job_id_safeguard_unique"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ledger",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_target_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("in_doubt", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="ledger_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "group_id", "member_target_id", name="ledger_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("ledger_by_member", "ledger", ["job_id", "member_id"])
    op.create_table(
        "listing",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="listing_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "target_id", name="listing_pk"),
    )
    op.create_table(
        "listing_keys",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="listing_keys_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "key", "target_id", name="listing_keys_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assignments",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("principal_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="assignments_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "principal_id", "role", name="assignments_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "memberships",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="memberships_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "group_id", "member_id", name="memberships_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("memberships_by_member", "memberships", ["job_id", "member_id", "group_id"])
    op.create_table(
        "pending_references",
        sa.Column("id", row_id, nullable=False),
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("wanted_kind", sa.Text(), nullable=False),
        sa.Column("wanted_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="pending_references_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pending_references_pk"),
        sa.UniqueConstraint(
            "job_id", "kind", "source_id", "path", "wanted_kind", "wanted_id", name="pending_references_once"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts_let_go",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="accounts_let_go_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "target_id", name="accounts_let_go_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool",
        sa.Column("id", row_id, nullable=False),
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("operation", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="spool_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="spool_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("spool_by_queue", "spool", ["job_id", "queue", "id"])
    op.create_table(
        "staged_groups",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("name_key", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("digest", sa.LargeBinary()),
        sa.Column("present", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("dirty", sa.Boolean(), server_default=sa.text("FALSE"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.Double()),
        sa.Column("ledger_of", sa.Text()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="staged_groups_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "group_id", name="staged_groups_pk"),
    )
    op.create_index("staged_groups_by_name", "staged_groups", ["job_id", "name_key"])
    op.create_index("staged_groups_dirty", "staged_groups", ["job_id", "group_id"], **_only("dirty"))
    op.create_table(
        "held_operations",
        sa.Column("hold_id", row_id, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("about", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name="held_operations_hold_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hold_id", "position", name="held_operations_pk"),
    )
    op.create_table(
        "taken_out",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("taken_by", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="taken_out_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "source_id", name="taken_out_pk"),
    )
    op.create_table(
        "spoken_of",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="spoken_of_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "source_id", name="spoken_of_pk"),
    )
    op.create_table(
        "decided_operations",
        sa.Column("job_id", row_id, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.Column("hold", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("about", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="decided_operations_job_id_fk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "source_id", "operation", name="decided_operations_pk"),
    )
    op.create_table(
        "standings",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("standing", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="standings_pk"),
    )
    op.create_table(
        "notices",
        sa.Column("id", row_id, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.Double()),
        sa.Column("due_at", sa.Double()),
        sa.Column("sent_at", sa.Double()),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="notices_pk"),
        sa.UniqueConstraint("key", name="notices_key_unique"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_by_due", "notices", ["due_at"])


def _only(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
