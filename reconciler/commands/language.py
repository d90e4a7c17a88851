"""Evaluates mapping expressions for a person, or line by line for a program."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson

from reconciler.commands.options import existing, named_config
from reconciler.core.model import PSEUDO_ATTRIBUTES, ObjectRules
from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, Expression, Ignored, LookupTable, Redacted, Step, compile_expression, trace
from reconciler.language.moments import parse_moment

Answer = dict[str, Any]
"""{"result"}, {"result", "logged"}, {"flow"}, {"object"} or {"error"}; and "trace" where it was asked for."""


@click.command()
@click.argument("expression", required=False)
@click.option(
    "--attributes",
    type=click.File("rb"),
    help="A JSON object: the attributes of one entry (with -: where a line has none of its own).",
)
@click.option("--job", "job_name", help="The job whose tables and domain count; without EXPRESSION: all its mappings.")
@click.option("--user", help="With --job: somebody of its source, by source id, instead of --attributes.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration, for --job.")
@click.option("--now", help="The time that Now() gives, such as 2025-08-01T12:00:00Z.")
@click.option("--taken", multiple=True, help="A value that exists in the target, for SelectUniqueValue. Repeatable.")
@click.option("--default-domain", help="What DefaultDomain() gives.")
@click.option("--group", "groups", multiple=True, help="A group that the user is in, for MemberOf. Repeatable.")
@click.option("--excel", is_flag=True, help="EXPRESSION is an Excel formula; one that begins with = always is.")
@click.option("--trace", "traced", is_flag=True, help="Show the value of every part that was evaluated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def evaluate(
    ctx: click.Context,
    expression: str | None,
    attributes: BinaryIO | None,
    job_name: str | None,
    user: str | None,
    path: Path | None,
    now: str | None,
    taken: tuple[str, ...],
    default_domain: str | None,
    groups: tuple[str, ...],
    excel: bool,
    traced: bool,
    as_json: bool,
) -> None:
    """Evaluate a mapping EXPRESSION on one entry.

    With - as EXPRESSION, read JSON lines {"expression", "attributes"[, "now", "taken", "default_domain", "groups",
    "tables", "excel"]} and print one JSON object for each. With --job and without EXPRESSION, evaluate every mapping of
    the job's users.
    """
    if job_name is None and (expression is None or user is not None):
        raise click.UsageError("Missing argument 'EXPRESSION'." if expression is None else "--user goes with --job")
    world: dict[str, Any] = {"attributes": _read_attributes(attributes), "taken": list(taken), "groups": list(groups)}
    world["excel"] = excel
    world |= {name: value for name, value in (("now", now), ("default_domain", default_domain)) if value is not None}
    if job_name is not None:
        rules = _with_job(named_config(ctx, path), job_name, user, world)
        if expression is None:
            _evaluate_all(rules, world, job_name, user, traced=traced, as_json=as_json)
            return
    assert expression is not None  # one of the two, as said above
    if expression == "-":
        for line in click.open_file("-", "rb"):
            _print_json(_answer_line(line, world, traced=traced))
        return
    try:
        context = _context(world)
    except _BadLine as bad:
        raise click.UsageError(str(bad)) from None
    expression = _written(expression, excel=excel)
    try:
        answer = _answer(expression, context, traced=traced)
    except ExpressionSyntaxError as error:
        _print_syntax_error(expression, error, as_json=as_json)
        raise SystemExit(2) from None
    _say_what_is_open([expression], world, job_name, user)
    if as_json:
        _print_json(answer)
    else:
        _print_for_people(answer)
    if "error" in answer:
        raise SystemExit(1)


def _with_job(path: Path, job_name: str, user: str | None, world: dict[str, Any]) -> ObjectRules:
    """Put into the world what a job knows; return its rules."""
    from reconciler.commands import evaluating

    config, job = evaluating.job_of(existing(path), job_name)
    rules = evaluating.rules_of(job)
    world["lookups"] = dict(rules.tables)
    if rules.default_domain is not None:
        world.setdefault("default_domain", rules.default_domain)
    if user is not None:
        world["attributes"] = {**evaluating.person(config, job, user), **world["attributes"]}
    return rules


def _evaluate_all(
    rules: ObjectRules, world: Mapping[str, Any], job_name: str, user: str | None, *, traced: bool, as_json: bool
) -> None:
    from reconciler.commands import evaluating

    try:
        context = _context(world)
    except _BadLine as bad:
        raise click.UsageError(str(bad)) from None
    answers = []
    for path, expression, constant in evaluating.mappings(rules):
        answer = {"result": constant} if expression is None else _answer(expression, context, traced=traced)
        answers.append({"to": path, **({} if expression is None else {"expression": expression}), **answer})
    written = [answer["expression"] for answer in answers if "expression" in answer]
    _say_what_is_open(written, world, job_name, user)
    if as_json:
        _print_json({"mappings": answers})
    else:
        width = max(len(answer["to"]) for answer in answers)
        for answer in answers:
            _print_trace(answer)
            shown = f"error: {answer['error']}" if "error" in answer else _readable({"value": None, **_valued(answer)})
            click.echo(f"{answer['to']:<{width}}  {shown}")
    if any("error" in answer for answer in answers):
        raise SystemExit(1)


def _say_what_is_open(
    expressions: Iterable[str], world: Mapping[str, Any], job_name: str | None, user: str | None
) -> None:
    """Say on stderr what a cycle would know of somebody of the source, and this does not: scope, roles, groups."""
    if user is None:
        return
    compiled = [_compiled(text) for text in expressions]
    read = frozenset[str]().union(*(one.reads for one in compiled))
    unknown = [f"{name} counts as null" for name in sorted((read & PSEUDO_ATTRIBUTES) - world["attributes"].keys())]
    if not world["groups"] and any(one.groups for one in compiled):
        unknown.append("MemberOf as false")
    if unknown:
        told = f"scope, roles and groups are not judged here: {', '.join(unknown)}"
        command = f"reconciler provision {job_name} {shlex.quote(user)} --dry-run"
        click.echo(f"note: {told}; `{command}` judges them", err=True)


def _valued(answer: Answer) -> Answer:
    return {"value": answer["result"], **answer} if "result" in answer else answer


class _BadLine(Exception):
    """A line, or what stands for one on the command line, that cannot be evaluated; the text says why."""


def _read_attributes(file: BinaryIO | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = orjson.loads(file.read())
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"--attributes {file.name}: line {error.lineno} is not JSON: {error.msg}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f'--attributes {file.name}: must be one JSON object {{"name": value, …}}')
    return found


def _answer_line(line: bytes, world: Mapping[str, Any], *, traced: bool) -> Answer:
    try:
        try:
            asked = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise _BadLine(f"this line is not JSON: {error.msg}") from None
        if not isinstance(asked, dict) or not isinstance(asked.get("expression"), str):
            raise _BadLine('this line is no JSON object with an "expression" that is a text')
        given = {**world, **{name: value for name, value in asked.items() if value is not None}}
        expression = _written(asked["expression"], excel=given["excel"] is True)
        return _answer(expression, _context(given), traced=traced)
    except (_BadLine, ExpressionSyntaxError) as bad:
        return {"error": str(bad)}


def _written(expression: str, *, excel: bool) -> str:
    """Return the expression, with the = that makes it a formula where one was asked for."""
    return f"={expression}" if excel and not expression.lstrip().startswith("=") else expression


def _context(asked: Mapping[str, Any]) -> Context:
    from reconciler.runtime.clock import SystemClock, SystemDice

    attributes, taken, domain = asked["attributes"], asked["taken"], asked.get("default_domain")
    if not isinstance(attributes, dict):
        raise _BadLine('"attributes" must be an object')
    if not isinstance(taken, list) or not all(isinstance(value, str) for value in taken):
        raise _BadLine('"taken" must be a list of texts')
    if domain is not None and not isinstance(domain, str):
        raise _BadLine('"default_domain" must be a text')
    groups = asked["groups"]
    if not isinstance(groups, list) or not all(isinstance(value, str) for value in groups):
        raise _BadLine('"groups" must be a list of texts')
    now = _moment(asked["now"]) if "now" in asked else datetime.fromtimestamp(SystemClock().now(), UTC)
    # directories tell names apart without regard to case
    known = {value.casefold() for value in taken}
    return Context(
        attributes,
        now,
        lambda value: value.casefold() in known,
        domain,
        SystemDice(),
        {**asked.get("lookups", {}), **_tables(asked.get("tables", {}))},
        lambda group, _: group in groups,
    )


def _tables(written: object) -> dict[str, LookupTable]:
    """Return tables that are written {"name": {"key": "value"}}."""
    if not isinstance(written, dict) or not all(isinstance(rows, dict) for rows in written.values()):
        raise _BadLine('"tables" must be an object of objects: {"name": {"key": "value"}}')
    return {
        name: LookupTable(("key", "value"), {key: (key, str(value)) for key, value in rows.items()})
        for name, rows in written.items()
    }


def _moment(written: object) -> datetime:
    try:
        if isinstance(written, str):
            return parse_moment(written)
        if isinstance(written, int | float) and not isinstance(written, bool):
            return datetime.fromtimestamp(written, UTC)
    except (EvaluationError, ValueError, OverflowError, OSError):
        pass
    raise _BadLine("now must be a date such as 2025-08-01T12:00:00Z, or seconds since 1970")


_compiled = lru_cache(maxsize=1024)(compile_expression)


def _answer(text: str, context: Context, *, traced: bool) -> Answer:
    if traced:
        steps = trace(text, context)
        answer = _shown(steps[0].value) if steps[0].error is None else {"error": steps[0].error}
        return {**answer, "trace": list(_steps(steps))}
    expression: Expression = _compiled(text)
    try:
        return _shown(expression.evaluate(context))
    except EvaluationError as error:
        return {"error": str(error)}


def _shown(value: Any) -> Answer:
    match value:
        case Redacted():
            return {"result": value.value, "logged": value.logged}
        case Ignored():
            return {value.value: "ignored"}
        case _:
            return {"result": value}


def _steps(steps: tuple[Step, ...]) -> Iterator[Answer]:
    for step in steps:
        place = {"depth": step.depth, "expression": step.expression}
        match step.value:
            case _ if step.error is not None:
                yield {**place, "error": step.error}
            case Redacted() as redacted:
                yield {**place, "value": redacted.logged}
            case Ignored() as ignored:
                yield {**place, ignored.value: "ignored"}
            case value:
                yield {**place, "value": value}


def _print_json(answer: Answer) -> None:
    click.echo(_json(answer))


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # numbers past 64 bits, halves of surrogate pairs
        return json.dumps(value).encode("ascii")


def _print_for_people(answer: Answer) -> None:
    _print_trace(answer)
    if "error" in answer:
        click.echo(f"error: {answer['error']}", err=True)
        return
    result = answer.get("result")
    click.echo(result if isinstance(result, str) else _readable({"value": result, **answer}))
    if "logged" in answer:
        click.echo(f"(in the log: {answer['logged']})", err=True)


def _print_trace(answer: Answer) -> None:
    for step in answer.get("trace", ()):
        shown = f"error: {step['error']}" if "error" in step else _readable(step)
        click.echo(f"{'  ' * step['depth']}{' '.join(step['expression'].split())} → {shown}", err=True)


def _readable(step: Mapping[str, Any]) -> str:
    if "flow" in step:
        return "(the attribute does not flow)"
    if "object" in step:
        return "(the entry is not created)"
    value = step["value"]
    return str(value) if isinstance(value, bool) else _json(value).decode("utf-8")


def _print_syntax_error(text: str, error: ExpressionSyntaxError, *, as_json: bool) -> None:
    if as_json:
        _print_json({"error": str(error)})
        return
    click.echo(f"error: {error}\n{error.excerpt(text)}", err=True)
