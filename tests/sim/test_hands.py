"""Whatever people do, in whatever order: when they rest, the app is what the rules say, and nothing more is sent."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.servers.quirks import Quirks
from tests.sim import disk as disks
from tests.sim import hands
from tests.sim.app import App
from tests.sim.life import chance, wait
from tests.sim.loop import VirtualLoop
from tests.sim.running import logging_to
from tests.sim.simulation import Simulation

IN_THE_SOURCE = [
    hands.hires,
    hands.leaves,
    hands.is_switched,
    hands.renames,
    hands.swap_names,
    hands.changes_job,
    hands.is_rehired,
    hands.groups_change,
    hands.groups_come_and_go,
    hands.moves,
    hands.gives_notice,
]
IN_THE_APP = [hands.drifts, hands.touches_a_group, hands.makes_an_account]
AT_THE_DAEMON = [
    hands.asks_for_a_cycle,
    hands.pauses,
    hands.resumes,
    hands.stops,
    hands.restarts,
    hands.approves,
    hands.rejects,
    hands.provisions,
    hands.takes_out,
    hands.changes_the_rules,
    hands.is_ended,
    hands.binds_anew,
]
EXAMPLES = int(os.environ.get("SIM_EXAMPLES", "15"))
THROWS = st.integers(0, 2**32 - 1)


class Hands(RuleBasedStateMachine):
    """A daemon without a fault in sight, and people around it."""

    @initialize(seed=THROWS)
    def begin(self, seed: int) -> None:
        """Settle in, and start the daemon."""
        self.loop = VirtualLoop()
        self.directory = disks.directory()
        self.logging = logging_to(lambda event: self.sim.log(event))

        async def settle_in() -> None:
            self.sim = Simulation(f"hands {seed}", self.directory)
            self.sim.weather.clears_at = 0.0
            assert isinstance(self.sim.app, App)
            self.sim.app.engine.quirks = Quirks()
            self.sim.settle_in()
            self.living = asyncio.get_running_loop().create_task(self.sim.lives.live())
            await wait(60.0)

        self.logging.__enter__()
        self.go_on(settle_in())

    def go_on(self, work: Coroutine[Any, Any, object]) -> None:
        """Let time pass until the work is done."""
        self.loop.run_until_complete(work)

    async def do(self, deed: hands.Deed, throw: int, minutes: int) -> None:
        self.sim.dice = chance(str(throw))
        self.sim.story.tell(f"DEED {deed.__name__}")
        await deed(self.sim)
        await wait(minutes * 60.0)

    @rule(deed=st.sampled_from(IN_THE_SOURCE), throw=THROWS, minutes=st.integers(0, 50))
    def somebody_edits_the_source(self, deed: hands.Deed, throw: int, minutes: int) -> None:
        self.go_on(self.do(deed, throw, minutes))

    @rule(deed=st.sampled_from(IN_THE_APP), throw=THROWS, minutes=st.integers(0, 50))
    def somebody_edits_the_app(self, deed: hands.Deed, throw: int, minutes: int) -> None:
        self.go_on(self.do(deed, throw, minutes))

    @rule(deed=st.sampled_from(AT_THE_DAEMON), throw=THROWS, minutes=st.integers(0, 50))
    def somebody_asks_the_daemon(self, deed: hands.Deed, throw: int, minutes: int) -> None:
        self.go_on(self.do(deed, throw, minutes))

    @invariant()
    def every_promise_is_kept(self) -> None:
        if hasattr(self, "sim"):
            self.sim.look()

    def teardown(self) -> None:
        """Everybody rests."""
        if not hasattr(self, "sim"):
            return
        try:
            self.go_on(self.rest())
        except AssertionError:
            print(self.sim.story.end(), self.sim.rules, sep="\n")
            raise
        finally:
            self.go_on(self.sim.lives.end(self.living))
            self.loop.close()
            self.logging.__exit__(None, None, None)
            shutil.rmtree(self.directory, ignore_errors=True)

    async def rest(self) -> None:
        self.sim.drifted = True
        await self.sim.calm()
        for job in self.sim.jobs:
            await self.sim.lives.restart_job(job)  # what was rejected is proposed again
            await self.sim.lives.idle(job)
        await self.sim.converge()
        self.sim.look()
        assert self.sim.cycles > 0


TestHands = Hands.TestCase
TestHands.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
)
TestHands = pytest.mark.timeout(170)(TestHands)
