"""Whose an account is, where the app keeps what was deleted."""

from __future__ import annotations

from tests.servers.quirks import Quirks
from tests.sim import oracle, rules
from tests.sim.life import EPOCH, chance
from tests.sim.town import Town


def test_of_two_accounts_that_are_off_the_deleted_one_is_nobodys() -> None:
    town, chosen = Town(), rules.chosen(chance("1/world"), chance("1/kind"))
    chosen.source, chosen.scope, chosen.barred, chosen.groups = "file", "all", None, False
    chosen.jobs = [rules.JobRules(name="app", interval_minutes=60)]
    id_ = town.hire(0.0, name="new@example.com", accountEnabled=False)
    shown = {"externalId": id_, "active": False, "displayName": town.people[id_]["displayName"], "title": "Engineer"}
    users = {
        "older": {"id": "older", "userName": "new@example.com", **shown},
        "newer": {"id": "newer", "userName": "old@example.com", **shown},
    }

    def differences(deleted: set[str]) -> list[str]:
        names = oracle.Names(town, chosen, users, deleted, {}, EPOCH)
        known = oracle.Known({}, users)
        quirks = Quirks(soft_delete=True)
        return oracle.differences(town, chosen, names, users, deleted, {}, {}, {}, quirks, EPOCH, known)

    assert differences({"newer"}) == []
    assert differences(set()) == [f"{id_} has userName 'old@example.com', should be 'new@example.com'"]
