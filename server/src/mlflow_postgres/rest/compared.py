"""What the calls were compared on."""

from __future__ import annotations

COMPARED = {("3.17.2", "dc11669786a5")}
"""Versions of MLflow, and the revisions of its schema, on which `server/tests/rest` compares every call."""
VERSIONS = {version for version, _ in COMPARED}
