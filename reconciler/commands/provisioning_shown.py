"""Shows on a terminal what provisioning on demand came to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson

from reconciler.commands.printing import plain

WHOLE_MAX = 3
"""Of so many entries every step is shown; of more only one line each, and the steps of those that went wrong."""
_MARKS = {"success": ("✓", "green"), "warning": ("!", "yellow"), "skipped": ("–", "blue"), "failure": ("✗", "red")}
_TRUTHS = {True: "success", False: "failure", None: "warning"}
_WIDTH = 22
_SHOWN_MAX = 100

Json = Mapping[str, Any]


def show(answer: Json) -> None:
    """Print each entry with its steps, then a line for all of them; problems go to stderr."""
    results = answer["results"]
    for result in results:
        whole = len(results) <= WHOLE_MAX or result["result"] in ("Failure", "Warning")
        for line in _entry(result, whole=whole):
            click.echo(line)
    click.echo(_sum(answer))
    for problem in answer["problems"]:
        click.echo(f"  {plain(problem)}", err=True)


def _entry(result: Json, *, whole: bool) -> Iterator[str]:
    status = {"Success": "success", "Warning": "warning", "Skipped": "skipped"}.get(result["result"], "failure")
    source_id = plain(result["id"])
    name = plain(result["name"]) if result["name"] not in ("", result["id"]) else ""
    who = click.style(name or source_id, bold=True) + (f" ({result['kind']} {source_id})" if name else "")
    if not whole:
        yield f"{_mark(status)} {who}: {plain(result['steps'][-1]['description'])}"
        return
    yield f"{who}: {click.style(result['result'], fg=_MARKS[status][1])}"
    for step in result["steps"]:
        yield f"  {step['number']} {_mark(step['status'])} {step['name']:<{_WIDTH}} {plain(step['description'])}"
        yield from _values(step)
    yield ""


def _values(step: Json) -> Iterator[str]:
    details = step["details"]
    for one in details.get("lines", ()) if step["status"] == "failure" else ():
        yield _line(_mark("success" if one["ok"] else "failure"), one["step"], one["text"])
    for name, value in details.get("attributes", {}).items():
        yield _line(" ", name, _shown(value))
    for check in details.get("checks", ()):
        yield _line(_mark(_TRUTHS[check["result"]]), check["name"], check["why"])
    for one in details.get("asked", ()):
        found = ", ".join(account["id"] for account in one["found"]) or one.get("failed") or "nobody"
        yield _line(" ", f"{one['attribute']} = {_shown(one['value'])}", found)
    for one in details.get("modified", ()):
        yield _line(" ", one["path"], f"{_shown(one['old'])} → {_shown(one['new'])}")
    for answer in details.get("answers", ()):
        account = f" {answer['target_id']}" if answer["target_id"] else ""
        yield _line(_mark(answer["status"]), answer["operation"], f"{answer['status']}{account}")
    if details.get("safeguard"):
        yield _line(" ", "safeguard", details["safeguard"])


def _line(mark: str, name: str, text: str) -> str:
    return f"      {mark} {plain(name):<{_WIDTH}} {plain(text)}"


def _mark(status: str) -> str:
    sign, colour = _MARKS[status]
    return click.style(sign, fg=colour)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def _sum(answer: Json) -> str:
    counts: dict[str, int] = {}
    for result in answer["results"]:
        counts[result["result"].lower()] = counts.get(result["result"].lower(), 0) + 1
    what = ", ".join(f"{n} {word}" for word, n in counts.items()) or "nobody"
    how = "dry run, nothing was changed" if answer["dry_run"] else f"state {answer['state']}"
    beside = ", beside a running cycle" if answer["beside_cycle"] else ""
    return f"{answer['job']}: {what} in {answer['duration_seconds']:.1f} s; {how}{beside}"
