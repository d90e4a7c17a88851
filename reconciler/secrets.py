"""Secrets as places, never as values: read when they are needed, again on each call, never shown."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reconciler.errors import ConfigError, Problem

SECRET_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is: an environment variable, a file, or a credential that systemd hands over.

    Holds no value, so its repr, a log line or a traceback cannot show one.
    """

    kind: Literal["env", "file", "credential"]
    name: str
    """The variable, the absolute path, or the credential's name."""
    where: str
    """The place in the configuration that names it, for error texts."""

    def read(self, *, lines: bool = False) -> str:
        """Return the value without its line end, as it is now; raises ConfigError, which never holds the value.

        `lines`: the value may have several (a PEM file).
        """
        fault = self.exposed() or self.missing()
        if fault:
            raise ConfigError(fault)
        match self.kind:
            case "env":
                value = os.environ[self.name]
            case "file" | "credential":
                value = self._contents()
        value = value.rstrip("\r\n")
        if not value:
            raise ConfigError(Problem(self.where, f"{self} is empty"))
        if any(ord(one) < 32 or ord(one) == 127 for one in value if not (lines and one in "\r\n")):
            raise ConfigError(Problem(self.where, f"{self} has a line break or control character in it"))
        return value

    def exposed(self) -> Problem | None:
        """Return what is wrong when others may read the file; None where it is not there or is well kept."""
        if self.kind != "file":
            return None
        try:
            found = Path(self.name).stat()
        except OSError:
            return None
        if found.st_mode & 0o077 == 0 or (found.st_uid == 0 and _in_credentials_directory(Path(self.name))):
            return None
        mode = stat.S_IMODE(found.st_mode)
        return Problem(self.where, f"{self} can be read by others (mode {mode:04o})", f"chmod 600 {self.name}")

    def missing(self) -> Problem | None:
        """Return what is wrong when there is nothing to read at its place in this process."""
        match self.kind:
            case "env":
                if self.name in os.environ:
                    return None
                return Problem(self.where, f"{self} is not set", "set it where reconciler is started")
            case "file":
                return self._out_of_reach(Problem(self.where, f"{self} is not there, or is no file"))
            case "credential":
                if "CREDENTIALS_DIRECTORY" not in os.environ:
                    return Problem(
                        self.where,
                        f"{self} cannot be read: systemd handed over no credentials",
                        f"LoadCredential={self.name}:/path in the unit sets $CREDENTIALS_DIRECTORY",
                    )
                hint = f"add LoadCredential={self.name}:/path"
                return self._out_of_reach(Problem(self.where, f"{self} was not handed over", hint))

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return f"the environment variable {self.name}"
            case "file":
                return f"the file {self.name}"
            case "credential":
                return f"the credential {self.name}"

    def _path(self) -> Path:
        return Path(self.name) if self.kind == "file" else Path(os.environ["CREDENTIALS_DIRECTORY"], self.name)

    def _out_of_reach(self, absent: Problem) -> Problem | None:
        try:
            return None if self._path().is_file() else absent
        except OSError as error:  # a directory on the way may not be looked into
            return Problem(self.where, f"{self} cannot be read: {error.strerror}")

    def _contents(self) -> str:
        try:
            with self._path().open("rb") as file:
                held = file.read(SECRET_BYTES_MAX + 1)
        except OSError as error:
            raise ConfigError(Problem(self.where, f"{self} cannot be read: {error.strerror}")) from None
        if len(held) > SECRET_BYTES_MAX:
            raise ConfigError(Problem(self.where, f"{self} is longer than {SECRET_BYTES_MAX:,} bytes"))
        try:
            return held.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(Problem(self.where, f"{self} is not UTF-8 text")) from None


def looks_like_a_secret(name: str) -> bool:
    """Whether somebody seems to have written the secret itself where its place belongs."""
    if _KNOWN_TOKEN.match(name):
        return True
    if len(name) < 20 or not re.fullmatch(r"[A-Za-z0-9+=_-]+", name):
        return False
    has_digit = any(character.isdigit() for character in name)
    has_upper, has_lower = name != name.lower(), name != name.upper()
    return (has_digit and has_upper and has_lower) or bool(re.fullmatch(r"[0-9a-f]{32,}|[0-9A-F]{32,}", name))


_KNOWN_TOKEN = re.compile(
    r"gh[pousr]_|github_pat_|sk_live_|sk_test_|sk-|xox[abprs]-|eyJ[A-Za-z0-9_-]{8}|glpat-|AKIA[0-9A-Z]{12}"
)


def _in_credentials_directory(path: Path) -> bool:
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return directory is not None and path.resolve().is_relative_to(Path(directory).resolve())
