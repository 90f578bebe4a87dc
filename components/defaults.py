"""The defaults that several arguments of a platform share. Those of a service stand with its options."""

from __future__ import annotations

from typing import Final

PYTHON_IMAGE: Final = "python:3.13-slim-trixie"
DEBIAN_IMAGE: Final = "debian:trixie-slim"

ADDRESS: Final = "127.0.0.1"
