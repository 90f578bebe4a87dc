"""A browser for the tests that look at the pages, if there is none."""

from __future__ import annotations

import shutil

from toolchain import debian

PACKAGES = ("chromium", "fonts-liberation")
"""The pages ask for Arial or Helvetica, and Liberation has their measures: without it, lines run into each other."""


def ensure_browser() -> None:
    """Have Chromium on this machine: the user's own, or Debian's. Raises Failure."""
    if shutil.which("chromium") is None:
        debian.install(PACKAGES, "Chromium")
