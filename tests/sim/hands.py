"""What people and machines do in a simulation: in the source, in the app, in the configuration, at the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.sim.hr import iso
from tests.sim.life import EPOCH
from tests.sim.rules import SITES

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

Deed = Callable[["Simulation"], Awaitable[None]]


async def do_something(sim: Simulation) -> None:
    """Throw the dice for a deed, and do it."""
    deed = sim.dice.choices(list(DEEDS), weights=list(DEEDS.values()))[0]
    sim.story.tell(f"DEED {deed.__name__}")
    await deed(sim)


async def do_something_new(sim: Simulation) -> None:
    """Do what there is to do only under some rules, now and then."""
    deeds = [moves] * (len(sim.jobs) > 1) + [gives_notice] * sim.rules.leave_dates
    for deed in deeds:
        if sim.kind_dice.random() < 0.3:
            sim.story.tell(f"DEED {deed.__name__}")
            await deed(sim)


def _somebody(sim: Simulation) -> str | None:
    ids = sorted(sim.town.people)
    return sim.dice.choice(ids) if ids else None


# --- in the source ---------------------------------------------------------------------------------------------------


async def hires(sim: Simulation) -> None:
    for _ in range(sim.dice.randint(1, 3)):
        id_ = sim.town.hire(sim.seconds(), manager=_somebody(sim))
        if sim.dice.random() < 0.7:
            _join(sim, id_)
    sim.changed_source()


async def leaves(sim: Simulation) -> None:
    for _ in range(sim.dice.randint(1, 2)):
        if (id_ := _somebody(sim)) is not None:
            sim.town.remove(id_, sim.seconds())
    sim.changed_source()


async def is_switched(sim: Simulation) -> None:
    """Somebody is deactivated, or active again."""
    if (id_ := _somebody(sim)) is not None:
        sim.town.edit(id_, sim.seconds(), accountEnabled=not sim.town.people[id_]["accountEnabled"])
    sim.changed_source()


async def renames(sim: Simulation) -> None:
    if (id_ := _somebody(sim)) is not None:
        name = f"married{sim.dice.randint(1, 9999)}@example.com"
        if sim.dice.random() < 0.3:
            sim.town.hire(sim.seconds(), name=sim.town.people[id_]["userPrincipalName"])
        sim.town.edit(id_, sim.seconds(), userPrincipalName=name, displayName="Married")
    sim.changed_source()


async def swap_names(sim: Simulation) -> None:
    ids = sorted(sim.town.people)
    if len(ids) > 1:
        one, other = sim.dice.sample(ids, 2)
        names = [sim.town.people[id_]["userPrincipalName"] for id_ in (one, other)]
        sim.town.edit(one, sim.seconds(), userPrincipalName=names[1])
        sim.town.edit(other, sim.seconds(), userPrincipalName=names[0])
    sim.changed_source()


async def changes_job(sim: Simulation) -> None:
    if (id_ := _somebody(sim)) is not None:
        title = sim.dice.choice(["Manager", "Director", "Ingénieur", 'O\'Neil "the" \\ engineer'])
        department = sim.dice.choice(["Development", "Sales", "Alumni"])
        sim.town.edit(id_, sim.seconds(), jobTitle=title, department=department, manager=_somebody(sim))
    sim.changed_source()


async def is_rehired(sim: Simulation) -> None:
    """Somebody who left comes back: under the old id, or under a new one."""
    gone = sorted(id_ for id_ in sim.town.tombstones if id_.startswith("p"))
    if gone:
        id_ = sim.dice.choice(gone)
        name = sim.town.tombstones[id_]["userPrincipalName"]
        if any(row["userPrincipalName"] == name for row in sim.town.people.values()):
            return
        employee = sim.town.tombstones[id_]["employeeId"]
        if any(row["employeeId"] == employee for row in sim.town.people.values()):
            return
        if sim.dice.random() < 0.5:
            sim.town.revive(id_, sim.seconds())
        else:
            new = sim.town.hire(sim.seconds(), name=name, employee=employee)
            _join(sim, new)
    sim.changed_source()


async def groups_change(sim: Simulation) -> None:
    if (id_ := _somebody(sim)) is not None:
        _join(sim, id_)
    for group in sim.town.groups.values():
        if group["members"] and sim.dice.random() < 0.3:
            group["members"].remove(sim.dice.choice(group["members"]))
            sim.town.changed[group["id"]] = sim.seconds()
    sim.changed_source()


async def groups_come_and_go(sim: Simulation) -> None:
    groups = sorted(id_ for id_, group in sim.town.groups.items() if group["displayName"] != "Staff")
    thrown = sim.dice.random()
    people = sorted(sim.town.people)
    if thrown < 0.3 or not groups:
        sim.town.found(sim.seconds(), sim.dice.sample(people, len(people) // 2))
    elif thrown < 0.5:
        sim.town.remove(sim.dice.choice(groups), sim.seconds())
    elif thrown < 0.7:
        sim.town.edit(sim.dice.choice(groups), sim.seconds(), displayName=f"Renamed {sim.dice.randint(1, 999)}")
    else:
        inner, outer = sim.dice.choice(groups), sim.dice.choice(sorted(sim.town.groups))
        if inner not in sim.town.groups[outer]["members"]:
            sim.town.groups[outer]["members"].append(inner)
            sim.town.changed[outer] = sim.seconds()
    sim.changed_source()


def _join(sim: Simulation, id_: str) -> None:
    group = sim.town.groups[sim.dice.choice(sorted(sim.town.groups))]
    if id_ not in group["members"]:
        group["members"].append(id_)
        sim.town.changed[group["id"]] = sim.seconds()


async def shrinks(sim: Simulation) -> None:
    """The source shows only some of its people, and says that these are all; or it shows all of them again."""
    if sim.town.hidden:
        for id_ in sorted(sim.town.hidden):
            sim.town.changed[id_] = sim.seconds()
        sim.town.hidden.clear()
    else:
        people = sorted(sim.town.people)
        sim.town.hidden.update(sim.dice.sample(people, len(people) // 2))
    sim.changed_source()


async def reads_badly(sim: Simulation) -> None:
    """What the source gives is visibly not all; or it is well again."""
    if sim.rules.source == "file":
        sim.file_cut = not sim.file_cut
        sim.changed_source()
        return
    twists = [None, "a page is missing", "nobody is left", "somebody comes twice", "the total grows"]
    sim.hr.twist = sim.dice.choice(twists)
    sim.watch.mark()


async def moves(sim: Simulation) -> None:
    """Some people go to another site: another job of the same app has them from now on, or none."""
    for _ in range(sim.kind_dice.randint(1, 3)):
        ids = sorted(sim.town.people)
        if ids:
            sim.town.edit(sim.kind_dice.choice(ids), sim.seconds(), site=sim.kind_dice.choice(SITES))
    sim.changed_source()


async def gives_notice(sim: Simulation) -> None:
    """Somebody is to leave at a moment that is known beforehand; or stays after all."""
    ids = sorted(sim.town.people)
    if not ids:
        return
    id_ = sim.kind_dice.choice(ids)
    ends: str | None = None
    if sim.town.people[id_]["leaveDate"] is None or sim.kind_dice.random() < 0.5:
        seconds = sim.kind_dice.choice([1800.0, 5400.0, 3 * 3600.0, 5 * 86400.0])
        ends = iso(sim.calendar.now() - EPOCH + seconds)
    sim.town.edit(id_, sim.seconds(), leaveDate=ends)
    sim.changed_source()


# --- in the app ------------------------------------------------------------------------------------------------------


async def drifts(sim: Simulation) -> None:
    """The app's administrator changes something that is ours."""
    ours = sorted(id_ for id_, row in sim.app.users.items() if id_ not in sim.watch.foreign)
    if not ours:
        return
    sim.drifted = True
    id_ = sim.dice.choice(ours)
    match sim.dice.choice(["title", "off", "gone"]):
        case "title":
            sim.app.edit(id_, title="Changed by hand")
        case "off":
            sim.app.edit(id_, active=False)
        case _:
            sim.app.remove(id_)
    sim.story.tell(f"the administrator touched {id_}")


