"""What goes wrong between reconciler and its peers: kinds of faults, how often, and for how long."""

from __future__ import annotations

import random  # noqa: TID251  # because these dice are thrown from a seed
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from reconciler.core.outcomes import Failed, Fault
from reconciler.ports import Request, Response
from tests.sim.rules import SOURCE_HOST, TARGET_HOST

Answer = Callable[[Response], Response | Failed]
_SCIM = {"content-type": "application/scim+json"}


@dataclass(frozen=True, slots=True)
class Happens:
    """What becomes of one request."""

    name: str = ""
    sent: bool = True
    """It reaches the peer."""
    done: bool = True
    """The peer does what is asked."""
    slow_seconds: float = 0.0
    answer: Answer | None = None
    """What is made of the peer's answer."""
    instead: Failed = field(default=Failed(Fault.UNREACHABLE, "nothing listens there"))
    """What comes where nothing was sent."""


FINE = Happens()


def _error(status: int, **headers: str) -> Answer:
    body = orjson.dumps(
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": "the weather"}
    )
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer: Response(status, {**_SCIM, **shown}, body)


def _lost(answer: Response) -> Failed:
    return Failed(Fault.INTERRUPTED, "the connection was closed before it had answered")


def _cut(answer: Response) -> Failed:
    return Failed(Fault.INTERRUPTED, "the answer was cut short or could not be unpacked")


def _broken(answer: Response) -> Response:
    return Response(answer.status, answer.headers, answer.body[: len(answer.body) // 2] or b"{")


def _page(answer: Response) -> Response:
    return Response(200, {"content-type": "text/html"}, b"<!DOCTYPE html><title>Sign in</title>")


def _inside_200(answer: Response) -> Response:
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "500", "detail": "later"}
    return Response(200, _SCIM, orjson.dumps(body))


ANYWHERE: dict[str, Callable[[random.Random], Happens]] = {
    "refused": lambda dice: Happens("refused", sent=False),
    "lost": lambda dice: Happens("lost", done=False, answer=_lost),
    "reply lost": lambda dice: Happens("reply lost", answer=_lost),
    "cut": lambda dice: Happens("cut", answer=_cut),
    "slow": lambda dice: Happens("slow", slow_seconds=dice.uniform(1.0, 30.0)),
    "broken json": lambda dice: Happens("broken json", answer=_broken),
    "web page": lambda dice: Happens("web page", done=False, answer=_page),
    "error in 200": lambda dice: Happens("error in 200", done=False, answer=_inside_200),
    "401": lambda dice: Happens("401", done=False, answer=_error(401)),
    "429": lambda dice: Happens("429", done=False, answer=_error(429)),
    "429 later": lambda dice: Happens(
        "429 later", done=False, answer=_error(429, retry_after=str(dice.choice([1, 7, 90, 900])))
    ),
    "500": lambda dice: Happens("500", done=False, answer=_error(500)),
    "500 after": lambda dice: Happens("500 after", answer=_error(500)),
    "502 page": lambda dice: Happens(
        "502 page", done=False, answer=lambda a: Response(502, {}, b"<h1>Bad Gateway</h1>")
    ),
    "503 later": lambda dice: Happens("503 later", done=False, answer=_error(503, retry_after="20")),
}
AT_THE_APP: dict[str, Callable[[random.Random], Happens]] = {
    "404 on a filter": lambda dice: Happens("404 on a filter", done=False, answer=_error(404)),
    "409": lambda dice: Happens("409", done=False, answer=_error(409)),
    "412": lambda dice: Happens("412", done=False, answer=_error(412)),
    "400": lambda dice: Happens("400", done=False, answer=_error(400)),
    "nothing changed": lambda dice: Happens("nothing changed", done=False, answer=lambda a: Response(204, {}, b"")),
}
_ONLY_FOR: dict[str, Callable[[Request], bool]] = {
    "404 on a filter": lambda request: request.method == "GET" and "filter=" in request.url,
    "409": lambda request: request.method in ("POST", "PATCH") and not request.url.endswith("/$batch"),
    "412": lambda request: request.method in ("PATCH", "DELETE"),
    "400": lambda request: request.method in ("POST", "PATCH") and not request.url.endswith("/$batch"),
    "nothing changed": lambda request: request.method == "PATCH" and "/users/" in request.url.lower(),
}


@dataclass(frozen=True, slots=True)
class Spell:
    """For a while everything at one host, or everything about one object there, goes wrong in one way."""

    host: str
    begins: float
    ends: float
    happens: Happens
    about: str = ""
    """A part of the path."""


@dataclass(slots=True)
class Weather:
    """The faults of a seed. After `clears_at` there are none."""

    dice: random.Random
    shares: dict[str, float]
    """Kind of fault → of how many requests it befalls one."""
    clears_at: float
    spells: list[Spell] = field(default_factory=list)
    befell: dict[str, int] = field(default_factory=dict)

    def over(self, host: str, request: Request, now: float) -> Happens:
        """Return what becomes of a request."""
        happens = self._over(host, request, now)
        if happens.name:
            self.befell[happens.name] = self.befell.get(happens.name, 0) + 1
        return happens

    def _over(self, host: str, request: Request, now: float) -> Happens:
        if now >= self.clears_at:
            return FINE
        for spell in self.spells:
            if spell.host == host and spell.begins <= now < spell.ends and spell.about in urlsplit(request.url).path:
                return spell.happens
        thrown = self.dice.random()
        for name, share in self.shares.items():
            if thrown < share:
                if name in _ONLY_FOR and (host != TARGET_HOST or not _ONLY_FOR[name](request)):
                    return FINE
                return (ANYWHERE.get(name) or AT_THE_APP[name])(self.dice)
            thrown -= share
        return FINE


def forecast(dice: random.Random, clears_at: float) -> Weather:
    """Return the weather of a seed: a few kinds of faults, from rare to constant, and spells."""
    names = [*ANYWHERE, *AT_THE_APP]
    chosen = dice.sample(names, dice.randint(0, 6))
    severity = dice.choice([0.01, 0.03, 0.1])
    shares = {name: dice.uniform(0.2, 1.0) * severity for name in chosen}
    spells = []
    for _ in range(dice.choice([0, 0, 1, 2])):
        begins = dice.uniform(0, clears_at)
        host = dice.choice([SOURCE_HOST, TARGET_HOST, TARGET_HOST])
        kind = dice.choice(["refused", "lost", "401", "429", "500", "slow", "web page", "reply lost", "502 page"])
        spells.append(Spell(host, begins, begins + dice.choice([300.0, 3600.0, 14400.0]), ANYWHERE[kind](dice)))
    if dice.random() < 0.3:
        spells.append(Spell(TARGET_HOST, 0.0, clears_at, ANYWHERE["500"](dice), f"/Users/{_any_id(dice)}"))
    return Weather(dice, shares, clears_at, spells)


def _any_id(dice: random.Random) -> str:
    """Return the beginning of ids: about one object in sixteen has it."""
    return dice.choice("0123456789abcdef")
