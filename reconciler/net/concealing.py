"""Takes credentials out of what others answer."""

from __future__ import annotations

from reconciler.core.outcomes import Failed
from reconciler.ports import Response

_CREDENTIAL_BYTES_MIN = 6
"""A shorter one may be a part of any word."""


def without_credential(outcome: Response | Failed, signed: str | None) -> Response | Failed:
    """Return a refusal without the credential that was sent: some say which token it is that they do not take."""
    if isinstance(outcome, Failed) or not signed:
        return outcome
    return refused_without(outcome, signed.rpartition(" ")[2])


def refused_without(answer: Response, credential: str) -> Response:
    """Return an answer without a credential where it is a refusal."""
    if 200 <= answer.status < 300:
        return answer
    hidden = credential.encode()
    if len(hidden) < _CREDENTIAL_BYTES_MIN or hidden not in answer.body:
        return answer
    return answer._replace(body=answer.body.replace(hidden, b"***"))
