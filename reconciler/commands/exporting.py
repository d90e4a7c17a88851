"""Writes the provisioning log into files: three tables as CSV, or JSON lines in Graph's shape."""

from __future__ import annotations

import csv
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from reconciler.core.summary import provisioning_summary
from reconciler.errors import ReconcilerError

LOGS, STEPS, MODIFIED = (
    "ProvisioningLogs.csv",
    "ProvisioningLogs_ProvisioningSteps.csv",
    "ProvisioningLogs_ModifiedProperties.csv",
)
"""The files of a CSV export, joined by changeId (docs/provisioning-log.md)."""
_SPREADSHEETS_RUN = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula."""

_LOG_COLUMNS = (
    *("changeId", "id", "cycleId", "jobId", "tenantId", "activityDateTime"),
    *("provisioningAction", "operation", "status", "errorCode", "errorCategory", "reason", "recommendedAction"),
    *("durationInMilliseconds", "initiatedBy", "servicePrincipal"),
    *("sourceIdentityId", "sourceIdentityName", "targetIdentityId", "identityType", "sourceSystem", "targetSystem"),
)
_STEP_COLUMNS = ("changeId", "step", "name", "provisioningStepType", "status", "description", "details")
_MODIFIED_COLUMNS = ("changeId", "displayName", "oldValue", "newValue")

Rows = AsyncIterator[dict[str, Any]]


async def export_csv(rows: Rows, directory: Path) -> int:
    """Write the three files into a directory, which is made where it is missing; return how many records they hold.

    A file that is there is replaced, at the end and whole. Raises ReconcilerError where they cannot be written.
    """
    count = 0
    with _writing(directory, (LOGS, STEPS, MODIFIED)) as files:
        logs, steps, modified = (csv.writer(file) for file in files)
        for writer, heading in ((logs, _LOG_COLUMNS), (steps, _STEP_COLUMNS), (modified, _MODIFIED_COLUMNS)):
            writer.writerow(heading)
        async for row in rows:
            told = provisioning_summary(row)
            logs.writerow(_cells(_log_row(told)))
            steps.writerows(_cells(each) for each in _step_rows(told))
            modified.writerows(_cells(each) for each in _modified_rows(told))
            count += 1
    return count


async def export_lines(rows: Rows, path: Path) -> int:
    """Write one JSON object a line, as `log --json` prints them; return how many."""
    count = 0
    with _writing(path.parent, (path.name,)) as (file,):
        async for row in rows:
            file.write(orjson.dumps(provisioning_summary(row)).decode() + "\n")
            count += 1
    return count


def harmless(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet runs: with an apostrophe before what looks like a formula."""
    text = value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(_SPREADSHEETS_RUN) else text


def _cells(values: Sequence[Any]) -> list[Any]:
    return [harmless(value) for value in values]


def _log_row(told: dict[str, Any]) -> Sequence[Any]:
    status, source, target = told["provisioningStatusInfo"], told["sourceIdentity"], told["targetIdentity"]
    error = status["errorInformation"] or {}
    return (
        *(told[name] for name in _LOG_COLUMNS[:8]),
        status["status"],
        *(error.get(name) for name in ("errorCode", "errorCategory")),
        *(told["statusReason"], error.get("recommendedAction"), told["durationInMilliseconds"]),
        *(told["initiatedBy"]["displayName"], told["servicePrincipal"]["displayName"]),
        *(source["id"], source["displayName"], target["id"], source["identityType"]),
        *(told["sourceSystem"]["displayName"], told["targetSystem"]["displayName"]),
    )


def _step_rows(told: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for number, step in enumerate(told["provisioningSteps"], 1):
        yield told["changeId"], number, *(step[name] for name in _STEP_COLUMNS[2:6]), step["details"] or None


def _modified_rows(told: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for one in told["modifiedProperties"]:
        yield told["changeId"], one["displayName"], one["oldValue"], one["newValue"]


@contextmanager
def _writing(directory: Path, names: Sequence[str]) -> Iterator[list[IO[str]]]:
    """Open files beside those of these names, which they replace at the end. They are for their owner only."""
    unfinished = [directory / f"{name}.unfinished" for name in names]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.callback(_drop, unfinished)
            with ExitStack() as opened:
                yield [opened.enter_context(_new(path)) for path in unfinished]
            for path, name in zip(unfinished, names, strict=True):
                path.replace(directory / name)
    except OSError as error:
        raise ReconcilerError(f"{error.filename or directory}: cannot be written: {error.strerror}") from None


def _new(path: Path) -> IO[str]:
    return open(path, "w", encoding="utf-8", newline="", opener=_owned)


def _drop(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _owned(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
