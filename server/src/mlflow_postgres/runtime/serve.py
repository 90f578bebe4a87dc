"""`serve COMMAND ...`: the image's entry point. It checks the store's address, prepares the environment, then execs."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from contract import environment
from contract.errors import UserError

from . import secret_files

SCHEME = "postgresql+mlflow"
STARTUP = Path(__file__).with_name("startup")
"""Holds a `sitecustomize` module, which Python imports at the start of every process that has this on PYTHONPATH."""


def main() -> None:
    """Replace this process by the command, or exit with 64."""
    # With a misspelt or missing URI, MLflow silently stores runs in a file that is lost with the container.
    uri = os.environ.get(environment.STORE_URI, "")
    if not uri.startswith(f"{SCHEME}://"):
        error = UserError(
            "store-uri-invalid",
            f"{environment.STORE_URI} begins with '{scheme_of(uri)}'",
            rule=f"it must begin with '{SCHEME}://'",
        )
        print(f"serve: {error.report}", file=sys.stderr)
        sys.exit(64)
    os.environ["PYTHONPATH"] = str(STARTUP)
    if os.environ.get(environment.AUTH_CONFIG_PATH):
        _prepare_sign_in()
    os.execvp(sys.argv[1], sys.argv[1:])


def _prepare_sign_in() -> None:
    """What `mlflow server` does besides for an application that is named `basic-auth`, and for no other."""
    # The schema job has created the administrator. Otherwise each worker looks for it, and computes a password's hash.
    os.environ["_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED"] = "true"
    if os.environ.get(environment.JOBS) == "true":
        # Workers and jobs must share it.
        token = secret_files.written(secrets.token_hex(32))
        os.environ[f"{secret_files.GATEWAY_TOKEN}_FILE"] = token


def scheme_of(uri: str) -> str:
    """The scheme, or words for a missing one. Never the rest of the URI, which may contain a password."""
    if not uri:
        return "nothing"
    scheme, colon, _ = uri.partition(":")
    return scheme if colon else "no scheme"


if __name__ == "__main__":
    main()
