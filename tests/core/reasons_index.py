"""Writes the index of the reasons' pages. `python -m tests.core.reasons_index` brings it up to date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.core.reasons import MEANINGS, Category

FOLDER = Path(__file__).parents[2] / "docs" / "reasons"
_PARTS: Mapping[Category, str] = {
    "failure": "The target, or the way to it, failed or refused",
    "nonServiceFailure": "The data, the rules or a person's word stand against it",
    "success": "Nothing went wrong",
}
_HEAD = """\
# Reasons

Each record of the [provisioning log](../provisioning-log.md) that did not simply succeed has a reason: `errorCode`, one
for each cause. The log's own sentence (`reason`) names the clause, the group or the mapping. A page for each says what
happened, what to look at and what to do. The three parts are Graph's `errorCategory`.
"""


def index() -> str:
    """Return the page that lists all of them."""
    text = _HEAD
    for category, heading in _PARTS.items():
        text += f"\n## {heading} (`{category}`)\n\n| reason | what happened |\n|---|---|\n"
        for reason, meaning in MEANINGS.items():
            if meaning.category == category:
                text += f"| [{reason}]({reason}.md) | {meaning.what} |\n"
    return text


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(index(), "utf-8")
