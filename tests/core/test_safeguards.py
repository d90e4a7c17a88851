"""When operations that take something away are held."""

from __future__ import annotations

import pytest

from reconciler.core.model import SafeguardLimits
from reconciler.core.safeguards import Cleared, Held, creation_verdict, member_verdict, rename_verdict, verdict

DEFAULT = SafeguardLimits()


@pytest.mark.parametrize(
    ("planned", "recent", "managed", "limits", "held"),
    [
        (0, 0, 0, DEFAULT, False),
        (5, 0, 0, DEFAULT, False),  # five may always go
        (6, 0, 0, DEFAULT, True),
        (5, 0, 50, DEFAULT, False),
        (6, 0, 50, DEFAULT, True),
        (6, 0, 59, DEFAULT, True),  # 5.9 allows five
        (6, 0, 60, DEFAULT, False),
        (10, 0, 100, DEFAULT, False),
        (11, 0, 100, DEFAULT, True),
        (1, 10, 100, DEFAULT, True),  # counted over the window
        (1, 9, 100, DEFAULT, False),
        (0, 99, 100, DEFAULT, False),  # nothing to hold
        (500, 0, 1_000_000, DEFAULT, False),
        (501, 0, 1_000_000, DEFAULT, True),  # the threshold, whatever the share
        (500, 0, 5_000, DEFAULT, False),
        (29, 0, 100, SafeguardLimits(deletion_share=0.29), False),  # not lost to binary fractions
        (30, 0, 100, SafeguardLimits(deletion_share=0.29), True),
        (3, 0, 1_000, SafeguardLimits(deletion_threshold=3), False),
        (4, 0, 1_000, SafeguardLimits(deletion_threshold=3), True),
        (1, 0, 1_000, SafeguardLimits(deletion_threshold=0), True),
        (100, 0, 100, SafeguardLimits(deletion_share=1.0), False),
        (6, 0, 100, SafeguardLimits(deletion_share=0.0), True),
    ],
)
def test_the_deletion_safeguard(planned: int, recent: int, managed: int, limits: SafeguardLimits, held: bool) -> None:
    answer = verdict(planned, recent, managed, limits)
    assert isinstance(answer, Held if held else Cleared)
    assert "\n" not in answer.arithmetic


def test_the_arithmetic_is_told_whether_it_holds_or_not() -> None:
    line = (
        "12 to be disabled or deleted (9 now, 3 in the last 24 h), allowed 12"
        " = min(500, max(5, 0.1 of 123 managed = 12))"
    )
    assert verdict(9, 3, 123, DEFAULT) == Cleared(line)
    assert verdict(10, 3, 123, DEFAULT).arithmetic.startswith("13 to be disabled or deleted (10 now, 3 in")


@pytest.mark.parametrize(
    ("removals", "size", "held"),
    [
        (20, 20, False),  # twenty may always go, even a whole small group
        (20, 5, False),
        (21, 21, True),
        (21, 42, False),
        (22, 43, True),
        (5_000, 10_000, False),
        (5_001, 10_000, True),
        (0, 0, False),
    ],
)
def test_the_safeguard_of_one_groups_members(removals: int, size: int, held: bool) -> None:
    answer = member_verdict(removals, size, DEFAULT)
    assert isinstance(answer, Held if held else Cleared)
    assert f"{removals} members to be removed, allowed {max(20, size // 2)}" in answer.arithmetic


@pytest.mark.parametrize(
    ("planned", "recent", "threshold", "held"),
    [
        (5, 0, None, False),
        (5, 0, 5, False),
        (6, 0, 5, True),
        (3, 2, 5, False),
        (3, 3, 5, True),
        (0, 9, 5, False),  # nothing to hold
        (1, 0, 0, True),
    ],
)
def test_the_safeguard_of_new_accounts(planned: int, recent: int, threshold: int | None, held: bool) -> None:
    answer = creation_verdict(planned, recent, SafeguardLimits(creation_threshold=threshold))
    assert isinstance(answer, Held if held else Cleared)
    assert answer.arithmetic == (
        f"{planned + recent} accounts to be created ({planned} now, {recent} in the last 24 h), allowed {threshold}"
    )


@pytest.mark.parametrize(
    ("planned", "recent", "managed", "limits", "held"),
    [
        (5, 0, 0, DEFAULT, False),
        (6, 0, 0, DEFAULT, True),
        (10, 0, 100, DEFAULT, False),
        (8, 3, 100, DEFAULT, True),
        (0, 99, 100, DEFAULT, False),
        (4, 0, 100, SafeguardLimits(rename_threshold=3), True),
        (3, 0, 100, SafeguardLimits(rename_threshold=3), False),
        (4, 0, 100, SafeguardLimits(deletion_threshold=3), False),  # that one is of disables
    ],
)
def test_the_safeguard_of_names(planned: int, recent: int, managed: int, limits: SafeguardLimits, held: bool) -> None:
    assert isinstance(rename_verdict(planned, recent, managed, limits), Held if held else Cleared)


def test_the_arithmetic_of_the_others_is_told_too() -> None:
    assert rename_verdict(4, 2, 123, SafeguardLimits(window_seconds=5400.0)).arithmetic == (
        "6 to get another name (4 now, 2 in the last 1.5 h), allowed 12 = min(500, max(5, 0.1 of 123 managed = 12))"
    )
    assert member_verdict(21, 30, DEFAULT).arithmetic == (
        "21 members to be removed, allowed 20 = max(20, 0.5 of 30 members = 15)"
    )
