"""Whatever goes wrong: the promises hold at every moment, and in calm the app becomes what the rules say."""

from __future__ import annotations

import pytest

from tests.sim.running import simulate
from tests.sim.seeds import FOR_A_TENANT, ORDINARY, found, in_parts


@pytest.mark.parametrize("seeds", in_parts(ORDINARY, 10), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_ordinary_seeds(seeds: list[int]) -> None:
    for seed in seeds:
        assert simulate(seed).cycles > 0


@pytest.mark.parametrize("seeds", in_parts(FOR_A_TENANT, 10), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_seeds_of_tenants(seeds: list[int]) -> None:
    for seed in seeds:
        assert " to graph, " in simulate(seed).kind


@pytest.mark.parametrize("seed", found())
def test_seeds_that_once_found_something(seed: int) -> None:
    assert simulate(seed).cycles > 0
