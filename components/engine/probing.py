"""Probes a service every second until it is ready, and less often afterwards. The same for every engine."""

from __future__ import annotations

import hashlib
import json

from .workload import Probe

INTERVAL = 1
"""Seconds between two probes. An engine also waits this long before the first one, which delays every start. Docker 25
and newer probe a starting service every five seconds, whatever this says."""

# A service that has been ready once is probed at its own interval, also when it fails later. Otherwise three failures
# would follow within three seconds, and a restart of the database would make MLflow unhealthy. The mark is a file in
# memory and ends with the container. "probe" is the script's name. Its arguments are the seconds to sleep, the timeout
# and the probe's command. The engine's own timeout would leave the command running.
_SCRIPT = """
if [ -e /dev/shm/ready ]; then sleep "$1"; fi
limit=$2
shift 2
timeout "$limit" "$@" || exit 1
touch /dev/shm/ready || true
"""


def command(probe: Probe) -> list[str]:
    """The command that the engine runs as the health check."""
    return ["sh", "-c", _SCRIPT, "probe", str(_sleep(probe)), str(probe.timeout), *probe.command]


def timeout(probe: Probe) -> int:
    """Seconds after which the engine gives up on one health check: one more than the command needs to end itself."""
    return probe.timeout + _sleep(probe) + 1


def fingerprint(probe: Probe) -> str:
    """A label's value. The provider may ignore a changed health check; a changed label replaces the container."""
    return hashlib.sha256(json.dumps([command(probe), timeout(probe), INTERVAL, probe.grace]).encode()).hexdigest()[:16]


def _sleep(probe: Probe) -> int:
    return probe.interval - INTERVAL
