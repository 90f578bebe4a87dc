"""Describes the machine for the report, because the results depend on it."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import docker

from bench.environment import default_setting


def describe(engine: docker.DockerClient) -> dict[str, Any]:
    """Processor, memory, kernel, engine, versions, command, time, and the load before the run."""
    return {
        "processor": _after(Path("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count(),
        "memory": _after(Path("/proc/meminfo"), "MemTotal"),
        "kernel": platform.release(),
        "engine": str(engine.version()["Version"]),
        "python": platform.python_version(),
        "mlflow": default_setting("mlflowVersion"),
        "postgres": default_setting("postgresVersion"),
        "command": f"python -m bench {' '.join(sys.argv[1:])}".strip(),
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "load before": list(os.getloadavg()),
    }


def _after(file: Path, key: str) -> str:
    """The value of the line `key : value`, or 'unknown' if there is none."""
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"
