"""Whatever is written, a configuration loads or is refused with its problems; nothing else happens."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import config
from reconciler.config.reading import Document
from reconciler.config.shape import shaped
from reconciler.config.tables import ConfigTable
from reconciler.errors import ConfigError
from tests.config.texts import JOB, SOUND

KEYS = sorted({key for table in config.json_schema()["$defs"].values() for key in table.get("properties", ())})
SECTIONS = ("state", "control", "mail", "sources", "targets", "roles", "jobs", "include", "x")
WORDS = (
    "file",
    "scim",
    "staff",
    "phone",
    "all",
    "10%",
    "3d",
    "EQUALS",
    "https://a.example",
    "userName",
    "Not([a])",
    "",
)

scalars = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=8), st.integers(-5, 2**63), st.booleans(), st.floats(allow_nan=True)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=5),
    ),
    max_leaves=20,
)
documents = st.dictionaries(
    st.sampled_from(SECTIONS),
    st.one_of(values, st.dictionaries(st.sampled_from(("staff", "phone", "agent", "bad name")), values, max_size=3)),
    max_size=6,
)


def written(value: Any) -> str:
    """Return a value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {written(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


def load(text: str) -> ConfigError | config.Config:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.toml")
        path.write_text(text, "utf-8", "surrogatepass")
        try:
            return config.load(path)
        except ConfigError as error:
            assert error.problems
            return error


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(documents)
def test_any_document_loads_or_is_refused(document: dict[str, Any]) -> None:
    load("\n".join(f"{key} = {written(value)}" for key, value in document.items()))


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused(text: str) -> None:
    load(text)


SOUND_TABLES: dict[str, Any] = {
    "sources": {"staff": {"type": "file", "users": "u.csv", "groups": "g.csv"}},
    "targets": {
        "phone": {"type": "scim", "url": "https://a.example", "auth": {"type": "bearer", "token": {"env": "TOKEN"}}}
    },
    "roles": {"agent": {"when": {"all": [{"attribute": "a", "operator": "EQUALS", "value": "b"}, {"member_of": "g"}]}}},
    "jobs": {
        "phone": {
            "source": "staff",
            "target": "phone",
            "roles": ["agent"],
            "assigned": [{"group": "g"}, {"user": "u", "role": "r"}],
            "deprovision": {"gone": "keep"},
            "users": {
                "attributes": [
                    {"to": "userName", "from": "a", "match": 1},
                    {"to": "title", "constant": "x"},
                    {"to": "active", "expression": "Not([IsSoftDeleted])"},
                ]
            },
        }
    },
}


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, held in inner for found in _places(held, (*place, key)))]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_one_thing_put_wrong_is_the_only_thing_named(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from([place for place in _places(SOUND_TABLES) if place]))
    document = copy.deepcopy(SOUND_TABLES)
    holder: Any = document
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = {"S3CRET": "S3CRET"}
    shape = shaped(ConfigTable, document)
    assert shape.table is not None
    found = [Document("config.toml", Path()).where(finding.place) for finding in shape.findings]
    assert all(finding.place[: len(place)] == place for finding in shape.findings), found
    assert not any("S3CRET" in finding.problem for finding in shape.findings)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, len(SOUND + JOB)))
def test_a_file_cut_short_loads_or_is_refused(length: int) -> None:
    load((SOUND + JOB)[:length])
