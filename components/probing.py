"""Look at a service often until it is ready, and then less often, whatever engine does the looking."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from .workload import Probe

INTERVAL = 1
"""Seconds between two looks. An engine waits as long before the first one, and who brings a stack up waits with it."""

# What was found ready once waits for the rest of the probe's own interval, also when it fails later: else three
# failures in a row would be over in three seconds, and a restart of the database would make MLflow a broken service.
# The mark is in memory, and ends with the container. "probe" is the script's name, and its arguments the probe's
# own command.
_LOOK = """
if [ -e /dev/shm/ready ]; then sleep "$1"; fi
shift
"$@" || exit 1
touch /dev/shm/ready || true
"""


def look(probe: Probe) -> list[str]:
    """The command of one look."""
    return ["sh", "-c", _LOOK, "probe", str(_rest(probe)), *probe.command]


def timeout(probe: Probe) -> int:
    """Seconds that one look may take."""
    return probe.timeout + _rest(probe)


def fingerprint(probe: Probe) -> str:
    """The provider may ignore a changed health check; as a label, the change replaces the container."""
    return hashlib.sha256(json.dumps([_LOOK, asdict(probe)], sort_keys=True).encode()).hexdigest()[:16]


def _rest(probe: Probe) -> int:
    return probe.interval - INTERVAL
