"""Seeds in which a check of the simulation sees the deliberate bug that `tests/mutants` makes for it."""

from __future__ import annotations

import pytest

from tests.sim.running import simulate


@pytest.mark.parametrize("seed", [83])
def test_who_is_out_of_scope_leaves_the_groups(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [13])
def test_nobody_else_leaves_a_group_with_who_leaves(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [60])
def test_who_is_inactive_is_not_deleted_as_if_she_were_gone(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [3])
def test_who_is_inactive_keeps_what_her_job_says(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [77])
def test_the_others_are_deleted_in_time_while_somebody_cannot_get_her_name(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [63])
def test_who_is_inactive_stays_in_the_groups(seed: int) -> None:
    assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seed", [263])
def test_who_approves_approves_what_is_listed(seed: int) -> None:
    assert simulate(seed).cycles > 0
