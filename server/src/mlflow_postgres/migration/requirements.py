"""What this image's MLflow requires of its database. Reads files only: no connection, no import of MLflow."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from contract import schema

from ..errors import Failed
from ..rest.compared import COMPARED
from .revisions import MIGRATIONS
from .tuning import INDEXES, comment


def requirements(*, sign_in: bool) -> schema.Requirements:
    """What is required of the database, and the revisions on which the calls were compared."""
    mlflow = version("mlflow")
    records = MIGRATIONS if sign_in else {"alembic_version": MIGRATIONS["alembic_version"]}
    return schema.Requirements(
        mlflow=mlflow,
        revisions={record: newest(_package(folder).glob("versions/*.py")) for record, folder in records.items()},
        indexes={
            name: schema.Index(table=table, made_as=comment(table, definition))
            for name, (table, definition) in INDEXES.items()
        },
        compared=sorted(revision for compared, revision in COMPARED if compared == mlflow),
    )


def newest(scripts: Iterable[Path]) -> str:
    """The head revision: no other script has it as its down_revision. Raises `Failed` unless there is exactly one.

    Alembic would run the scripts, which import half of MLflow. That takes seconds, and `ops doctor` asks often.
    """
    revisions: set[str] = set()
    former: set[str] = set()
    for script in scripts:
        names = _constants(ast.parse(script.read_bytes()))
        if isinstance(revision := names.get("revision"), str):
            revisions.add(revision)
            before = names.get("down_revision")
            former |= {before} if isinstance(before, str) else set(before or ())
    heads = sorted(revisions - former)
    if len(heads) != 1:
        raise Failed(
            "migrations-forked",
            f"MLflow's migrations end in {len(heads)} revisions ({', '.join(heads)})",
            rule="it must be one",
        )
    return heads[0]


def _constants(script: ast.Module) -> dict[str, str | tuple[str, ...] | None]:
    """The values of `revision` and `down_revision` in a script."""
    found: dict[str, str | tuple[str, ...] | None] = {}
    for node in script.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=("revision" | "down_revision") as name)], value=value):
                found[name] = ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=("revision" | "down_revision") as name), value=ast.expr() as value):
                found[name] = ast.literal_eval(value)
    return found


def _package(folder: str) -> Path:
    # Without importing it.
    spec = find_spec("mlflow")
    if spec is None or spec.origin is None:
        raise Failed("migrations-missing", "MLflow is not installed here")
    return Path(spec.origin).parent / folder
