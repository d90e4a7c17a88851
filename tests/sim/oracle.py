"""What the app must hold once the faults have stopped: worked out from the rules' plain sense, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tests.servers.quirks import Quirks
from tests.sim.rules import BROUGHT_BACK, ENTERPRISE, PROTECTED, Rules
from tests.sim.town import Row, Town

Account = Mapping[str, Any]


def differences(
    town: Town,
    rules: Rules,
    names: Names,
    users: Mapping[str, Account],
    deleted: Collection[str],
    groups: Mapping[str, Account],
    foreign: Mapping[str, Account],
    foreign_members: Mapping[str, set[str]],
    quirks: Quirks,
    now: float,
    having: Mapping[str, Collection[str]],
) -> list[str]:
    """Return in sentences what in the app is not as the rules say, as far as an app with these quirks can be so.

    `having`: the jobs that have an account now, by its id.
    """
    never_kept = {*quirks.drops_attributes, *quirks.patch_silent_no_op, *quirks.patch_unsupported_for}
    by_owner: dict[str, list[Account]] = {}
    for account in users.values():
        owner = account.get("externalId")
        if owner is not None:
            by_owner.setdefault(str(owner), []).append(account)
    if quirks.soft_delete:
        # What was deleted is there for those who look, and is nobody's account any more.
        by_owner = {owner: _not_hidden(accounts, deleted) for owner, accounts in by_owner.items()}
    found = [f"{owner} has {len(accounts)} accounts" for owner, accounts in by_owner.items() if len(accounts) > 1]
    mine = {owner: accounts[0] for owner, accounts in by_owner.items()}
    for id_, row in town.people.items():
        if not names.bars(id_):
            found += _person(
                *(row, town, rules, mine, never_kept, now),
                deleted=deleted,
                hidden_delete=quirks.soft_delete,
                having=having,
            )
    for owner, account in mine.items():
        if owner not in town.people:
            found += _must_be_off(owner, account, _off(rules.gone, soft=quirks.soft_delete))
    for target_id, was in foreign.items():
        kept = users.get(target_id)
        if kept is None or {**kept, "meta": 0} != {**was, "meta": 0}:
            found.append(f"{target_id}, an account that is not ours, is not as it was")
    if rules.groups:
        found += _groups(
            *(town, rules, names, mine, users, groups, foreign_members, now, having),
            as_made=as_made(quirks),
            keeps_the_last=keeps_the_last(quirks),
        )
    return found


class Names:
    """Who cannot get the name that is hers, because an account that nobody renames has it."""

    def __init__(
        self,
        town: Town,
        rules: Rules,
        users: Mapping[str, Account],
        deleted: Collection[str],
        had: Mapping[str, Collection[str]],
        now: float,
        given_up: Collection[str] = (),
    ) -> None:
        """`had`: the names of each, ever; `given_up`: whose name was not to be had for so long that nobody asks."""
        self._town, self._rules, self._had, self._now, self._given_up = town, rules, had, now, given_up
        self._holders: dict[str, list[str | None]] = {}
        self._have: set[str | None] = set()
        for target_id, account in users.items():
            # What was deleted and is there all the same keeps its name, and is nobody's.
            owner = None if target_id in deleted else account.get("externalId")
            self._have.add(owner)
            self._holders.setdefault(str(account["userName"]).casefold(), []).append(owner)

    @property
    def barred(self) -> frozenset[str]:
        return frozenset(id_ for id_ in self._town.people if self.bars(id_))

    def had(self, id_: str) -> Collection[str]:
        """Return each name that this person ever had, in small letters."""
        return self._had.get(id_, ())

    def bars(self, id_: str, asking: tuple[str, ...] = ()) -> bool:
        if id_ in self._given_up:
            return True
        row = self._town.people[id_]
        name = str(row["userPrincipalName"]).casefold()
        return any(self._stays(owner, name, (*asking, id_)) for owner in self._holders.get(name, ()) if owner != id_)

    def _stays(self, owner: str | None, name: str, asking: tuple[str, ...]) -> bool:
        """Whether this owner's account keeps a name. In a ring of names within one job everybody moves on."""
        row = self._town.people.get(owner or "")
        if owner is None:
            # nobody's account is taken over by who has none: no marked one, and none that was found by an earlier name
            earlier = {one for one in self._had.get(asking[-1], ()) if None in self._holders.get(one, ())} - {name}
            # an unmarked one may be linked to whoever had the name before, and who is renamed no more
            before = [one for one, names in self._had.items() if one not in asking and name in names]
            linked = any(self._stays(one, name, asking) for one in before)
            return linked or asking[-1] in self._have or bool(earlier)
        if row is None or not self._rules.in_scope(row, self._town):
            return True
        if str(row["userPrincipalName"]).casefold() == name:
            return True
        if len(self._rules.jobs) > 1 and not self._rules.is_active(row, self._now):
            return True  # as in `_person`: it may be with a job that she is not in scope of any more
        if row["id"] in asking:
            return len(self._rules.jobs) > 1  # a job gives interim names to accounts of its own only
        return self.bars(row["id"], asking)


