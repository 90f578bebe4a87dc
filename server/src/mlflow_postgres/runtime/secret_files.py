"""Secrets as files: `os.environ["NAME"]` reads the file that NAME_FILE names, when NAME itself is not set.

MLflow takes these secrets from its environment only, and /proc/PID/environ shows that to whoever may look. Here the
value never enters an environment, neither this process's nor a child's. `startup/sitecustomize.py` installs it in
every process under `serve`. Left out: any name that is not listed, and iteration over `os.environ`.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

# MLflow makes this one up at every start, and hands it to its workers and jobs in their environment.
GATEWAY_TOKEN = "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"
NAMES = (
    GATEWAY_TOKEN,
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_CRYPTO_KEK_PASSPHRASE",
    # No secret, but it changes with the passphrase, and a running server goes on with both.
    "MLFLOW_CRYPTO_KEK_VERSION",
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY",
)


class Environ(os._Environ[str]):
    """The environment, in which a listed name is looked up in its file; OSError or ValueError when that has none."""

    def __getitem__(self, key: str) -> str:
        try:
            return super().__getitem__(key)
        except KeyError:
            if key not in NAMES or f"{key}_FILE" not in self:
                raise
        path = self[f"{key}_FILE"]
        with open(path, encoding="utf-8") as file:
            value = file.read().rstrip("\n")
        # An empty passphrase would make MLflow fall back, without a word, to the one that everybody knows.
        if not value:
            raise ValueError(f"{key}_FILE names {path}, which is empty: it must hold the secret")
        return value


def without_secrets(environment: Mapping[Any, Any]) -> dict[Any, Any]:
    """A child's environment, without the names that the child finds in a file."""
    if token := environment.get(GATEWAY_TOKEN):
        environment = {**environment, f"{GATEWAY_TOKEN}_FILE": written(token)}
    return {key: value for key, value in environment.items() if not (key in NAMES and f"{key}_FILE" in environment)}


def written(token: str) -> str:
    """The path of a file, for this user alone, that holds the token; HOME is in memory and goes with the container."""
    path = os.path.join(os.environ["HOME"], ".gateway-token")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(token)
    return path


def keep_from_children(start: Callable[..., None]) -> Callable[..., None]:
    """`Popen.__init__` that leaves secrets out: `mlflow server` hands the secret key on to its workers by `env`."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if options.get("env") is not None:
            options["env"] = without_secrets(options["env"])
        start(self, *args, **options)

    return __init__


def install() -> None:
    """Look up listed names in their files from now on, in this process. One that is given no such file pays nothing."""
    if not any(f"{name}_FILE" in os.environ for name in NAMES):
        return
    # Not above: it takes longer to import than everything else here.
    import subprocess

    # A subclass without fields of its own may take the place of the class: every holder of os.environ sees it.
    os.environ.__class__ = Environ
    # Replaced on purpose, in the one place by which every child is started.
    subprocess.Popen.__init__ = keep_from_children(subprocess.Popen.__init__)  # type: ignore[method-assign]  # above
