"""Says in words how the daemon and its jobs stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from reconciler.commands.printing import plain
from reconciler.commands.reporting import counted, several

Json = Mapping[str, Any]
PARTS = {"users": "reading users", "groups": "reading groups", "apply": "sending", "members": "group members"}
PROBLEMS_SHOWN = 3
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def duration(seconds: float) -> str:
    """Return a length of time in its one or two largest units: 3 d 4 h, 12 min, 5 s."""
    whole = max(0, round(seconds))
    for position, (size, unit) in enumerate(_UNITS):
        if whole >= size:
            text = f"{whole // size} {unit}"
            rest = whole % size
            if position < len(_UNITS) - 1 and rest >= _UNITS[position + 1][0]:
                smaller, smaller_unit = _UNITS[position + 1]
                text += f" {rest // smaller} {smaller_unit}"
            return text
    return f"{whole} s"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def age(then: str, now: str) -> str:
    return duration((moment(now) - moment(then)).total_seconds())


def ago(then: str, now: str) -> str:
    return f"{age(then, now)} ago"


def status_lines(status: Json, now: str) -> Iterator[str]:
    """Yield what `status` prints. `now` is the time that ages count to."""
    daemon = status["daemon"]
    if daemon is not None:
        since = age(daemon["started"], now)
        ending = "; it is ending" if daemon["stopping"] else ""
        yield f"reconciler {daemon['version']}, process {daemon['pid']}, up for {since}, {daemon['config']}{ending}"
        if refused := daemon.get("config_refused"):  # a daemon of an older version does not say it
            yield "  the last reload refused the configuration; the one before is in force"
            yield from (f"    {plain(problem)}" for problem in refused)
    for position, job in enumerate(status["jobs"]):
        if daemon is not None or position:
            yield ""
        yield f"{job['job']}: {_headline(job, now)}"
        yield from (f"  {plain(line)}" for line in _details(job, now))
    if not status["jobs"]:
        yield "no jobs"


def _headline(job: Json, now: str) -> str:
    run = job["running"]
    if run is not None:
        began = age(run["began"], now)
        asked = f", asked for by {run['asked_by']}" if run["asked_by"] else ""
        return f"{'stopping' if run['stopping'] else 'running'} for {began}{', full' if run['full'] else ''}{asked}"
    if job["state"] == "waiting" and job["next_due"] is not None:
        return f"next cycle {_until(job['next_due'], now)}"
    text: str = job["state"]
    return f"{text}, next cycle {_until(job['next_due'], now)}" if job["next_due"] is not None else text


def _until(then: str, now: str) -> str:
    seconds = (moment(then) - moment(now)).total_seconds()
    return f"in {duration(seconds)}" if seconds > 0 else "now"


def _details(job: Json, now: str) -> Iterator[str]:
    run = job["running"]
    if run is not None:
        for step in run["steps"]:
            yield step_line(step)
        if run["counts"]:
            yield f"so far: {counted(run['counts'])}"
    yield _last(job, now)
    yield from _problems(job)
    if job["only"]:
        yield f"restricted to {', '.join(job['only'])} (only = […]): nobody else is touched"
    if (paused := job["paused"]) is not None:
        why = f": {paused['reason']}" if paused["reason"] else ""
        yield f"paused {ago(paused['since'], now)} by {paused['by']}{why}"
    if job["stopped"] is not None:
        yield f"stopped {ago(job['stopped'], now)}, after long in quarantine; `reconciler restart {job['job']}`"
    if job["quarantine"] is not None:
        yield from _quarantine(job["quarantine"], now)
    yield from _triggers(job["triggers"], now)
    for hold in job["holds"]:
        count = several(hold["count"], "operation")
        yield f"held: {count} for {age(hold['since'], now)} (hold {hold['hold']}): {hold['why']}"
    if job["should_be_off"]["count"]:
        since = ago(job["should_be_off"]["since"], now)
        yield f"should be off and is not: {job['should_be_off']['count']}, first {since} (reconciler overdue)"
    if job["kept"]["count"]:
        causes = ", ".join(f"{cause} {count}" for cause, count in job["kept"]["because"].items())
        yield f"accounts of leavers that are kept: {job['kept']['count']} ({causes})"
    if job["deletes_withheld"]:
        yield "nobody is deleted, delete_after or not: the job does not repeat confirm_delete"
    if job["escrow"]["count"]:
        yield f"waiting after a failure: {job['escrow']['count']}, the oldest failed {ago(job['escrow']['since'], now)}"
    if job["pending_references"]:
        yield f"references that wait for an account: {job['pending_references']}"
    mails = job["mails"]
    if mails["given_up"] or mails["problem"]:
        yield f"mails: {mails['given_up']} could not be sent, {mails['waiting']} wait: {mails['problem']}"


def _last(job: Json, now: str) -> str:
    last, run = job["last_cycle"], job["last_run"]
    if run is not None and run["report"] is None:
        return f"last cycle: none was completed {ago(run['ended'], now)}: {run['problem']}"
    if _not_begun(job) is not None:
        return f"last cycle: not begun, {ago(run['ended'], now)}"
    if last is None:
        return "last cycle: none yet"
    done = counted({word: n for word, n in last["counts"].items() if word != "skip"})
    took = f"{last['kind']}, {last['duration_seconds']:.1f} s"
    return f"last cycle: {last['state']}, {ago(last['ended_at'], now)}, {took}: {done}"


def _not_begun(job: Json) -> Json | None:
    """Return the report of the daemon's last attempt where no cycle came of it: the connection test failed."""
    run = job["last_run"]
    report: Json | None = run["report"] if run is not None else None
    return report if report is not None and not report["cycle_id"] else None