async def touches_a_group(sim: Simulation) -> None:
    """The app's administrator adds a member of her own to a group, takes one out, or deletes the group."""
    if not sim.app.groups or sim.app.quirks.no_members_on_get:
        return  # what is never shown cannot be compared
    sim.drifted = True
    id_ = sim.dice.choice(sorted(sim.app.groups))
    group = sim.app.groups[id_]
    members = list(group.get("members") or [])
    match sim.dice.choice(["in", "out", "gone"]):
        case "in":
            guest = sim.dice.choice(sorted(sim.app.users))
            if all(one["value"] != guest for one in members):
                sim.app.set_members(id_, [*members, {"value": guest}])
                sim.foreign_members.setdefault(id_, set()).add(guest)
        case "out" if members:
            members.remove(sim.dice.choice(members))
            sim.app.set_members(id_, members)
        case _:
            sim.app.remove_group(id_)
    sim.story.tell(f"the administrator touched the group {id_}")


async def makes_an_account(sim: Simulation) -> None:
    """The app's administrator makes an account of her own; or one for somebody who is about to get one."""
    if sim.dice.random() < 0.5:
        sim.stranger(f"guest{sim.dice.randint(1, 9999)}@elsewhere.example")
        return
    name = f"early{sim.dice.randint(1, 9999)}@example.com"
    sim.stranger(name)
    id_ = sim.town.hire(sim.seconds(), name=name)
    _join(sim, id_)
    sim.changed_source()


# --- at the daemon ---------------------------------------------------------------------------------------------------


async def asks_for_a_cycle(sim: Simulation) -> None:
    full = sim.dice.random() < 0.3
    job = sim.a_job()
    await sim.lives.hand(lambda desk: _at_once(desk.trigger(job, full=full, by="hand")))


async def pauses(sim: Simulation) -> None:
    job = sim.a_job()
    await sim.lives.hand(lambda desk: desk.pause(job, reason="", by="hand"))


