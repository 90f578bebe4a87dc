"""The artifact locations of an old store, which `ops import` hands to `import-runs` as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Locations:
    """Artifact locations as the old store has them."""

    folders: Mapping[str, str]
    """Those whose files are copied, each with the folder in the import's container."""
    empty: Sequence[str]
    """Those that hold no files."""


def dump(locations: Locations) -> str:
    return json.dumps({"places": dict(locations.folders), "empty": list(locations.empty)})


def parse(text: str) -> Locations:
    """Raises `ValueError` for anything else."""
    try:
        found = json.loads(text)
        return Locations(
            folders={str(location): str(folder) for location, folder in found["places"].items()},
            empty=[str(each) for each in found["empty"]],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of artifact locations: {error}") from error
