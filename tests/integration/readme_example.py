"""The README's first run, as somebody who follows it logs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from .harness import ROOT

_EXAMPLE = re.compile(
    r"^    python3 -m venv /tmp/client && .*\n    export MLFLOW_TRACKING_URI=\S+\n((?:    .*\n)+)", re.MULTILINE
)


def follow(url: str, **environment: str) -> None:
    """Run the example's commands with the client of this virtualenv; a test fails if they do."""
    found = _EXAMPLE.search((ROOT / "README.md").read_text())
    assert found, "the README shows how to log a first run"
    commands = found[1].replace("/tmp/client/bin/python", sys.executable)
    done = subprocess.run(
        ["sh", "-euc", commands],
        env={**os.environ, "MLFLOW_TRACKING_URI": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