def _not_hidden(accounts: list[Account], deleted: Collection[str]) -> list[Account]:
    on = [account for account in accounts if account.get("active") is not False]
    # The newer one may be the one that was deleted: somebody inactive was given an older one that has her new name.
    return on or [account for account in accounts if account["id"] not in deleted][-1:] or accounts[-1:]


def _off(how: str, *, soft: bool) -> str:
    """Return what a delete comes to: an app that only hides accounts switches them off."""
    return "disable" if how == "delete" and soft else how


def _person(
    row: Row,
    town: Town,
    rules: Rules,
    mine: Mapping[str, Account],
    never_kept: set[str],
    now: float,
    *,
    deleted: Collection[str],
    hidden_delete: bool,
    having: Mapping[str, Collection[str]],
) -> Iterator[str]:
    id_ = row["id"]
    account = mine.get(id_)
    if not rules.in_scope(row, town):
        if account is not None:
            how = rules.out_of_scope
            if not rules.is_active(row, now):
                how = "disable"  # inactive is the stronger cause, and has a row of its own
            yield from _must_be_off(id_, account, _off(how, soft=hidden_delete))
        return
    if account is None:
        if rules.is_active(row, now):
            yield f"{id_} has no account"
        return
    wanted = {
        "userName": row["userPrincipalName"],
        "displayName": row["displayName"],
        "active": rules.is_active(row, now),
    }
    jobs = [job for job in rules.serving(row) if job.name in having.get(str(account["id"]), ())]
    if not wanted["active"] and (not jobs or account["id"] in deleted):
        # her account stays with the job that had her when she was active last; or it was deleted, and is still there
        wanted = {"active": False}
    for name, value in wanted.items():
        if name not in never_kept and _folded(account.get(name)) != _folded(value):
            yield f"{id_} has {name} {account.get(name)!r}, should be {value!r}"
    if len(wanted) == 1:
        return
    titles = [row[job.title] for job in jobs or rules.serving(row)]
    if "title" not in never_kept and _folded(account.get("title")) not in map(_folded, titles):
        yield f"{id_} has title {account.get('title')!r}, should be {' or '.join(titles)!r}"
    manager = row["manager"]
    together = manager in mine and _same_job(row, town.people.get(manager), rules)
    if rules.manager and together and rules.should_be_on(manager, town, now):
        shown = (account.get(ENTERPRISE) or {}).get("manager") or {}
        wanted_id = mine[manager]["id"]
        if shown.get("value") != wanted_id:
            yield f"{id_} has the manager {shown.get('value')}, should be {wanted_id} ({manager})"


def _same_job(row: Row, other: Row | None, rules: Rules) -> bool:
    """Whether one job is sure to have both accounts: a job sets no references to accounts that others have."""
    job = rules.only_job(row)
    return job is not None and other is not None and job is rules.only_job(other)


def _folded(value: Any) -> Any:
    """Return a value as SCIM compares it: letter case does not count in these attributes (RFC 7643 §4.1)."""
    return value.casefold() if isinstance(value, str) else value


