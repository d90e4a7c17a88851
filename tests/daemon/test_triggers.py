"""Jobs that run before their time: what a source announces, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest
from structlog.testing import capture_logs

from reconciler.core import quarantine
from reconciler.core.outcomes import Failed, Fault
from reconciler.core.quarantine import Breach
from reconciler.errors import NotAnnounced
from reconciler.runtime.desk import Desk
from reconciler.runtime.health import terms_of
from reconciler.runtime.overview import kept_of, overview
from reconciler.runtime.service import Service
from tests.cycles.company import Company
from tests.daemon.office import Office, opened, with_config
from tests.daemon.test_run import change_config
from tests.net.doubles import EPOCH
from tests.servers.scim import ScimServer

SECOND = 1 / 60
AWAY = Failed(Fault.UNREACHABLE, "nobody answers")


class Voice:
    """A source that announces a change when a test says so; `break_off` ends the listening."""

    def __init__(self) -> None:
        self.refuses = 0
        """So many further attempts to listen fail."""
        self.listened = 0
        self._said, self._heard = anyio.create_memory_object_stream[bool](1000)

    async def changes(self) -> AsyncIterator[None]:
        self.listened += 1
        if self.refuses:
            self.refuses -= 1
            raise NotAnnounced("staff: nobody answers")
        yield
        async for changed in self._heard:
            if not changed:
                raise NotAnnounced("staff: the connection was cut")
            yield

    async def say(self, times: int = 1) -> None:
        for _ in range(times):
            await self._said.send(True)

    async def break_off(self) -> None:
        await self._said.send(False)

    def close(self) -> None:
        self._said.close()
        self._heard.close()


class Mistaken(Voice):
    """One that a mistake of ours brings down."""

    async def changes(self) -> AsyncIterator[None]:
        self.listened += 1
        yield
        raise KeyError("a mistake of ours")


@pytest.fixture
def voice() -> Voice:
    return Voice()


@pytest.fixture
async def office(company: Company, voice: Voice) -> AsyncIterator[Office]:
    """A job that listens, with an interval of an hour and a debounce of two seconds."""
    change_config(
        company,
        ('scope = "all"', 'scope = "all"\ninterval = "1h"\ntriggers = { announced = true, debounce = "2s" }'),
    )
    async with opened(company) as office:
        office.voices["staff"] = voice
        try:
            yield office
        finally:
            voice.close()


def seconds(office: Office) -> list[float]:
    """Return after how many seconds cycles began, without what begins in the first minute."""
    return [round(at * 60) for _, at in office.began if at >= 1]


async def standing(office: Office, service: Service) -> dict[str, object]:
    kept = await kept_of(office.store, "app")
    shown = overview(service.plans["app"], kept, due_at=service.due_at("app"), ear=service.announcements.of("staff"))
    triggers: dict[str, object] = shown["triggers"]
    return triggers


@pytest.mark.looptime
async def test_a_change_runs_the_job_when_the_debounce_time_is_over(office: Office, voice: Voice) -> None:
    async with office.open_for(10) as service:
        await office.until(5)
        assert seconds(office) == []
        await voice.say()
        await office.until(5 + 30 * SECOND)
        assert (await standing(office, service))["last_announced"] == "2025-06-15T15:11:40.000Z"
    assert [minutes for _, minutes in office.began if minutes >= 1] == [5.0]
    assert await office.store.next_due("app") == pytest.approx(EPOCH + 300 + 2 + 3600, abs=0.1)


@pytest.mark.looptime
async def test_a_thousand_changes_are_one_cycle(office: Office, voice: Voice) -> None:
    async with office.open_for(10):
        await office.until(5)
        for _ in range(10):
            await voice.say(100)
            await office.clock.sleep(0.1)
    assert len(seconds(office)) == 1


@pytest.mark.looptime
async def test_changes_that_never_end_cannot_hold_a_job_back(office: Office, voice: Voice) -> None:
    async with office.open_for(3):
        await office.until(1)
        for _ in range(60):
            await voice.say()
            await office.clock.sleep(1.0)
    assert 20 <= len(seconds(office)) <= 31, "one in two to three seconds"


@pytest.mark.looptime
async def test_what_changes_while_a_cycle_runs_makes_another_follow(office: Office, voice: Voice) -> None:
    office.takes_seconds["app"] = 120.0
    async with office.open_for(20):
        await office.until(10)
        await voice.say()
        await office.until(11)
        await voice.say(50)
    assert [minutes for _, minutes in office.began if minutes >= 5] == [10.0, 12.0]


@pytest.mark.looptime
async def test_a_job_runs_when_listening_begins_for_nobody_knows_what_was_before(office: Office) -> None:
    await office.store.set_next_due("app", EPOCH + 1800)
    async with office.open_for(5) as service:
        await office.until(1)
        assert (await standing(office, service))["heard_since"] == "2025-06-15T15:06:40.000Z"
    assert office.began == [("app", 0.0)]


@pytest.mark.looptime
async def test_a_source_that_is_not_heard_is_tried_again_ever_more_rarely(office: Office, voice: Voice) -> None:
    voice.refuses = 6
    with capture_logs() as logged:
        async with office.open_for(10) as service:
            await office.until(30 * SECOND)
            shown = await standing(office, service)
            assert (shown["heard_since"], shown["problem"]) == (None, "staff: nobody answers")
            assert shown["next_try"] == "2025-06-15T15:07:11.000Z"
            await office.until(2)
            assert (await standing(office, service))["problem"] == ""
    waits = [one["again_in_seconds"] for one in logged if one["event"] == "source.not_heard"]
    assert waits == [1, 2, 4, 8, 16, 32]
    assert voice.listened == 7
    assert seconds(office) == [66], "it runs when it is heard again: 63 s, and two of debounce"


@pytest.mark.looptime
async def test_a_break_after_a_long_time_is_mended_soon(office: Office, voice: Voice) -> None:
    voice.refuses = 4
    async with office.open_for(30):
        await office.until(10)
        await voice.break_off()
        await office.until(20)
    assert voice.listened == 6
    assert [600 <= at <= 606 for at in seconds(office)] == [True], "a second later it was heard again, and the job ran"


@pytest.mark.looptime
async def test_a_mistake_of_ours_brings_down_the_listening_and_nothing_else(office: Office) -> None:
    mistaken = office.voices["staff"] = Mistaken()
    with capture_logs() as logged:
        async with office.open_for(70) as service:
            await office.until(50)
            assert "a mistake in reconciler" in str((await standing(office, service))["problem"])
    mistaken.close()
    assert any(one["event"] == "source.listening_crashed" for one in logged)
    assert mistaken.listened < 30, "the waiting grows, although it was heard each time"
    assert 60.0 <= max(minutes for _, minutes in office.began) <= 70.0, "the job keeps its interval"


@pytest.mark.looptime
async def test_a_paused_job_is_left_alone_and_catches_up_when_it_is_resumed(office: Office, voice: Voice) -> None:
    async with office.open_for(40) as service:
        desk = Desk(service, office.store, office.clock)
        await office.until(5)
        await desk.pause("app", reason="", by="ann")
        await voice.say(3)
        await office.until(20)
        assert seconds(office) == []
        await desk.resume("app", by="ann")
        await office.until(30)
        await desk.pause("app", reason="", by="ann")
        await desk.resume("app", by="ann")
    assert seconds(office) == [1200], "at once, and only for what was missed"


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("breach", "ended"),
    [(quarantine.by_source(AWAY, "staff"), True), (quarantine.by_fault(AWAY), False)],
    ids=["its own", "the app's"],
)
async def test_a_source_that_is_heard_again_ends_a_quarantine_of_its_own(
    office: Office, voice: Voice, breach: Breach, ended: bool
) -> None:
    async with office.open_for(20) as service:
        await office.until(5)
        terms = terms_of(service.plans["app"])
        await office.store.settle("app", lambda s: quarantine.after_cycle(terms, s, breach, office.clock.now()))
        await voice.say()
        await office.until(10)
        kept = await office.store.standing("app")
        assert (kept.quarantine is None) == ended
        assert bool(seconds(office)) == ended
        assert len(await office.store.history("app", 9)) == 2 + ended


@pytest.mark.looptime
async def test_a_source_that_is_not_heard_stays_in_a_quarantine_of_its_own_whoever_says_that_it_changed(
    office: Office, voice: Voice
) -> None:
    async with office.open_for(20) as service:
        await office.until(5)
        terms, breach = terms_of(service.plans["app"]), quarantine.by_source(AWAY, "staff")
        await office.store.settle("app", lambda s: quarantine.after_cycle(terms, s, breach, office.clock.now()))
        voice.refuses = 100
        await voice.break_off()
        await office.until(6)
        assert await service.announcements.announce("app", "a webhook") == "resting"
    assert seconds(office) == []


@pytest.mark.looptime
async def test_a_job_that_is_paused_within_the_debounce_time_does_not_run(office: Office, voice: Voice) -> None:
    async with office.open_for(10) as service:
        await office.until(5)
        await voice.say()
        await office.clock.sleep(1.0)
        await Desk(service, office.store, office.clock).pause("app", reason="", by="ann")
    assert seconds(office) == []


@pytest.mark.looptime
async def test_the_safeguard_counts_over_announced_cycles(
    office: Office, voice: Voice, company: Company, server: ScimServer
) -> None:
    company.people(*(f"p{number}" for number in range(37)))
    company.write()
    change_config(
        company,
        ('scope = "all"', 'scope = "all"\ninterval = "1h"\ntriggers = { announced = true, debounce = "2s" }'),
    )
    async with office.open_for(30):
        await office.until(5)
        for number in range(10):
            company.users[f"p{number}"]["accountEnabled"] = False
            (company.directory / "config.toml").unlink()
            company.write()
            await voice.say()
            await office.clock.sleep(60.0)
    disabled = sum(not account.get("active", True) for account in server.users.values())
    assert disabled == 5, "five of forty within a day; then the rest is held, however few each cycle would take"
    assert [hold.safeguard for hold in await office.store.held("app")] == ["deletions"]


@pytest.mark.looptime
async def test_a_reload_begins_and_ends_the_listening(office: Office, voice: Voice, company: Company) -> None:
    office.reloading = with_config(office, company)
    async with office.open_for(30) as service:
        await office.until(5)
        change_config(company, ("announced = true", "announced = false"))
        await service.reload(by="a test")
        await office.clock.sleep(1.0)
        assert service.announcements.of("staff") is None
        change_config(company, ("announced = false", "announced = true"))
        await service.reload(by="a test")
        await office.until(10)
        assert service.announcements.of("staff") is not None
        before = voice.listened
        await service.reload(by="a test")
        await office.clock.sleep(1.0)
        assert voice.listened == before == 2, "a reload that changes nothing cuts nothing off"


@pytest.mark.looptime
async def test_a_type_that_announces_nothing_is_said_so(company: Company) -> None:
    change_config(company, ('scope = "all"', 'scope = "all"\ntriggers = { announced = true }'))
    async with opened(company) as office:
        office.voices["staff"] = Silent()
        async with office.open_for(5) as service:
            await office.until(1)
            assert "[jobs.app.triggers]" not in str((await standing(office, service))["problem"])
            assert "nothing to announce" in str((await standing(office, service))["problem"])


class Silent:
    """A source that never has anything to say."""

    async def changes(self) -> AsyncIterator[None]:
        raise NotAnnounced("staff has nothing to announce")
        yield
