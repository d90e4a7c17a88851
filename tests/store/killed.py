"""Runs a script of writes in children that are killed, each at another commit; prints what they had acknowledged.

Run as a program of its own with a directory: it forks, and pytest's process must not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import orjson
from sqlalchemy import Connection, Engine, event

from reconciler.core.outcomes import Account
from reconciler.core.records import Verdict
from reconciler.ports import Batch, GroupMembers, HeldOperation, PendingReference
from reconciler.store.sql import SqlStore
from tests.store.scenes import OTHER, SOURCE, TARGET, ids, linked, logged, sid, tid, unlinked

Step = Callable[[SqlStore], Awaitable[object]]


def steps() -> list[Step]:
    """Return the script: what a job writes in its first two cycles. Each step is one transaction."""
    ann, bob = unlinked("ann", attempted_at=2.0), unlinked("bob", attempted_at=2.0)
    group = linked("g", "t-g", kind="group")
    done = Batch(
        records=[linked("ann", "t-ann"), linked("bob", "t-bob"), group],
        log=[logged("ann"), logged("bob"), logged("g", kind="group")],
        pending_add=[PendingReference("user", sid("ann"), "manager", "user", sid("eve"))],
    )
    joined = Batch(members_added=[(sid("g"), sid("ann"), tid("t-ann"))], groups_settled=ids("g"), log=[logged("g")])
    swapped = Batch(
        records=[linked("ann", "t-bob"), linked("bob", "t-ann", verdict=Verdict.GONE)],
        forget=[("group", sid("g"))],
        log=[logged("ann", operation="disable")],
        touched=ids("ann"),
    )
    held = [HeldOperation("user", sid("bob"), "bob", "disable", "gone")]
    account = Account(tid("t-ann"), {"userName": "ann"})
    members = [GroupMembers(sid("g"), "G", ids("ann", "bob"))]
    return [
        lambda store: store.open_job("phone", SOURCE, TARGET, 1.0, cycle_id="c1"),
        lambda store: store.stage_memberships(1, members, additive=False),
        lambda store: store.listing_put(1, "user", [account], [("userName=ann",)]),
        lambda store: store.spool(1, "ordinary", [b"one", b"two"]),
        lambda store: store.commit(1, 1, Batch(records=[replace(ann), replace(bob)])),
        lambda store: store.commit(1, 1, done),
        lambda store: store.unspool(1, "ordinary", 1),
        lambda store: store.commit(1, 1, joined),
        lambda store: store.hold(1, "c1", 3.0, "too many", held),
        lambda store: store.remember(TARGET, {"patch": True}, 3.0),
        lambda store: store.close_cycle(1, 1, watermark="w", rules="r", summary={"state": "active"}, now=4.0),
        lambda store: store.set_next_due("phone", 9.0),
        lambda store: store.open_job("phone", SOURCE, TARGET, 10.0, cycle_id="c2"),
        lambda store: store.commit(1, 2, swapped),
        lambda store: store.link("phone", "user", sid("eve"), tid("t-eve"), 11.0),
        lambda store: store.rebind("phone", SOURCE, OTHER, keep_links=True),
        lambda store: store.forget("phone"),
    ]


@dataclass
class Killer:
    """Counts commits, and kills this process right before or right after one of them."""

    at: int
    when: str
    while_opening: bool
    """Only commits of the opening count, or only those of the script."""
    count: int = 0
    committed: bool = False
    opened: bool = False

    def watch(self) -> None:
        event.listen(Engine, "commit", self._committing)
        event.listen(Engine, "begin", self._after)

    def _committing(self, _: Connection) -> None:
        if self.opened is self.while_opening:
            return
        self.count += 1
        if self.count == self.at and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        self.committed = self.count == self.at

    def _after(self, _: Connection) -> None:
        if self.committed and self.when == "after":
            os.kill(os.getpid(), signal.SIGKILL)


async def run(path: Path, acknowledge: Callable[[int], object]) -> None:
    store = await SqlStore.open(f"sqlite:///{path}", write=True, clock_now=0.0, inline=True)
    acknowledge(0)
    for number, step in enumerate(steps(), 1):
        await step(store)
        acknowledge(number)
    await store.close()


def child(path: Path, killer: Killer, answers: int) -> None:
    def acknowledge(number: int) -> None:
        killer.opened = True
        os.write(answers, bytes([number]))

    killer.watch()
    asyncio.run(run(path, acknowledge))


def acknowledged(path: Path, killer: Killer) -> tuple[int | None, bool]:
    """Run the script in a child; return the last step that it knew as done, and whether it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        status = 1
        try:
            child(path, killer, writing)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, how = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(how) and os.WTERMSIG(how) == signal.SIGKILL
    assert killed or how == 0, f"the script itself failed at commit {killer.at}"
    return (told[-1] if told else None), killed


def main() -> None:
    directory = Path(sys.argv[1])
    empty = directory / "empty.db"
    share_compiled()
    asyncio.run(made(empty))
    asyncio.run(run(directory / "warm.db", lambda _: None))  # what this loads each child has from its start
    for while_opening, when in product((True, False), ("before", "after")):
        at, killed = 0, True
        while killed:
            at += 1
            path = directory / f"{when}-{'opening' if while_opening else 'script'}-{at}.db"
            if not while_opening:
                shutil.copyfile(empty, path)  # to make its tables takes longer than all of the script
            last, killed = acknowledged(path, Killer(at, when, while_opening))
            print(orjson.dumps({"path": str(path), "last": last, "killed": killed}).decode())


async def made(path: Path) -> None:
    store = await SqlStore.open(f"sqlite:///{path}", write=True, clock_now=0.0, inline=True)
    await store.close()


def share_compiled() -> None:
    """Let all states of this process, and of its children, share the statements that SQLAlchemy compiles."""
    first: list[Engine] = []

    def connected(connection: Connection) -> None:
        engine = connection.engine
        first.append(engine)
        del first[1:]
        engine.dialect = connection.dialect = first[0].dialect
        engine._compiled_cache = first[0]._compiled_cache

    event.listen(Engine, "engine_connect", connected)


if __name__ == "__main__":
    main()
