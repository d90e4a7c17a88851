"""What is special about one vendor, as data: one TOML each, and the way to one by name or path."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from reconciler.errors import ConfigError, Problem


def names() -> tuple[str, ...]:
    """Return the names of the profiles that are shipped."""
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in _shipped().iterdir() if file.name.endswith(".toml"))
    )


def is_path(reference: str) -> bool:
    """Whether a reference to a profile means a file of the user's."""
    return "/" in reference or reference.endswith(".toml")


def tables(reference: str, directory: Path) -> dict[str, Any]:
    """Return a profile's tables, those that it extends merged in; not judged yet.

    `reference` is a shipped profile's name, or a path relative to `directory`. Raises ConfigError.
    """
    return _extended(reference, directory, ())


def source_names() -> tuple[str, ...]:
    """Return the names of the descriptions of sources that are shipped."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in (_shipped() / "sources").iterdir()))


def source_tables(reference: str | Path) -> dict[str, Any]:
    """Return the tables of a description of a source: a shipped one by name, or a file; not judged yet.

    A file may extend a shipped one. Raises ConfigError.
    """
    if isinstance(reference, Path):
        own = _parsed(str(reference), str(reference))
        extends = own.pop("extends", None)
        if extends is None:
            return own
        if extends not in source_names():
            known = ", ".join(source_names())
            raise ConfigError(Problem(f"{reference}: extends", "is no shipped description", f"known: {known}"))
        return _merged(source_tables(str(extends)), own)
    return tomllib.loads((_shipped() / "sources" / f"{reference}.toml").read_text("utf-8"))


def _shipped() -> resources.abc.Traversable:
    return resources.files(__name__)


def _extended(reference: str, directory: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    place = str(directory / reference) if is_path(reference) else reference
    if place in seen:
        raise ConfigError(Problem(seen[0], "extends itself", "a profile extends another one"))
    own = _parsed(place, reference)
    extends = own.pop("extends", None)
    if extends is None:
        return own
    if not isinstance(extends, str):
        raise ConfigError(Problem(f"{reference}: extends", "must be a string", "the name of a profile, or a path"))
    return _merged(_extended(extends, Path(place).parent if is_path(reference) else directory, (*seen, place)), own)


def _parsed(place: str, reference: str) -> dict[str, Any]:
    try:
        if is_path(reference):
            return tomllib.loads(Path(place).read_text("utf-8-sig"))
        if reference not in names():
            raise ConfigError(Problem(reference, "unknown profile", f"known: {', '.join(names())}"))
        return tomllib.loads((_shipped() / f"{reference}.toml").read_text("utf-8"))
    except OSError as error:
        raise ConfigError(Problem(place, f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(place, "is not UTF-8 text")) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(Problem(place, f"is no valid TOML: {error}")) from None


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, everything else is replaced; attribute definitions are replaced one by one."""
    merged = dict(base)
    for key, value in own.items():
        held = merged.get(key)
        merged[key] = _merged(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return merged
