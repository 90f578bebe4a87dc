"""The artifact locations of an old store. `ops import` passes them to `import-runs` in a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Locations:
    """Artifact locations of the old store."""

    folders: Mapping[str, str]
    """Locations whose files are copied, each with its folder in the import's container."""
    empty: Sequence[str]
    """Locations without files."""


def dump(locations: Locations) -> str:
    return json.dumps({"places": dict(locations.folders), "empty": list(locations.empty)})


def parse(text: str) -> Locations:
    """The locations of a JSON text. Raises `ValueError` for any other text."""
    try:
        found = json.loads(text)
        return Locations(
            folders={str(location): str(folder) for location, folder in found["places"].items()},
            empty=[str(each) for each in found["empty"]],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of artifact locations: {error}") from error
