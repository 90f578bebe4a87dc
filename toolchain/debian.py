"""Recognises Debian and its mirrors, and installs its packages."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from toolchain.processes import run
from toolchain.progress import Failure, step

SUPPORTED = ("12", "13")
_updated = False


def is_supported_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    """Whether this is a version of Debian that this module has been tried on."""
    try:
        pairs = (line.partition("=") for line in shlex.split(os_release.read_text(), comments=True))
    except (OSError, ValueError):
        return False
    facts = {name: value for name, _, value in pairs}
    return facts.get("ID") == "debian" and facts.get("VERSION_ID") in SUPPORTED


def engine_packages(os_release: Path = Path("/etc/os-release")) -> list[str]:
    """The packages of the engine and its client. Debian 13 has two; docker.io only recommends the client there."""
    in_one = 'VERSION_ID="12"' in os_release.read_text()
    return ["docker.io"] if in_one else ["docker.io", "docker-cli"]


def is_root() -> bool:
    """Whether we may install packages."""
    return os.geteuid() == 0


def install(packages: Sequence[str], needed_for: str) -> None:
    """Install Debian packages without their recommendations. Raises Failure if this is not Debian or not root."""
    names = " ".join(packages)
    if not is_supported_debian():
        raise Failure(
            "package-missing",
            f"{needed_for} is missing",
            f"install {names} (or your system's like), then run this again",
        )
    if not is_root():
        raise Failure(
            "package-needs-root",
            f"{needed_for} is missing, and only root may install packages",
            f"sudo apt-get install --no-install-recommends {names}, then run this again",
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    mend = "apt-get update && dpkg --configure -a, look at what they say, then run this again"
    with step(f"installing {names} with apt"):
        if any(Path("/var/lib/dpkg/updates").glob("*")):
            run(["dpkg", "--configure", "-a"], "finishing an interrupted dpkg", mend, env=environment, finish=True)
        _update_once(environment, mend)
        run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *packages],
            f"apt-get install {names}",
            mend,
            env=environment,
            finish=True,
        )


def _update_once(environment: dict[str, str], mend: str) -> None:
    global _updated
    if not _updated:
        run(["apt-get", "update", "-q"], "apt-get update", mend, env=environment)
        _updated = True


def apt_sources(folder: Path = Path("/etc/apt")) -> list[str]:
    """The addresses of this machine's Debian mirrors, in the order of apt's files."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    found: list[str] = []
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        text = file.read_text(errors="replace")
        found += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)", text, re.MULTILINE)
        for line in re.findall(r"^URIs:(.*)$", text, re.MULTILINE):
            found += line.split()
    return [address.rstrip("/") for address in found if address.startswith(("http://", "https://"))]
