"""What the oracle finds in an app, and what it excuses there: each excuse covers those whom its reason is about."""

from __future__ import annotations

from typing import Any

from tests.servers.quirks import Quirks
from tests.sim import oracle, rules
from tests.sim.life import EPOCH, chance
from tests.sim.town import Town


class Scene:
    """A town without a fault, an app with nobody in it."""

    def __init__(self, *jobs: str, quirks: Quirks | None = None) -> None:
        """Each job serves the site of its name."""
        self.town, self.rules = Town(), rules.chosen(chance("1/world"), chance("1/kind"))
        self.rules.source, self.rules.scope, self.rules.barred, self.rules.groups = "file", "all", None, False
        self.rules.leave_dates = self.rules.manager = False
        sites = {name: (name,) if len(jobs) > 1 else () for name in jobs}
        self.rules.jobs = [rules.JobRules(name=name, sites=of, interval_minutes=60) for name, of in sites.items()]
        self.quirks = quirks or Quirks()
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.had_by: dict[str, set[str]] = {}
        self.by_hand: dict[str, set[str]] = {}

    def account(self, target_id: str, owner: str, job: str = "", **attributes: Any) -> None:
        """Put somebody's account as it should be into the app; `job` has it."""
        row = self.town.people[owner]
        self.users[target_id] = {
            "id": target_id,
            "externalId": owner,
            "userName": row["userPrincipalName"],
            "displayName": row["displayName"],
            "title": row["jobTitle"],
            "active": row["accountEnabled"],
            **attributes,
        }
        if job:
            self.had_by[target_id] = {job}

    def found(self, deleted: set[str] | None = None) -> list[str]:
        had = {id_: {row["userPrincipalName"].casefold()} for id_, row in self.town.people.items()}
        names = oracle.Names(self.town, self.rules, self.users, deleted or set(), had, EPOCH)
        return oracle.differences(
            *(self.town, self.rules, names, self.users, deleted or set(), self.groups),
            *({}, self.by_hand, self.quirks, EPOCH, self.had_by),
        )


def test_of_two_accounts_that_are_off_the_deleted_one_is_nobodys() -> None:
    scene = Scene("app", quirks=Quirks(soft_delete=True))
    id_ = scene.town.hire(0.0, name="new@example.com", accountEnabled=False)
    scene.account("older", id_, "app")
    scene.account("newer", id_, "app", userName="old@example.com")
    assert scene.found(deleted={"newer"}) == []
    assert scene.found() == [f"{id_} has userName 'old@example.com', should be 'new@example.com'"]


def test_whoever_is_inactive_has_all_that_the_job_says_which_has_her_account() -> None:
    scene = Scene("North", "South")
    id_ = scene.town.hire(0.0, site="North", accountEnabled=False)
    scene.account("hers", id_, "North", displayName="Before")
    assert scene.found() == [f"{id_} has displayName 'Before', should be {scene.town.people[id_]['displayName']!r}"]
    scene.town.edit(id_, 1.0, site="South")
    assert scene.found() == []


def test_an_account_has_the_title_of_the_job_that_has_it() -> None:
    scene = Scene("North", "South")
    for job in scene.rules.jobs:
        job.sites = ("North",)
    scene.rules.jobs[1].title = "department"
    id_ = scene.town.hire(0.0, site="North")
    scene.account("hers", id_, "South")
    assert scene.found() == [f"{id_} has title 'Engineer', should be 'Development'"]


def test_in_a_group_stay_members_who_are_inactive_and_nobody_who_is_out_of_scope() -> None:
    scene = Scene("app")
    scene.rules.groups, scene.rules.barred, scene.rules.out_of_scope = True, "Alumni", "disable"
    off, out = scene.town.hire(0.0, accountEnabled=False), scene.town.hire(0.0, department="Alumni")
    crew = scene.town.found(0.0, [off, out])
    scene.account("off", off, "app")
    scene.account("out", out, "app", active=False)
    group = {"id": "crew", "externalId": crew, "displayName": scene.town.groups[crew]["displayName"]}
    scene.groups["crew"] = {**group, "members": [{"value": "off"}]}
    assert scene.found() == []
    scene.groups["crew"] = {**group, "members": [{"value": "off"}, {"value": "out"}]}
    assert scene.found() == [f"the group {crew} has the members ['off', 'out'], should be ['off'] (may be ['off'])"]
    scene.groups["crew"] = {**group, "members": []}
    assert scene.found() == [f"the group {crew} has the members [], should be ['off'] (may be ['off'])"]
    scene.groups["crew"] = {**group, "members": [{"value": "off"}, {"value": "out"}]}
    scene.by_hand["crew"] = {"out"}
    assert scene.found() == []  # the app's administrator put her in


def test_whoever_went_before_her_account_said_that_it_is_hers_stays_in_her_groups() -> None:
    scene = Scene("North", "South")
    scene.rules.groups, scene.rules.barred, scene.rules.out_of_scope = True, None, "disable"
    off = scene.town.hire(0.0, site="South", accountEnabled=False)
    on = scene.town.hire(0.0, site="South")
    crew = scene.town.found(0.0, [off, on])
    scene.account("hers", off, "North", externalId=None)
    scene.account("another's", on, "North", externalId=None)
    scene.account("on", on, "South")
    group = {"id": "crew", "externalId": crew, "displayName": scene.town.groups[crew]["displayName"]}
    scene.groups["crew"] = {**group, "members": [{"value": "hers"}]}
    assert scene.found() == []
    scene.had_by["hers"] = {"South"}
    assert scene.found() == [f"the group {crew} has the members ['hers'], should be [] (may be [])"]
    scene.groups["crew"] = {**group, "members": [{"value": "another's"}]}
    assert scene.found() == [f'the group {crew} has the members ["another\'s"], should be [] (may be [])']
