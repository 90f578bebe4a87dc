"""Secrets as files: `os.environ["NAME"]` reads the file that NAME_FILE names, if NAME itself is not set.

MLflow reads these secrets only from its environment, and /proc/PID/environ shows an environment. With this module the
value never enters an environment, neither of this process nor of a child. `startup/sitecustomize.py` installs it in
every process under `serve`. Names that are not listed, and iteration over `os.environ`, behave as before.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..replacement import replace

# MLflow generates this token at every start, and passes it to its workers and jobs in their environment.
GATEWAY_TOKEN = "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"
NAMES = (
    GATEWAY_TOKEN,
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE",
    # Not a secret, but it changes with the passphrase, and a running server must reread both.
    "MLFLOW_CRYPTO_KEK_VERSION",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY",
)


class Environ(os._Environ[str]):
    """The environment. A listed name is read from its file. Raises OSError if that fails, ValueError if it is empty."""

    def __getitem__(self, key: str) -> str:
        try:
            return super().__getitem__(key)
        except KeyError:
            if key not in NAMES or f"{key}_FILE" not in self:
                raise
        path = self[f"{key}_FILE"]
        with open(path, encoding="utf-8") as file:
            value = file.read().rstrip("\n")
        # With an empty passphrase MLflow silently uses its built-in one, which is public.
        if not value:
            raise ValueError(f"{key}_FILE names {path}, which is empty: it must hold the secret")
        return value


def without_secrets(environment: Mapping[Any, Any]) -> dict[Any, Any]:
    """The environment for a child, without the names that the child reads from a file."""
    if token := environment.get(GATEWAY_TOKEN):
        environment = {**environment, f"{GATEWAY_TOKEN}_FILE": written(token)}
    return {key: value for key, value in environment.items() if not (key in NAMES and f"{key}_FILE" in environment)}


def written(token: str) -> str:
    """Write the token into a file that only this user can read. Returns its path, in HOME, which is in memory."""
    path = os.path.join(os.environ["HOME"], ".gateway-token")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(token)
    return path


def keep_from_children(start: Callable[..., None]) -> Callable[..., None]:
    """`Popen.__init__` without secrets in `env`, where `mlflow server` passes the secret key to its workers."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if options.get("env") is not None:
            options["env"] = without_secrets(options["env"])
        start(self, *args, **options)

    return __init__


def install() -> None:
    """Read listed names from their files from now on, in this process. Does nothing if no such file is named."""
    if not any(f"{name}_FILE" in os.environ for name in NAMES):
        return
    # Not at the top: its import takes longer than all others here.
    import subprocess

    # Change the class of the existing object: other modules hold references to os.environ.
    replace(os.environ, __class__=Environ)
    # Every child is started through Popen.
    replace(subprocess.Popen, __init__=keep_from_children(subprocess.Popen.__init__))
