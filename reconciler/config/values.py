"""The kinds of single values that a configuration holds, each checked in its place."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.core.leave_dates import zone_named
from reconciler.core.paths import PathError, canonical
from reconciler.errors import ExpressionSyntaxError
from reconciler.language import compile_expression
from reconciler.secrets import looks_like_a_secret

EXPRESSION_LENGTH_MAX = 10_000


class Table(BaseModel):
    """A table of the TOML: a key that it does not know is a problem, and no message shows what was written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def refusal(problem: str, hint: str = "", excerpt: str = "") -> PydanticCustomError:
    """Return the error that a validator raises; `problem` and `hint` never hold what was written.

    `excerpt` does: it is for expressions alone, which are no place for secrets.
    """
    return PydanticCustomError("refused", "{problem}", {"problem": problem, "hint": hint, "excerpt": excerpt})


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as "40m" or "1.5h"; raises ValueError."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError("no duration")
    return float(found[1]) * _UNIT_SECONDS[found[2]]


def share(percentage: str) -> float:
    """Return "10%" as 0.1; raises ValueError."""
    found = _PERCENTAGE.fullmatch(percentage)
    if found is None or float(found[1]) > 100:
        raise ValueError("no percentage")
    return float(found[1]) / 100


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])")
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST_SECONDS = 36500 * 86400.0
"""Calendars end with the year 9999: a moment behind it could neither be waited for nor be shown."""
_TOO_LONG = "is longer than a hundred years"
_PERCENTAGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_WHO = re.compile(r"(?:(?:user|group):)?[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,254}\$?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _text(value: str) -> str:
    if not value.strip():
        raise refusal("must not be empty")
    if _CONTROL.search(value):
        raise refusal("must not have line breaks or control characters")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise refusal("is no usable name", "letters, digits, dots, dashes and underscores, at most 64")
    return value


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value):
        raise refusal("is no duration", 'write a number and one of s, m, h, d, w: "40m", "3d"')
    if seconds(value) > _LONGEST_SECONDS:
        raise refusal(_TOO_LONG, 'the longest is "36500d"')
    return value


def _duration_or_never(value: str) -> str:
    if value == "never":
        return value
    if not _DURATION.fullmatch(value):
        raise refusal("is no duration", 'write a number and one of s, m, h, d, w: "30d"; or "never"')
    if seconds(value) > _LONGEST_SECONDS:
        raise refusal(_TOO_LONG, 'the longest is "36500d"; or "never"')
    return value


def _period(value: str) -> str:
    if seconds(_duration(value)) <= 0:
        raise refusal("must be longer than nothing", 'for example "40m"')
    return value


def _timezone(value: str) -> str:
    if zone_named(value) is None:
        raise refusal("is no time zone", "a name of the IANA database, as Europe/Berlin")
    return value


def _share(value: str) -> str:
    try:
        share(value)
    except ValueError:
        raise refusal("is no percentage", 'write it as "10%", from "0%" to "100%"') from None
    return value


def _path(value: str) -> str:
    try:
        return canonical(value)
    except PathError as error:
        raise refusal(
            f"is no attribute path: {error}", 'for example name.givenName, emails[type eq "work"].value'
        ) from None


def _expression(value: str) -> str:
    if len(value) > EXPRESSION_LENGTH_MAX:
        raise refusal(f"is longer than {EXPRESSION_LENGTH_MAX:,} characters")
    try:
        compile_expression(value)
    except ExpressionSyntaxError as error:
        problem = f"{error.problem} at character {error.position + 1}"
        raise refusal(problem, error.hint, error.excerpt(value)) from None
    return value


def _mail_address(value: str) -> str:
    if not re.fullmatch(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+", value):
        raise refusal("is no mail address")
    return value


def _who(value: str) -> str:
    if not _WHO.fullmatch(value):
        raise refusal("names no user and no group", 'for example "ann", "1000" or "group:it"')
    return value


def _app_id(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise refusal("is no id of an application", "the object id or the application id, as Entra shows them")
    return value.lower()


def _scalar(value: Any) -> Any:
    if not isinstance(value, str | bool | int | float):
        raise refusal("must be a string, a number or a boolean")
    return value


def _scalar_or_list(value: Any) -> Any:
    held = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | bool | int | float) for item in held):
        raise refusal("must be a string, a number, a boolean or a list of these")
    return value


_SCALAR_SCHEMA = {"type": ["string", "number", "boolean"]}

Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[str, AfterValidator(_duration), Field(json_schema_extra={"examples": ["90s", "40m", "3d"]})]
Period = Annotated[str, AfterValidator(_period), Field(json_schema_extra={"examples": ["90s", "40m", "3d"]})]
DurationOrNever = Annotated[
    str, AfterValidator(_duration_or_never), Field(json_schema_extra={"examples": ["30d", "never"]})
]
Share = Annotated[str, AfterValidator(_share), Field(json_schema_extra={"examples": ["10%"]})]
Timezone = Annotated[str, AfterValidator(_timezone), Field(json_schema_extra={"examples": ["Europe/Berlin"]})]
TargetPath = Annotated[str, AfterValidator(_path)]
MaxEntries = Annotated[
    int | None,
    Field(
        ge=1,
        description="The most entries of one list: a longer one is taken for one without an end. "
        "Default: ten times as many as the system says there are; a million where it does not say.",
    ),
]
Expression = Annotated[str, AfterValidator(_expression)]
AppId = Annotated[str, AfterValidator(_app_id)]
Who = Annotated[str, AfterValidator(_who), Field(json_schema_extra={"examples": ["group:it"]})]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Scalar = Annotated[Any, AfterValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
ScalarOrList = Annotated[
    Any,
    AfterValidator(_scalar_or_list),
    WithJsonSchema({"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": _SCALAR_SCHEMA}]}),
]


class SecretPlace(Table):
    """Where a secret is; exactly one of the three."""

    env: str | None = Field(default=None, description="The environment variable that holds it.")
    file: str | None = Field(default=None, description="The file that holds it; readable by its owner only.")
    credential: str | None = Field(default=None, description="The systemd credential that holds it (LoadCredential).")

    @property
    def kind(self) -> str:
        return next(kind for kind in ("env", "file", "credential") if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        return str(getattr(self, self.kind))


PLACES_HINT = 'write { env = "NAME" }, { file = "path" } or { credential = "name" }'


def _place_not_value(value: Any) -> Any:
    if isinstance(value, str):
        raise refusal("a secret must not stand in the configuration", PLACES_HINT)
    return value


def _one_place(place: SecretPlace) -> SecretPlace:
    if sum(held is not None for held in (place.env, place.file, place.credential)) != 1:
        raise refusal("must name exactly one of env, file, credential", PLACES_HINT)
    if looks_like_a_secret(place.name):
        raise refusal(f"{place.kind} must name the place of the secret, not hold the secret itself", PLACES_HINT)
    _text(place.name)
    if place.kind == "env" and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", place.name):
        raise refusal("env is no name of an environment variable", "letters, digits and underscores")
    if place.kind == "credential" and not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}", place.name):
        raise refusal("credential is no name of a systemd credential", "letters, digits, dots, dashes and underscores")
    return place


SecretField = Annotated[SecretPlace, BeforeValidator(_place_not_value), AfterValidator(_one_place)]
