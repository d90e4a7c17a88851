"""One request to the double of Microsoft Graph, alone or out of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.servers.graph_rules import Json


@dataclass(frozen=True, slots=True)
class GraphRequest:
    method: str
    path: str
    query: Json
    body: Any
    headers: dict[str, str]

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(unquote(one) for one in self.path.split("/") if one)


def parsed_query(text: str) -> Json:
    return dict(parse_qsl(text, keep_blank_values=True))
