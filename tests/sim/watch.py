"""What must hold at every moment, whatever goes wrong; checked where requests pass and where the app changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from reconciler.ports import Request
from tests.servers.engine import Seen
from tests.sim.allowance import Allowance, Key
from tests.sim.app import Changed, seen_of
from tests.sim.circles import Circles
from tests.sim.life import EPOCH, Calendar
from tests.sim.lists import Lists
from tests.sim.rules import ENTERPRISE, PROTECTED, TARGET_HOST, Rules, seconds_of
from tests.sim.town import Town
from tests.sim.under_way import Cycle, UnderWay
from tests.sim.written import News, Written, lost, untrue

_SENT_WITHIN_SECONDS = 1800.0
"""So long before it was done may a disable have been written down as attempted."""


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass(slots=True)
class Standing:
    """When somebody was last what, in the loop's time; infinity: is so now."""

    on: float = -math.inf
    off: float = -math.inf
    in_scope: float = -math.inf
    left: dict[str, float] = field(default_factory=dict)
    """When she left each job that had her, by `Calendar.elapsed`: the time of grace is one job's own."""
    back: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When she came back to a job, with when she had left it before."""
    leaves: float = math.inf
    """Her day of leaving, as the source showed it last."""
    causes: dict[str, float] = field(default_factory=dict)
    """When each cause (gone, out of scope while active) last was one why she is to be off."""
    names: set[str] = field(default_factory=set)


class Watch:
    """Knows who should have what, and since when; is told all that happens."""

    def __init__(
        self,
        town: Town,
        rules: Callable[[], Rules],
        seconds: Callable[[], float],
        calendar: Calendar,
        state: Path,
    ) -> None:
        """`seconds` is the loop's time."""
        self._town, self._rules, self._seconds, self._calendar = town, rules, seconds, calendar
        self._people: dict[str, Standing] = {}
        self._circles = Circles(town)
        self._lists = Lists()
        self.written = Written(state)
        self.taken_out: set[str] = set()
        """Who was taken out by hand."""
        self.perhaps_out: set[str] = set()
        """Who was asked to be taken out, and nobody knows whether that came to be."""
        self.broken: list[str] = []
        self.under_way = UnderWay(seconds, calendar)
        self.foreign: dict[str, dict[str, Any]] = {}
        """Accounts that the app's administrator made, as they were."""
        self.allowance = Allowance()
        self.users: Callable[[], dict[str, dict[str, Any]]] = dict
        self.groups: Callable[[], dict[str, dict[str, Any]]] = dict
        self.calls: Callable[[Request], list[Seen]] = lambda request: [seen_of(request, self._seconds())]
        self.hides_names: Callable[[], bool] = bool
        """Whether the app's search by name shows nobody, although a list does."""
        self.hides_deleted: Callable[[], bool] = bool
        """Whether the app keeps what it deletes, switched off."""
        self.deleted: Callable[[], Collection[str]] = tuple
        """What the app was asked to delete, and may keep."""
        self.drops: Callable[[], Collection[str]] = tuple
        """Attributes that the app lets fall with any change of an account."""
        self.shows_no_groups: Callable[[], bool] = bool
        """Whether the source says that there are no groups: a lie that is believed by rule (`allow_empty`)."""
        self._whole_since: dict[str, float] = {}
        """When the last cycle of each job began that read everything: who is in which group is known from then."""
        self._disabled: dict[str, float] = {}
        """When each account that is off was switched off by a request, by `Calendar.elapsed`."""
        self._off_already: dict[str, float] = {}
        """When each account was last sent a disable that somebody else had disabled meanwhile, without our knowing."""
        self._sent_off: dict[str, float] = {}
        """When each account was last sent a disable, or first a delete without one, by `Calendar.elapsed`."""
        self._given: dict[str, str] = {}
        """Whom each account was last sent to be given to, by an id for externalId."""
        self._made: set[str] = set()
        """Accounts that were ever made by request."""
        self.changes: list[Changed] = []
        """Of the cycle that runs."""

    def wrong(self, text: str) -> None:
        """Take note of a broken promise."""
        self.broken.append(f"at {self._seconds():.3f}: {text}")

    # --- who should have what ---

    def mark(self) -> None:
        """Look at everybody again: the source or the rules have changed."""
        now, rules, town = self._seconds(), self._rules(), self._town
        for id_ in {**self._people, **town.people}:
            one = self._people.setdefault(id_, Standing())
            row = town.people.get(id_)
            there = row is not None and id_ not in town.hidden and id_ not in self.taken_out
            if row is not None:
                one.names.add(str(row["userPrincipalName"]).lower())
            on = there and rules.should_be_on(id_, town, self._calendar.latest())
            scoped = there and row is not None and rules.in_scope(row, town)
            one.on = math.inf if on else min(one.on, now)
            one.off = min(one.off, now) if on else math.inf
            serving = rules.serving(row) if row is not None else []
            moment = self._calendar.elapsed()
            if row is not None:
                one.leaves = rules.leaves_at(row) - EPOCH
            for job in rules.jobs:
                if on and job in serving:
                    if (left := one.left.get(job.name, math.inf)) < math.inf:
                        one.back[job.name] = moment, left
                    one.left[job.name] = math.inf
                elif one.left.get(job.name) == math.inf or (not one.left and len(rules.jobs) == 1):
                    one.left[job.name] = self._left(id_, one, job.name, min(moment, one.leaves))
            one.in_scope = math.inf if scoped else min(one.in_scope, now)
            active = row is not None and rules.is_active(row, self._calendar.now())
            for cause, is_so in (("gone", not there), ("out of scope", there and active and not scoped)):
                one.causes[cause] = math.inf if is_so else min(one.causes.get(cause, -math.inf), now)
            if id_ in self.perhaps_out:
                one.on = one.off = one.in_scope = math.inf
        self._lists.mark(town.groups.values(), now)
        certain = {id_ for id_, one in self._people.items() if one.on == math.inf and one.off < math.inf}
        self._circles.mark(rules, certain, now, shown=not self.shows_no_groups())

    def _left(self, id_: str, one: Standing, job: str, moment: float) -> float:
        """Return since when a job may count somebody as having left, who left now.

        Who came back and left again while the job did not look at the source was never back for all that it can know;
        nor where a look did not come to its end, and nothing is written of her being in scope.
        """
        if job not in one.back:
            return moment
        back, left = one.back.pop(job)
        knows = self.under_way.looked(job, id_, back, moment) or self.written.is_in_scope(job, id_)
        return moment if knows else left

    def owner(self, account: dict[str, Any]) -> str:
        """Return whose account this is: by its externalId; one that somebody else made is theirs whose name it has."""
        id_ = account.get("externalId")
        if id_ is not None:
            return str(id_)
        name = _name_meant(account)
        return next((id_ for id_, one in self._people.items() if name in one.names), "")

    def names(self) -> dict[str, set[str]]:
        """Return the names that each ever had."""
        return {id_: one.names for id_, one in self._people.items()}

    def _perhaps_owners(self, account: dict[str, Any]) -> list[str]:
        """Return whose account this may be: of one that somebody else made, everybody who ever had its name."""
        id_ = account.get("externalId")
        if id_ is not None:
            return [owner for owner in self._people if owner == str(id_)]
        name = _name_meant(account)
        return [owner for owner, one in self._people.items() if name in one.names]

    # --- what is sent ---

    def sends(self, host: str, request: Request) -> None:
        """Take note of a request before it leaves."""
        if host != TARGET_HOST or request.method == "GET":
            return
        for seen in self.calls(request):
            self._sends(seen)

    def _sends(self, seen: Seen) -> None:
        if seen.segments[:1] != ("Users",) or seen.method == "GET":
            return
        if seen.method != "POST":
            self._given.update((seen.segments[-1], str(id_)) for id_ in _said(seen.body, "externalId"))
        if _switches_off(seen.body):
            self._sent_off[seen.segments[-1]] = self._calendar.elapsed()
        elif seen.method == "DELETE":
            self._sent_off.setdefault(seen.segments[-1], self._calendar.elapsed())
        is_off = self.users().get(seen.segments[-1], {}).get("active") is False
        if _switches_off(seen.body) and is_off:
            self._off_already[seen.segments[-1]] = self._calendar.elapsed()
        if len(self.under_way.cycles) != 1:
            return
        (cycle,) = self.under_way.cycles.values()
        if seen.method == "POST":
            cycle.first(("create", str(seen.body.get("externalId"))))
        elif seen.method == "DELETE" or (_switches_off(seen.body) and not is_off):
            cycle.first(("negative", seen.segments[1]))  # what is off already is sent back whole, off, for a rename

    # --- what changed ---

    def hears(self, changed: Changed) -> None:
        """Judge a change that a request made in the app."""
        self.changes.append(changed)
        if changed.kind == "Groups":
            self.mark()  # a day of leaving may have come
            there = {**self.groups(), **self.users()}
            for sentence in self._circles.wronged(changed, there, self.under_way.since(), self._is_with_another_job):
                self.wrong(sentence)
            if changed.after is None:
                owner = str((changed.before or {}).get("externalId"))
                self._takes_away(f"group {changed.target_id}", [("group", owner, "delete")])
            return
        before, after = changed.before, changed.after
        if before is None:
            assert after is not None
            self._made.add(changed.target_id)
            self._created(changed.target_id, after)
        elif str(before.get("userName", "")).lower() == PROTECTED:
            self.wrong(f"the protected account {changed.target_id} was touched")
        elif after is None:
            self._negative(changed.target_id, before, "deleted")
        elif before.get("active") is not False and after.get("active") is False:
            self._negative(changed.target_id, before, "disabled")
        else:
            if after.get("active") is not False:
                self._disabled.pop(changed.target_id, None)
            self._updated(changed.target_id, before, after)
        self._one_account_each(after)
        self.allowance.manages(sum(row.get("active") is not False for row in self.users().values()))

    def _is_with_another_job(self, target_id: str) -> bool:
        """Whether a job that brings no groups has an account; who comes back from it waits until it passes on."""
        return self.written.is_with_others(target_id, self._rules().jobs[0].name)

    def _created(self, target_id: str, after: dict[str, Any]) -> None:
        known_since = min((self._whole_since.get(job.name, 0.0) for job in self._rules().jobs), default=0.0)
        # What is brought back out of a bin for its name may have no mark of whose it was.
        owners = self._perhaps_owners(after)
        counted = max((max(self._people[id_].in_scope, self._listed_until(id_)) for id_ in owners), default=-math.inf)
        if counted < min(self.under_way.since(), known_since):
            self.wrong(f"an account {target_id} was made for {after.get('externalId')}, who is not in scope")

    def _negative(self, target_id: str, before: dict[str, Any], word: str) -> None:
        id_ = self.owner(before)
        owner = self._people.get(id_)
        self.mark()  # a day of leaving may have come
        if owner is None:
            self.wrong(f"the account {target_id} of nobody was {word}")
        elif all(self._people[one].off < self.under_way.since() for one in self._perhaps_owners(before)):
            self.wrong(f"{id_}'s account {target_id} was {word}, and {id_} should have been on all the time")
        elif id_ not in self.taken_out | self.perhaps_out and (target_id in self._made or before.get("externalId")):
            # an account that is found for somebody who is off already is taken over as it is to be, at once
            self._not_before_its_time(id_, owner, before, word)
        if word == "disabled":
            self._disabled[target_id] = self._calendar.elapsed()
        if id_ not in self.taken_out | self.perhaps_out:  # a person's word covers the delete that follows, too
            # Some apps only switch off what they are asked to delete, which is what a person approved.
            done = "delete" if target_id in self.deleted() else word.removesuffix("d")
            keys = [("user", one, done) for one in self._perhaps_owners(before)]
            self._takes_away(f"{id_} {word}", keys)

    def _not_before_its_time(self, id_: str, owner: Standing, before: dict[str, Any], word: str) -> None:
        rules, now, target_id = self._rules(), self._calendar.elapsed(), str(before["id"])
        grace = seconds_of(rules.disable_after)
        disabled = self._disabled.get(target_id)
        if disabled is None and before.get("active") is False:
            # by somebody else: where our disable got no answer, that is what nobody can tell
            disabled = self._sent_off.get(target_id)
        # Whom another job meets only when she has left is off there at once.
        waited = now - self._left_as_seen(owner) if len(owner.left) == 1 else math.inf
        if disabled is None and grace and waited < grace:
            self.wrong(f"{id_}'s account {target_id} was {word} after {waited:.0f} s, allowed after {grace:.0f}")
        at_once = {cause for cause, moment in owner.causes.items() if moment >= self.under_way.since()}
        asked = {
            cause for cause, how in (("gone", rules.gone), ("out of scope", rules.out_of_scope)) if how == "delete"
        }
        if word == "deleted" and not at_once & asked:
            waits = seconds_of(rules.delete_after)
            if waits is None or disabled is None or now - disabled < waits - _SENT_WITHIN_SECONDS:
                self.wrong(f"{id_}'s account {target_id} was deleted, disabled {disabled}, now {now}")

    def _left_as_seen(self, owner: Standing) -> float:
        """Return when somebody left her one job, as a cycle knows that looked before she came back."""
        ((job, left),) = owner.left.items()
        back, left_before = owner.back.get(job, (-math.inf, math.inf))
        began = self._calendar.elapsed() - (self._seconds() - self.under_way.since())
        return left_before if left == math.inf and back >= began else left

    def not_deleted(self) -> list[str]:
        """Return in sentences who is off for so long that the account should be deleted, and is not."""
        rules, now = self._rules(), self._calendar.elapsed()
        waits, users = seconds_of(rules.delete_after), self.users()
        found = []
        for target_id, moment in self._disabled.items():
            row = self._town.people.get(self.owner(users[target_id])) if target_id in users else None
            kept = row is not None and rules.out_of_scope == "keep" and not rules.in_scope(row, self._town)
            if waits is not None and target_id in users and not kept and now - moment > waits:
                found.append(f"{target_id} was disabled {now - moment:.0f} s ago, and is not deleted")
        return found

    def _updated(self, target_id: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        owner = self._people.get(self.owner(after))
        if owner is None:
            self.wrong(f"the account {target_id} of nobody was changed")
            return
        touched = {name for name in {**before, **after} if before.get(name) != after.get(name)} - {"meta", "schemas"}
        if touched <= {ENTERPRISE}:
            return  # references leave with those whom they point to
        ids = chain([self.owner(after)], self._given_to(target_id))
        unseen = (self._people[id_].in_scope < min(self.under_way.since(), self._counted_until(id_)) for id_ in ids)
        if not touched <= {ENTERPRISE, *self._falls(target_id, after)} and all(unseen):
            self.wrong(f"{target_id} was changed ({', '.join(sorted(touched))}), whose owner is not in scope")
        foreign = self.foreign.get(target_id)
        if foreign is not None and not self._named_as_somebody(before):
            self.wrong(f"the account {target_id}, which is not ours, was changed")

    def _given_to(self, target_id: str) -> Iterator[str]:
        """Return who was to get an account of which the app may still show the old owner.

        Her id is refused together with a name that is taken, and breaking a ring of names writes nothing but a name; or
        the app says yes, and keeps the old one. She counts only where the state has the account as hers, too.
        """
        given = self._given.get(target_id)
        if given in self._people and self.written.is_hers(target_id, given):
            yield given

    def _falls(self, target_id: str, after: dict[str, Any]) -> Collection[str]:
        """Return what an app drops by itself with a disable of an account that somebody else had switched off."""
        was_off = after.get("active") is False and target_id in self._off_already
        return set(self.drops()) - after.keys() if was_off else ()

    def _listed_until(self, id_: str) -> float:
        """Return until when somebody was in a group that is assigned now, if only as it was before that."""
        rules = self._rules()
        groups = rules.assigned if rules.scope == "assigned" and self._only_lists_keep_out(id_) else []
        return self._lists.had(id_, groups, nested=rules.nested)

    def _counted_until(self, id_: str) -> float:
        """Return until when somebody may have counted as a member whom only lists of members keep out now.

        Until they have been read whole, nobody is known to be missing from them.
        """
        if not self._only_lists_keep_out(id_):
            return math.inf
        return min((self._whole_since.get(job.name, 0.0) for job in self._rules().jobs), default=0.0)

    def _only_lists_keep_out(self, id_: str) -> bool:
        rules, row = self._rules(), self._town.people.get(id_)
        unseen = id_ in self._town.hidden or id_ in self.taken_out
        return row is not None and not unseen and bool(rules.serving(row)) and row["department"] != rules.barred

    def not_ours(self) -> dict[str, dict[str, Any]]:
        """Return the accounts of the app's administrator that have nobody's name, as they were."""
        return {
            target_id: account for target_id, account in self.foreign.items() if not self._named_as_somebody(account)
        }

    def _named_as_somebody(self, account: dict[str, Any]) -> bool:
        name = str(account["userName"]).lower()
        return name.startswith("interim-") or any(name in one.names for one in self._people.values())

    def _takes_away(self, what: str, keys: Collection[Key]) -> None:
        if wrong := self.allowance.takes_away(keys, self._rules(), self._calendar.now()):
            self.wrong(f"{what}: {wrong}")

    def _one_account_each(self, after: dict[str, Any] | None) -> None:
        id_ = after.get("externalId") if after is not None else None
        if id_ is None:
            return
        having = [target_id for target_id, row in self.users().items() if row.get("externalId") == id_]
        if self.hides_deleted():
            having = [target_id for target_id in having if self.users()[target_id].get("active") is not False]
        if len(having) > 1:
            self.wrong(f"{id_} has the accounts {', '.join(having)}")

    # --- cycles ---

    def cycle_begins(self, job: str) -> None:
        self.under_way.cycle_begins(job)
        self.changes.clear()
        self._hear_what_is_told(job)

    def cycle_ends(self, job: str, *, quiet: bool, whole: bool) -> None:
        """Compare what was done with what is written down.

        `quiet`: nothing went wrong meanwhile; `whole`: the source was read to its end.
        """
        cycle = self.under_way.cycle_ends(job, whole=whole)
        if cycle is None:
            return
        if whole:
            self._whole_since[job] = cycle.began
        if whole and quiet and not self._somebody_is_unknown():
            self.allowance.cycle_ends(job, cycle.began)
        self._leavers_first(cycle)
        news = self._hear_what_is_told(job)
        made = self._made | self.foreign.keys() if self.hides_names() else self._made
        for sentence in untrue(news.told, self.users(), made, self.changes if quiet and cycle.alone else None):
            self.wrong(sentence)
        if news.watermark is not None:
            for sentence in lost(news.watermark, news.known, self._town, cycle.began):
                self.wrong(sentence)

    def _somebody_is_unknown(self) -> bool:
        """Whether a group that gives people their account is not shown: of whom it may have, nothing is decided."""
        rules = self._rules()
        shown = set() if self.shows_no_groups() else {group["displayName"] for group in self._town.groups.values()}
        return rules.scope == "assigned" and not shown.issuperset(rules.assigned)

    def _leavers_first(self, cycle: Cycle) -> None:
        words = [word for word, _ in cycle.sent]
        if cycle.alone and "negative" in words:
            first, last = words.index("negative"), len(words) - 1 - words[::-1].index("negative")
            # What a worker had in hand already may still be sent: a create that waited for its manager's.
            rules = self._rules()
            # A resource that is sent back whole is read first, so its leaver's turn began a request earlier.
            requests = 2 if rules.target == "rest" else 1
            if words[first:last].count("create") >= max(2, rules.concurrency) * requests:
                self.wrong(f"a create went before a leaver: {cycle.sent}")

    def _hear_what_is_told(self, job: str) -> News:
        """Take what the log says of disables that came to nothing new: their time of grace has begun all the same."""
        news, users = self.written.news(job), self.users()
        for kind, operation, status, target_id, source_id in news.told:
            told = (kind, operation, status) == ("user", "disable", "success")
            if told and target_id not in self._sent_off:
                self.wrong(f"the log says that {target_id} of {source_id} was disabled, and that was never sent")
            believed = told and target_id in self._off_already
            if believed and users.get(target_id, {}).get("active") is False:  # else it is on again by now
                self._disabled.setdefault(target_id, self._off_already[target_id])
        return news


def _switches_off(body: Any) -> bool:
    return any(value is False for value in _said(body, "active"))


def _said(body: Any, name: str) -> list[Any]:
    """Return what the body of a change says of an attribute."""
    found: list[Any] = []
    for one in body.get("Operations", [body]) if isinstance(body, dict) else ():
        value = one.get("value", one) if isinstance(one, dict) else None
        if isinstance(value, dict):
            found += [value[name]] if name in value else []
        elif value is not None and one.get("path") == name:
            found.append(value)
    return found


def _name_meant(account: dict[str, Any]) -> str:
    """Return the account's name; of an interim one (interim-ID-NAME), the name that it waits for."""
    name = str(account["userName"]).lower()
    return name.split("-", 2)[2] if name.startswith("interim-") else name
