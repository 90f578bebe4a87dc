"""Where the artifacts of an experiment go."""

from __future__ import annotations

from typing import Final, LiteralString

# MLflow joins the URI of other locations in ways of its own.
IS_PLAIN: Final[LiteralString] = (
    "artifact_location ~ '^(mlflow-artifacts:|[a-z][a-z0-9]*://[A-Za-z0-9._-]+)(/[A-Za-z0-9._-]+)+$'"
)
