"""Where our server answers otherwise than MLflow as it comes, and why that stays."""

from __future__ import annotations

from dataclasses import dataclass

from .steps import Step

PSYCOPG2, SQLITE = "psycopg2", "sqlite"


@dataclass(frozen=True)
class Difference:
    """A kind of difference, by what was asked; how many of them there are, is not said."""

    of: tuple[str, ...]
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    reason: str


STAYING = (
    Difference(
        (PSYCOPG2, SQLITE),
        ("list",),
        ("/users/", "/roles/"),
        "psycopg 3 sends a list as a text of unknown type: nobody has that name. Both others refuse the comparison.",
    ),
    Difference(
        (SQLITE,),
        ("text", "emoji", "quotes", "empty", "list"),
        ("/model-versions/", "/datasets/"),
        "PostgreSQL, by psycopg2 as well, compares no integer with a text that is none.",
    ),
    Difference(
        (SQLITE,),
        ("10 digits", "20 digits", "30 digits"),
        ("/",),
        "SQLite has integers of 64 bits alone, whatever the column, and MLflow a 500 for larger ones.",
    ),
)


def reason(of: str, step: Step) -> str | None:
    """Why an answer differs, if that is known. Nothing is known of a call as it is meant to be."""
    if not step.kind:
        return None
    for each in STAYING:
        if of in each.of and step.kind in each.kinds and any(path in step.call.path for path in each.paths):
            return each.reason
    return None
