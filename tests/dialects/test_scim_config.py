"""ServiceProviderConfig: one odd field costs that field, and no other."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.dialects.scim_config import read_config

WHOLE: dict[str, Any] = {
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": 200},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": True},
    "pagination": {"cursor": True, "index": True, "maxPageSize": 50},
    "authenticationSchemes": [],
}
READ = {
    "patch": True,
    "bulk": False,
    "filter": True,
    "filter_max": 200,
    "sort": False,
    "etag": True,
    "cursor": True,
    "index": True,
    "page_max": 50,
    "odd": [],
}


def test_a_whole_config_is_read() -> None:
    assert read_config(WHOLE) == READ


def test_what_comes_out_can_be_remembered() -> None:
    assert orjson.loads(orjson.dumps(read_config(WHOLE))) == READ


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"bulk": {"supported": False}}, {}),
        ({"bulk": None}, {"bulk": None}),
        ({"bulk": "no"}, {"bulk": None, "odd": ["bulk"]}),
        ({"patch": {"supported": "true"}}, {}),
        ({"patch": {"supported": "sometimes"}}, {"patch": None, "odd": ["patch.supported"]}),
        ({"patch": {"Supported": False}}, {"patch": False}),
        ({"patch": False}, {"patch": False}),
        ({"patch": []}, {"patch": None, "odd": ["patch"]}),
        ({"filter": {"supported": True, "maxResults": "200"}}, {}),
        ({"filter": {"supported": True, "maxResults": -1}}, {"filter_max": None, "odd": ["filter.maxResults"]}),
        ({"filter": {"supported": True, "maxResults": 0}}, {"filter_max": None}),
        ({"filter": {"supported": True, "maxResults": True}}, {"filter_max": None, "odd": ["filter.maxResults"]}),
        ({"etag": {}}, {"etag": None}),
        ({"pagination": 5}, {"index": None, "cursor": None, "page_max": None, "odd": ["pagination"]}),
    ],
)
def test_an_odd_field_costs_only_itself(change: dict[str, Any], differs: dict[str, Any]) -> None:
    assert read_config({**WHOLE, **change}) == {**READ, **differs}


@pytest.mark.parametrize("content", [None, [], "x", 7])
def test_no_config_at_all_says_nothing(content: Any) -> None:
    config = read_config(content)
    assert config["odd"] == ["the whole answer"]
    assert all(value is None for name, value in config.items() if name != "odd")
