"""What a failure says of itself: whether anybody was asked, whether it may have been done all the same."""

from __future__ import annotations

import pytest

from reconciler.core.model import Identity
from reconciler.core.outcomes import Failed, Fault


@pytest.mark.parametrize(
    ("fault", "status", "asked_nobody"),
    [
        (Fault.UNAUTHORIZED, None, True),
        (Fault.UNAUTHORIZED, 401, False),
        (Fault.FORBIDDEN, None, False),
        (Fault.UNREACHABLE, None, False),
    ],
)
def test_nobody_was_asked_where_our_own_secret_cannot_be_used(
    fault: Fault, status: int | None, asked_nobody: bool
) -> None:
    assert Failed(fault, "why", status).asked_nobody is asked_nobody


def test_the_doubt_of_an_earlier_try_outlives_a_later_refusal() -> None:
    refused, doubtful = Failed(Fault.INVALID, "no", 400), Failed(Fault.INTERRUPTED, "cut off", repeated=True)
    again = refused.following(doubtful)
    assert (again.fault, again.reason, again.status, again.repeated) == (Fault.INVALID, "no", 400, True)
    assert (again.may_have_been_done, refused.may_have_been_done) == (True, False)
    assert again.following(refused) is again
    assert refused.following(Failed(Fault.INTERRUPTED, "cut off")) is refused


def test_a_method_that_is_not_allowed_has_a_code_of_its_own_unless_a_finer_one_is_known() -> None:
    assert Failed(Fault.INVALID, "no", 405).error_code == "MethodNotAllowed"
    assert Failed(Fault.INVALID, "no", 405, code="EntryConflict").error_code == "EntryConflict"
    assert Failed(Fault.INVALID, "no", 400).error_code != "MethodNotAllowed"


def test_a_source_or_target_is_called_by_type_and_place_and_by_its_key_where_it_has_one() -> None:
    assert str(Identity("scim", "https://app.example")) == "scim https://app.example"
    assert str(Identity("scim", "https://app.example", "tenant 7")) == "scim https://app.example (tenant 7)"