def _must_be_off(id_: str, account: Account, how: str) -> Iterator[str]:
    if how == "delete":
        yield f"{id_} still has an account, which should be deleted"
    elif how == "disable" and account.get("active") is not False:
        yield f"{id_} still has an account that is on"


def as_made(quirks: Quirks) -> bool:
    """Whether a group stays as it was filled first: to write it whole takes members that are not shown away."""
    return quirks.patch_unsupported and quirks.no_members_on_get


def keeps_the_last(quirks: Quirks) -> bool:
    """Whether a group cannot be emptied: a PUT is all there is, and one without members changes none."""
    return quirks.patch_unsupported and not quirks.put_resets


def _groups(
    town: Town,
    rules: Rules,
    names: Names,
    mine: Mapping[str, Account],
    users: Mapping[str, Account],
    groups: Mapping[str, Account],
    foreign_members: Mapping[str, set[str]],
    now: float,
    had_by: Mapping[str, Collection[str]],
    *,
    as_made: bool,
    keeps_the_last: bool,
) -> Iterator[str]:
    unmarked = [id_ for id_, user in users.items() if user.get("externalId") is None]
    by_owner: dict[str, list[Account]] = {}
    for group in groups.values():
        by_owner.setdefault(str(group.get("externalId")), []).append(group)
    for id_, row in town.groups.items():
        if not rules.group_in_scope(row):
            continue
        having = by_owner.get(id_, [])
        if len(having) != 1:
            yield f"the group {id_} is there {len(having)} times"
            continue
        if as_made:
            continue
        if having[0]["displayName"] != row["displayName"]:
            yield f"the group {id_} is called {having[0]['displayName']!r}, should be {row['displayName']!r}"
        there = {str(one["value"]) for one in having[0].get("members") or []} & users.keys()
        must = {
            str(mine[m]["id"])
            for m in row["members"]
            if m in mine
            and rules.in_scope(town.people[m], town)
            and (rules.is_active(town.people[m], now) or rules.jobs[0].name in had_by.get(str(mine[m]["id"]), ()))
            and rules.only_job(town.people[m]) is rules.jobs[0]
            and not names.bars(m)
        }
        # Who is inactive stays in her groups, and is so first of all; only the job that has an account puts it in.
        may = {
            str(mine[m]["id"])
            for m in row["members"]
            if m in mine
            and (not rules.is_active(town.people[m], now) or rules.in_scope(town.people[m], town))
            and rules.jobs[0].name in had_by.get(str(mine[m]["id"]), ())
        }
        # An account found by a name of hers says whose it is with its first update, and who is inactive gets none.
        may |= {
            account
            for account in unmarked
            for m in row["members"]
            if str(users[account]["userName"]).casefold() in names.had(m)
            and not rules.is_active(town.people[m], now)
            and rules.jobs[0].name in had_by.get(account, ())
        }
        if rules.out_of_scope == "keep":  # whose account is kept stays where it is
            kept = [m for m, person in town.people.items() if m in mine and not rules.in_scope(person, town)]
            may |= {str(mine[m]["id"]) for m in kept}
        may |= {id_ for id_, user in users.items() if str(user.get("userName", "")).lower() == PROTECTED}
        theirs = foreign_members.get(str(having[0]["id"]), set())
        # Whom the app's administrator put in stays; in an exact group only who is listed, and is nobody's to take out.
        may |= theirs & {str(mine[m]["id"]) for m in row["members"] if m in mine} if rules.exact_members else theirs
        # What another job takes out of the bin is in the groups of before, and the job of the groups has no word of it.
        back = set(having[0].get(BROUGHT_BACK) or ())
        may |= {one for one in back if rules.jobs[0].name not in had_by.get(one, ())}
        if keeps_the_last and not must and len(having[0].get("members") or []) == 1:
            continue  # with anybody else in it, whoever should be out could be taken out
        if not must <= there <= may:
            yield f"the group {id_} has the members {sorted(there)}, should be {sorted(must)} (may be {sorted(may)})"
    for owner, having in by_owner.items():
        if owner != "None" and owner not in town.groups and any(g.get("externalId") for g in having):
            yield f"the group of {owner}, which is gone, is still there"
