"""Names that identify something, refused in MLflow's words where they have a character that PostgreSQL cannot hold.

With another character in its place it would be the name of another experiment, model or user. What is logged is
changed instead (`characters.py`).
"""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from sqlalchemy import Table
from sqlalchemy.orm import Mapper

from . import characters

IDENTIFYING = {
    "endpoints": "name",
    "evaluation_datasets": "name",
    "experiments": "name",
    "label_schemas": "name",
    "mcp_server_aliases": "alias",
    "mcp_servers": "name",
    "model_definitions": "name",
    "registered_model_aliases": "alias",
    "registered_models": "name",
    "review_queues": "name",
    "roles": "name",
    "scorers": "scorer_name",
    "secrets": "secret_name",
    "trace_info": "request_id",
    "users": "username",
    "webhooks": "name",
    "workspaces": "name",
}
"""By table, the column that holds such a name."""


def refuse_unstorable(mapper: Mapper[object], _: object, instance: object) -> None:
    """For SQLAlchemy's events `before_insert` and `before_update`. Raises MLflow's own exception."""
    table = mapper.local_table
    field = IDENTIFYING.get(table.name) if isinstance(table, Table) else None
    value = getattr(instance, field) if field else None
    if isinstance(value, str) and not characters.is_storable(value):
        raise MlflowException.invalid_parameter_value(
            f"Invalid value {value!r} for parameter '{field}': it must have neither the character NUL nor one half of "
            "a surrogate pair."
        )