def _problems(job: Json) -> Iterator[str]:
    """Yield what stood against the last cycle, but for what is told of the job itself: its holds, its quarantine."""
    last = _not_begun(job) or job["last_cycle"]
    if last is None or job["quarantine"] is not None:
        return
    told = [hold["why"] for hold in job["holds"]]
    problems = [one for one in last["problems"] if not any(why in one for why in told)]
    yield from (f"  {problem}" for problem in problems[:PROBLEMS_SHOWN])
    if len(problems) > PROBLEMS_SHOWN:
        yield f"  and {len(problems) - PROBLEMS_SHOWN} more (--json shows them)"


def _triggers(triggers: Json, now: str) -> Iterator[str]:
    if not triggers["announced"]:
        return
    if triggers["heard_since"] is not None:
        said = triggers["last_announced"]
        last = f"last change {ago(said, now)}" if said is not None else "no change yet"
        yield f"the source is listened to, for {age(triggers['heard_since'], now)}; {last}"
    elif triggers["problem"]:
        again = f"; tried again {_until(triggers['next_try'], now)}" if triggers["next_try"] is not None else ""
        yield f"the source is not heard, so the job runs at its interval only: {triggers['problem']}{again}"


def _quarantine(quarantine: Json, now: str) -> Iterator[str]:
    since = age(quarantine["series_began"], now)
    code = f" ({quarantine['error_code']})" if quarantine["error_code"] else ""
    yield f"in quarantine for {since}{code}: {quarantine['rule']}"
    if quarantine["arithmetic"]:
        yield f"  {quarantine['arithmetic']}"
    if quarantine["request"]:
        yield f"  first: {quarantine['request']} → {quarantine['answer']}"
    tried = several(quarantine["series_count"], "time")
    yield f"  tried {tried} since; next attempt {_until(quarantine['next_attempt'], now)}"


def step_line(step: Json) -> str:
    """Return how far a part of a cycle is, with rate and time left where they are known."""
    text = f"{PARTS.get(step['part'], step['part'])}: {step['done']:,}"
    if step["total"] is not None:
        text += f" of {'about ' if step['about'] else ''}{step['total']:,}"
    if step["per_second"] is not None:
        text += f", {step['per_second']:,.0f}/s" if step["per_second"] >= 10 else f", {step['per_second']:.1f}/s"
    if step["seconds_left"] is not None:
        text += f", {duration(step['seconds_left'])} left"
    return text


def event_line(event: Json) -> str:
    """Return an event as a line for a person."""
    name, job = event["event"], event["job"]
    match name:
        case "cycle.progress":
            text = step_line(event)
        case "cycle.ended":
            report = event["report"]
            text = f"cycle ended: {report['state']}: {counted(report['counts'])}" if report else event["problem"]
        case "events.dropped":
            text = f"{event['count']} events were dropped: this was read too slowly"
        case _:
            known = {"number", "at", "event", "job"}
            facts = ", ".join(_fact(key, value) for key, value in event.items() if key not in known and value)
            text = name.replace(".", " ").replace("_", " ") + (f": {facts}" if facts else "")
    return plain(f"{event['at'][11:19]} {job or 'daemon'}: {text}")


def _fact(name: str, value: Any) -> str:
    if value is True:
        return name
    return f"{name} {'; '.join(map(str, value)) if isinstance(value, list) else value}"
