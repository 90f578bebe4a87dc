"""A stack that an earlier version made is taken over: its resources keep their URNs and the inputs that name things.

`takeover.json` is the record of commit ec3b71b: a platform as it comes, and one with everything switched on. Another
URN makes Pulumi delete the resource and create a new one, and another name does the same to the object on the host. A
difference here therefore needs `aliases`, or a reason to replace the resource; then the record is written anew:

    python -m tests.unit.test_takeover
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from .deploy import deploy, everything
from .fake_engine import CONTAINER, FakeEngine, Registration

RECORD = Path(__file__).parent / "takeover.json"
PLATFORMS = {"default": deploy, "everything": everything}

# These change with the content of an image, of a probe or of a setting, which is a reason to replace a container.
_CHANGING_LABELS = ("mlflow-postgres.probe", "mlflow-postgres.secrets")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_stack_of_the_version_before_is_taken_over(platform: str) -> None:
    recorded = json.loads(RECORD.read_text())[platform]
    found = record(PLATFORMS[platform]())
    assert set(recorded) - set(found) == set(), "another URN deletes the resource and makes a new one"
    for urn, each in recorded.items():
        assert found[urn] == each, urn


def record(engine: FakeEngine) -> dict[str, Any]:
    """The URN of every resource, and what a stack's takeover depends on."""
    return {f"{_types(engine, each)}::{each.name}": _inputs(each) for each in engine.registered.values()}


def _types(engine: FakeEngine, resource: Registration) -> str:
    """The types of a resource and of its parents, as they stand in its URN."""
    parent = engine.registered.get(resource.parent)
    return f"{_types(engine, parent)}${resource.type}" if parent else resource.type


def _inputs(resource: Registration) -> dict[str, Any]:
    inputs = resource.inputs
    named = ("name", "hostname", "user", "networkMode", "stopSignal", "driver", "internal", "options", "ports")
    found = {key: inputs[key] for key in named if key in inputs}
    if "build" in inputs:
        found["name"] = inputs["name"].rpartition(":")[0]
    if resource.type == CONTAINER:
        found["environment"] = sorted(resource.environment)
        found["mounts"] = inputs.get("mounts", [])
        found["networks"] = inputs.get("networksAdvanced", [])
        found["uploads"] = [{**each, "content": "…"} for each in inputs.get("uploads", [])]
    if "labels" in inputs:
        found["labels"] = {key: value for key, value in resource.labels.items() if key not in _CHANGING_LABELS}
    if "keepers" in inputs:
        found["keepers"] = inputs["keepers"]
    request = resource.request
    found["resourceOptions"] = {
        "protect": request.protect,
        "retainOnDelete": request.retainOnDelete,
        "ignoreChanges": sorted(request.ignoreChanges),
    }
    return found


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    records = {name: record(make()) for name, make in PLATFORMS.items()}
    RECORD.write_text(json.dumps(records, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
