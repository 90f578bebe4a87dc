"""Installs a browser for the tests, if the machine has none."""

from __future__ import annotations

import shutil

from toolchain import debian

PACKAGES = ("chromium", "fonts-liberation")
"""MLflow's pages use Arial or Helvetica. Without Liberation, which has their metrics, lines overlap."""


def ensure_browser() -> None:
    """Install Debian's Chromium unless `chromium` is on PATH. Raises Failure."""
    if shutil.which("chromium") is None:
        debian.install(PACKAGES, "Chromium")
