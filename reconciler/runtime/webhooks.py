"""Judges calls that say that something changed: who knows the job's secret may, and once for each message.

Calls are signed as Standard Webhooks describes it (https://www.standardwebhooks.com, specification 1.0.0): HMAC-SHA256
over id, time and body. The body is signed and not read: it cannot make the job do anything but look.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler import logs
from reconciler.errors import ReconcilerError
from reconciler.ports import Clock

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_SECONDS = 300.0
"""How far the clock of who calls may be from ours."""
REMEMBERED_MAX = 10_000
"""So many messages are known again. Only who has the secret can fill this, and a repeated one merely runs a cycle."""
KEY_BYTES_MIN = 16
ID_LENGTH_MAX = 200
_SIGNATURES_MAX = 10
_ENCODED = "whsec_"


@dataclass(frozen=True, slots=True)
class Turned:
    """The call is not believed."""

    status: Literal[401, 503]
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Believed:
    """The call is from somebody who has the secret."""

    repeated: bool
    """The message came before: nothing is to be done."""


class Webhooks:
    """The calls of one daemon, and what it remembers of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        """Job and message → until when it is remembered."""

    def judge(
        self, job: str, headers: Mapping[str, str], body: bytes, read_secret: Callable[[], str]
    ) -> Believed | Turned:
        """Return whether a call is believed. Takes as long for a signature that is nearly right as for any other."""
        id_, time, signature = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
        if not id_ or not time or not signature or len(id_) > ID_LENGTH_MAX:
            return Turned(401, "the call is not signed", f"it needs the headers {ID}, {TIMESTAMP} and {SIGNATURE}")
        if not (time.isascii() and time.isdigit() and len(time) < 16):
            return Turned(401, f"{TIMESTAMP} is no moment", "seconds since 1970, as `date +%s` prints them")
        try:
            key = _key(read_secret())
        except ReconcilerError as error:
            logs.get().error("webhook.secret_not_read", job=job, problem=str(error))
            return Turned(503, "the secret of this webhook cannot be read", "the daemon's log says why")
        if len(key) < KEY_BYTES_MIN:
            logs.get().error("webhook.secret_too_short", job=job, bytes=len(key), at_least=KEY_BYTES_MIN)
            return Turned(503, "the secret of this webhook is too short", "openssl rand -hex 32 makes a good one")
        given = id_.encode("utf-8", "surrogateescape")  # the bytes of the header, whatever they are
        wanted = hmac.digest(key, b".".join((given, time.encode(), body)), hashlib.sha256)
        if not _holds(signature, wanted):
            return Turned(401, "the signature is wrong", "is it made with this job's secret, over id.time.body?")
        now = self._clock.now()
        if abs(now - int(time)) > TOLERANCE_SECONDS:
            return Turned(401, "the call is too old, or from the future", "are both clocks right?")
        return Believed(self._was_seen((job, id_), int(time), now))

    def _was_seen(self, message: tuple[str, str], time: float, now: float) -> bool:
        if self._seen.get(message, 0.0) > now:
            return True
        while self._seen:
            oldest, until = next(iter(self._seen.items()))
            if until > now and len(self._seen) < REMEMBERED_MAX:
                break
            del self._seen[oldest]
        self._seen[message] = time + TOLERANCE_SECONDS + 1.0
        return False


def _key(secret: str) -> bytes:
    """Return the key: of a secret that begins with whsec_ what is behind it in base64, else its letters."""
    if secret.startswith(_ENCODED):
        try:
            return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
        except binascii.Error:
            return b""
    return secret.encode()


def _holds(header: str, wanted: bytes) -> bool:
    """Return whether one of the signatures in the header is the wanted one."""
    right = False
    for one in header.split()[:_SIGNATURES_MAX]:
        version, _, text = one.partition(",")
        try:
            given = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        right |= version == "v1" and hmac.compare_digest(given, wanted)
    return right
