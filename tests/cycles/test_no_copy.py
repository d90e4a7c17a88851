"""A plan works on a copy of the state; where none can be made it says so."""

from __future__ import annotations

import tempfile

import pytest

from reconciler.errors import StateError
from tests.cycles.company import Company
from tests.sources.test_no_room import files_of_at_most


async def test_a_plan_says_where_no_copy_of_the_state_can_be_made(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.people("ann")
    await company.cycle()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", "/nowhere")
        with pytest.raises(StateError, match=r"no copy of the state can be made: .*TMPDIR"):
            await company.plan()
    with files_of_at_most(4096), pytest.raises(StateError, match=r"reconciler-plan-.*the disk "):
        await company.plan()
    assert (await company.plan())[1] == []
