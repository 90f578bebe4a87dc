"""The requirements of an image's MLflow on its database. The image's `schema-requirements` prints them as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Index:
    """One of our indexes."""

    table: str
    made_as: str
    """Its definition, which is also the comment on the index."""


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """The version of MLflow, the newest revision of each version table, and our indexes by name."""

    mlflow: str
    revisions: Mapping[str, str]
    indexes: Mapping[str, Index]
    compared: Sequence[str]
    """Revisions of MLflow's main tables on which our application was compared with this version. On any other, MLflow
    answers every call.
    """


def dump(requirements: Requirements) -> str:
    return json.dumps(asdict(requirements))


def parse(text: str) -> Requirements:
    """The requirements of a JSON text. Raises `ValueError` for any other text."""
    try:
        found = json.loads(text)
        return Requirements(
            mlflow=str(found["mlflow"]),
            revisions={str(table): str(head) for table, head in found["revisions"].items()},
            indexes={
                str(name): Index(table=str(each["table"]), made_as=str(each["made_as"]))
                for name, each in found["indexes"].items()
            },
            # Older images do not say it.
            compared=[str(revision) for revision in found.get("compared", [])],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the requirements of a schema: {error}") from error
