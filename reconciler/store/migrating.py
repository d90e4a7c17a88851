"""Brings the tables to the revision that this version works with, all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text

from reconciler.errors import NoStateYet, StateError


@dataclass(frozen=True, slots=True)
class Revisions:
    """Where the migrations are (as `package:folder` or a path) and their names, oldest first."""

    location: str
    names: Sequence[str]

    @property
    def head(self) -> str:
        return self.names[-1]


SHIPPED = Revisions(location="reconciler.store:migrations", names=("0001",))
"""Named here as well as in the files, so that opening a state that needs no migration does not load Alembic."""


def current_revision(connection: Connection, place: str) -> str | None:
    """Return the revision of the state, None where there are no tables. Raises StateError for a foreign database."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if tables:
        raise StateError(
            f"{place}: this database belongs to another program (it has the table {min(tables)!r}); "
            "name another one in [state] url"
        )
    return None


def check_revision(current: str | None, revisions: Revisions, place: str, *, may_migrate: bool) -> None:
    """Raise StateError where the state is not one that can be used (or, with `may_migrate`, brought up to date)."""
    if current == revisions.head:
        return
    if current is not None and current not in revisions.names:
        raise StateError(
            f"{place}: the state has revision {current}, this version of reconciler knows up to {revisions.head}; "
            "run the newer version that wrote it, or restore a backup (state.db.before-…)"
        )
    if may_migrate:
        return
    if current is None:
        raise no_state_yet(place)
    raise StateError(
        f"{place}: the state has revision {current}, this version of reconciler needs {revisions.head}; "
        "start `reconciler run` or `reconciler cycle` once, which brings it up to date"
    )


def no_state_yet(place: str) -> NoStateYet:
    return NoStateYet(
        f"{place}: there is no state yet; `reconciler run` or `reconciler cycle JOB` makes it, or correct [state] url"
    )


def migrate(connection: Connection, revisions: Revisions) -> None:
    """Run every migration that is missing, in the transaction that is open on this connection."""
    # Loaded here: it takes longer than a whole command that needs no migration.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", revisions.location.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, revisions.head)
