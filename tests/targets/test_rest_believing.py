"""What an app with a REST API says is believed as far as it can be: 404, 403, a success that says something else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Done, Failed, Fault, MembersDone
from reconciler.dialects.rest_operations import Operation
from tests.servers.desk import Desk
from tests.targets.test_rest import Opened, opened_on


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Opened]:
    async with Desk() as desk:
        opened = opened_on(desk, tmp_path)
        yield opened
        await opened.target.close()


async def test_a_404_to_a_change_is_believed_only_where_the_account_is_not_shown(at: Opened) -> None:
    ann = await at.user("ann@example.com")
    at.desk.then(404, b"{}")
    deleted = await at.target.delete("user", ann.id)
    at.desk.then(404, b"{}")
    changed = await at.target.update("user", ann.id, [Change("displayName", None, "x")], {})
    for outcome in (deleted, changed):
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.UNSUPPORTED
        assert "is the path of this operation right?" in outcome.reason


async def test_a_404_to_everybody_who_is_listed_is_not_believed(at: Opened, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        at.desk.put(f"{name}@example.com")
    wrong = opened_on(at.desk, tmp_path, get=Operation("GET", "/elsewhere/people/{id}", item="person"))
    outcome = await wrong.target.get("user", TargetId("p-0001"))
    await wrong.target.close()
    assert isinstance(outcome, Failed)
    assert "is the path of get right?" in outcome.reason


async def test_an_answer_to_a_change_that_shows_something_else_is_followed_by_a_look(at: Opened) -> None:
    ann = await at.user("ann@example.com", displayName="Ann")
    for said in (b'{"ok": true}', b'{"person": {"key": "p-9"}}'):
        at.desk.then(200, said)
        outcome = await at.target.update("user", ann.id, [Change("displayName", "Ann", "Anna")], {})
        assert outcome == Done(ann)
    at.desk.then(200, b'{"ok": true}')
    assert await at.target.update("user", ann.id, [Change("active", True, False)], {}) == Done(ann)


async def test_an_account_is_never_written_from_what_was_shown_of_another(at: Opened, tmp_path: Path) -> None:
    ann = await at.user("ann@example.com", displayName="Ann")
    whole = opened_on(at.desk, tmp_path, whole=True)
    at.desk.then(200, b'{"person": {"key": "p-9", "email": "bob@example.com"}}')
    outcome = await whole.target.update("user", ann.id, [Change("displayName", "Ann", "Anna")], {})
    await whole.target.close()
    assert isinstance(outcome, Failed)
    assert "not the one that was asked for" in outcome.reason


async def test_a_look_that_fails_leaves_no_doubt_unless_something_was_sent_before(at: Opened, tmp_path: Path) -> None:
    ann = await at.user("ann@example.com", displayName="Ann")
    renamed, off = Change("displayName", "Ann", "Anna"), Change("active", True, False)
    for changes, in_doubt in (([renamed], False), ([off, renamed], True)):
        whole = opened_on(at.desk, tmp_path, whole=True)
        at.desk.then(200, b"<html>Sign in</html>", after=1 if in_doubt else 0)
        outcome = await whole.target.update("user", ann.id, changes, {})
        await whole.target.close()
        assert isinstance(outcome, Failed)
        assert outcome.may_have_been_done is in_doubt


@pytest.mark.parametrize("said", [b'{"error": {"text": "no"}}', b'{"errors": ["no"]}', b"<html>Sign in</html>"])
async def test_a_success_with_an_error_inside_is_none(said: bytes, at: Opened) -> None:
    ann = await at.user("ann@example.com")
    group = TargetId(at.desk.circle("Crew"))
    for number in range(3):
        at.desk.then(200, said)
        match number:
            case 0:
                outcome: object = await at.target.delete("user", ann.id)
            case 1:
                outcome = await at.target.update("user", ann.id, [Change("displayName", None, "x")], {})
            case _:
                changed = await at.target.change_members(group, [ann.id], [])
                assert isinstance(changed, MembersDone)
                outcome = changed.refused[ann.id]
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_SCIM


@pytest.mark.parametrize("at_once", [1, 50])
async def test_a_member_who_is_forbidden_holds_up_nobody_else(at: Opened, tmp_path: Path, at_once: int) -> None:
    desk, target = at.desk, opened_on(at.desk, tmp_path, members_at_once=at_once).target
    group = TargetId(desk.circle("Crew"))
    people = [TargetId(desk.put(f"p{number}@example.com")) for number in range(70)]
    desk.untouchable = {people[0]}
    outcome = await target.change_members(group, people, [])
    assert isinstance(outcome, MembersDone)
    assert [(one, failure.fault) for one, failure in outcome.refused.items()] == [(people[0], Fault.FORBIDDEN)]
    assert set(outcome.done) == set(people[1:])
    desk.untouchable = set(people)
    desk.sent.clear()
    outcome = await target.change_members(group, [], people[1:])
    assert isinstance(outcome, Failed)
    assert outcome.fault is Fault.FORBIDDEN
    assert len(desk.sent) <= 20, "where nobody may be taken out, not everybody is tried"
    await target.close()
