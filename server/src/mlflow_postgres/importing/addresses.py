"""Artifact addresses: locations and URIs of artifacts, translated from the old server to this one. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SCHEME = "mlflow-artifacts"
_DIGITS = 19


def new_location(experiment: int) -> str:
    """The artifact location of an experiment on this server."""
    return f"{SCHEME}:/{experiment}"


def is_server_address(location: str) -> bool:
    """Whether an address belongs to the server that created it. One with a host belongs to that host."""
    try:
        where = urlsplit(location)
    except ValueError:
        # Such as an unclosed bracket of an IPv6 address.
        return False
    return where.scheme == SCHEME and not where.netloc


def renumbered_location(location: str, old: int, new: int) -> str:
    """An experiment's location with the new id. Unchanged if it does not end with the old id."""
    head, slash, tail = location.rstrip("/").rpartition("/")
    return f"{head}{slash}{new}" if tail == str(old) else location


class Addresses:
    """A mapping of old locations to new ones. It translates every address below an old location."""

    def __init__(self, moved: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._moved = {old.rstrip("/"): new.rstrip("/") for old, new in dict(moved).items() if old != new}

    def __bool__(self) -> bool:
        return bool(self._moved)

    def translate(self, address: str) -> str:
        """The new address, by the longest old location that contains it. Any other address is unchanged."""
        if not self._moved:
            return address
        end = len(address)
        while end > 0:
            found = self._moved.get(address[:end])
            if found is not None:
                return found + address[end:]
            end = address.rfind("/", 0, end)
        return address


_IN_A_SPAN = re.compile(r'("mlflow\.experimentId":\s*"(?:\\")?)(\d+)((?:\\")?")')


def experiments_in_span(content: str, ids: Mapping[int, int]) -> str:
    """A span's JSON with the new ids of its experiments."""
    if "mlflow.experimentId" not in content:
        return content
    return _IN_A_SPAN.sub(lambda found: f"{found[1]}{_renumbered(found[2], ids)}{found[3]}", content)


def experiments_in_list(text: str, ids: Mapping[int, int]) -> str:
    """A list such as ",1,2," with the new ids of its experiments."""
    return re.sub(r"\d+", lambda found: _renumbered(found[0], ids), text)


def _renumbered(digits: str, ids: Mapping[int, int]) -> str:
    # No id has more digits, and int() rejects thousands of them.
    return digits if len(digits) > _DIGITS else str(ids.get(int(digits), digits))
