"""Look at a service often until it is ready, and then less often, whatever engine does the looking."""

from __future__ import annotations

import hashlib
import json

from .workload import Probe

INTERVAL = 1
"""Seconds between two looks. An engine waits as long before the first one, and who brings a stack up waits with it; one
of version 25 or newer waits for five seconds while a service starts, whatever this says."""

# What was found ready once waits for the rest of the probe's own interval, also when it fails later: else three
# failures in a row would be over in three seconds, and a restart of the database would make MLflow a broken service.
# The mark is in memory, and ends with the container. "probe" is the script's name, and its arguments the seconds of
# rest and of patience, and the probe's own command, which the engine's own limit would leave running.
_LOOK = """
if [ -e /dev/shm/ready ]; then sleep "$1"; fi
limit=$2
shift 2
timeout "$limit" "$@" || exit 1
touch /dev/shm/ready || true
"""


def look(probe: Probe) -> list[str]:
    """The command of one look."""
    return ["sh", "-c", _LOOK, "probe", str(_rest(probe)), str(probe.timeout), *probe.command]


def timeout(probe: Probe) -> int:
    """Seconds that one look may take; a second more than it needs to end by itself."""
    return probe.timeout + _rest(probe) + 1


def fingerprint(probe: Probe) -> str:
    """The provider may ignore a changed health check; as a label, the change replaces the container."""
    return hashlib.sha256(json.dumps([look(probe), timeout(probe), INTERVAL, probe.grace]).encode()).hexdigest()[:16]


def _rest(probe: Probe) -> int:
    return probe.interval - INTERVAL