async def resumes(sim: Simulation) -> None:
    await resume(sim, sim.a_job())


async def resume(sim: Simulation, job: str) -> None:
    await sim.lives.hand(lambda desk: desk.resume(job, by="hand"))


async def stops(sim: Simulation) -> None:
    job = sim.a_job()
    await sim.lives.hand(lambda desk: _at_once(desk.stop(job, by="hand")))


async def restarts(sim: Simulation) -> None:
    await sim.lives.restart_job(sim.a_job())


async def approves(sim: Simulation) -> None:
    await sim.lives.decide(sim.jobs, "approved")


async def rejects(sim: Simulation) -> None:
    await sim.lives.decide(sim.jobs, "rejected")


async def binds_anew(sim: Simulation) -> None:
    await sim.lives.bind_anew(sim.a_job())


async def provisions(sim: Simulation) -> None:
    if (id_ := _somebody(sim)) is None:
        return
    job = sim.a_job()
    with sim.watch.under_way.on_demand(reads=(job, id_)):
        await sim.lives.hand(lambda desk: desk.provision(job, [id_], dry_run=False, by="hand"))


async def takes_out(sim: Simulation) -> None:
    """Somebody is taken out of every job by hand; or all are let back."""
    if sim.watch.taken_out or sim.watch.perhaps_out:
        await sim.let_everybody_back()
        return
    if (id_ := _somebody(sim)) is None:
        return
    sim.watch.perhaps_out.add(id_)
    sim.watch.mark()
    with sim.watch.under_way.on_demand():
        done = await sim.lives.hand(lambda desk: desk.take_out(id_, dry_run=False, release=False, by="hand"))
    if isinstance(done, dict):
        sim.watch.perhaps_out.discard(id_)
        sim.watch.taken_out.add(id_)
        sim.watch.mark()


async def changes_the_rules(sim: Simulation) -> None:
    rules = sim.rules
    match sim.dice.choice(["title", "bar", "scope", "limits", "assigned", "interval"]):
        case "title":
            job = sim.rules.jobs[sim.jobs.index(sim.a_job())]
            job.title = "department" if job.title == "jobTitle" else "jobTitle"
        case "bar":
            rules.barred = sim.dice.choice([None, "Alumni", "Sales"])
        case "scope":
            rules.scope = "assigned" if rules.scope == "all" else "all"
        case "limits":
            rules.deletion_share = sim.dice.choice([10, 25, 100])
        case "assigned":
            names = sorted(group["displayName"] for group in sim.town.groups.values())
            rules.assigned = ["Staff", sim.dice.choice(names)]
        case _:
            rules.jobs[0].interval_minutes = sim.dice.choice([40, 60, 120])
    sim.write_config()
    await sim.lives.hand(lambda desk: desk.reload(by="hand"))


async def _at_once(value: object) -> object:
    return value


# --- accidents -------------------------------------------------------------------------------------------------------


async def is_killed_soon(sim: Simulation) -> None:
    sim.disk.kill_in = sim.dice.randint(1, 40)


async def is_killed_now(sim: Simulation) -> None:
    sim.lives.kill()


async def is_ended(sim: Simulation) -> None:
    """An ordinary restart of the machine."""
    if sim.lives.daemon is not None and sim.lives.daemon.service is not None:
        await sim.lives.terminate()


async def the_clock_jumps(sim: Simulation) -> None:
    sim.calendar.set_by(sim.dice.choice([-7200.0, -60.0, 60.0, 3600.0, 86400.0]))


async def the_disk_refuses(sim: Simulation) -> None:
    """For a while the disk is full, or somebody locks the file; or it is well again."""
    if sim.disk.refuses is not None:
        sim.disk.refuses = None
        return
    sim.troubled.update(sim.jobs)
    sim.disk.refuses = sim.dice.choice(["SQLITE_FULL", "SQLITE_BUSY", "SQLITE_IOERR_WRITE"])
    sim.disk.refusal_share = sim.dice.choice([0.02, 0.2, 1.0])


async def the_mail_server_ails(sim: Simulation) -> None:
    sim.mails.refuses_share = sim.dice.choice([0.0, 0.5, 1.0])


DEEDS: dict[Deed, float] = {
    hires: 6,
    leaves: 5,
    is_switched: 4,
    renames: 4,
    swap_names: 2,
    changes_job: 6,
    is_rehired: 4,
    groups_change: 4,
    groups_come_and_go: 4,
    shrinks: 2,
    reads_badly: 3,
    drifts: 2,
    makes_an_account: 2,
    asks_for_a_cycle: 4,
    pauses: 1,
    resumes: 2,
    stops: 1,
    restarts: 1,
    approves: 3,
    provisions: 2,
    takes_out: 2,
    touches_a_group: 1,
    changes_the_rules: 3,
    is_killed_soon: 4,
    is_killed_now: 2,
    is_ended: 1,
    the_clock_jumps: 1,
    the_disk_refuses: 2,
    the_mail_server_ails: 1,
}
