"""Where artifacts are: the addresses of another server's store, made those of this one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

SCHEME = "mlflow-artifacts"
_DIGITS = 19


def here(experiment: int) -> str:
    """The artifact location that this server gives to an experiment."""
    return f"{SCHEME}:/{experiment}"


def of_a_server(location: str) -> bool:
    """Whether it is an address at the server that made it, whichever that is: one that names a host leads there."""
    try:
        where = urlsplit(location)
    except ValueError:
        # Such as one with half of the brackets of an address.
        return False
    return where.scheme == SCHEME and not where.netloc


def renumbered(location: str, old: int, new: int) -> str:
    """An experiment's location with its new id in the place of the old one; as it is, when that is not at its end."""
    head, slash, tail = location.rstrip("/").rpartition("/")
    return f"{head}{slash}{new}" if tail == str(old) else location


class Addresses:
    """Old locations with what they become. An address below a location moves with it; any other stays."""

    def __init__(self, moved: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._moved = {old.rstrip("/"): new.rstrip("/") for old, new in dict(moved).items() if old != new}

    def __bool__(self) -> bool:
        return bool(self._moved)

    def moved(self, address: str) -> str:
        """What an address becomes. The longest location that it is below counts."""
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
    """A span's JSON with the ids of experiments that it names made the new ones."""
    if "mlflow.experimentId" not in content:
        return content
    return _IN_A_SPAN.sub(lambda found: f"{found[1]}{_renumbered(found[2], ids)}{found[3]}", content)


def experiments_in_list(text: str, ids: Mapping[int, int]) -> str:
    """The ids in a list such as ",1,2,", made the new ones."""
    return re.sub(r"\d+", lambda found: _renumbered(found[0], ids), text)


def _renumbered(digits: str, ids: Mapping[int, int]) -> str:
    # Nobody's id has more; Python refuses to read thousands of them.
    return digits if len(digits) > _DIGITS else str(ids.get(int(digits), digits))
