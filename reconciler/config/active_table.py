"""The table that says which attribute of a source tells who is active."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from reconciler.config.values import Table, Text


class ActiveTable(Table):
    """Which attribute says that somebody is active."""

    from_: Text = Field(alias="from", description="The attribute.")
    is_: list[str] = Field(
        alias="is",
        default_factory=list,
        min_length=1,
        description='The values that mean active; "" stands for no value. Default: true and its spellings.',
    )


def _as_table(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Active = Annotated[ActiveTable, BeforeValidator(_as_table, json_schema_input_type=str | ActiveTable)]
