"""Looks at the places that a configuration names: secrets, files, addresses of this machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.values import SecretPlace
from reconciler.secrets import Secret


def secret_at(table: SecretPlace, place: Place, report: Report) -> Secret:
    """Return the secret's place. A file that others may read is a problem now; one that is not there, a doubt."""
    name, where = table.name, report.where(place)
    match table.kind:
        case "env":
            secret = Secret("env", name, where)
        case "file":
            secret = Secret("file", str(report.document.directory / name), where)
        case _:
            secret = Secret("credential", name, where)
    if exposed := secret.exposed():
        report.problem(place, exposed.problem, exposed.hint)
    elif missing := secret.missing():
        report.warning(place, missing.problem, missing.hint)
    return secret


def existing_file(name: str | None, place: Place, report: Report) -> Path | None:
    if name is None:
        return None
    path = report.document.directory / name
    look_for(path, place, report)
    return path


def look_for(path: Path, place: Place, report: Report) -> None:
    """Warn where a file that is needed later is not there, or not for us to see."""
    try:
        if not path.is_file():
            report.warning(place, "the file is not there")
    except OSError as error:
        report.warning(place, f"the file cannot be read: {error.strerror}")


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
