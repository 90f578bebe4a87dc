"""The settings of a schema job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract import environment as names
from contract import paths

from ..errors import Refused

BACKUPS = Path(paths.BACKUPS)
KEYS = Path(paths.KEYS)

# Version 1 is the passphrase built into MLflow. Stacks from before `credentialsVersion` have used it.
BUILT_IN_KEY = 1


@dataclass(frozen=True, kw_only=True)
class Administrator:
    """The administrator of a server with sign-in."""

    name: str
    password_file: Path


@dataclass(frozen=True, kw_only=True)
class Job:
    """One schema job."""

    store_uri: str
    """SQLAlchemy's URI, as the role that owns the tables. Without a password: libpq reads it from the pass file."""

    server_role: str
    private_tables: tuple[str, ...]
    """Tables that the read-only role may not read."""

    credentials_version: int
    administrator: Administrator | None
    """None without sign-in."""

    password_cache_seconds: int
    """Seconds that a worker of the server caches a correct password."""

    backups_volume: str
    """Docker's name for the volume of the dumps, for messages."""

    mlflow_version: str

    @property
    def database_uri(self) -> str:
        """The same database as a libpq URI."""
        return self.store_uri.replace("postgresql+mlflow://", "postgresql://", 1)

    @property
    def readonly_role(self) -> str:
        return f"{self.server_role}_readonly"

    @property
    def key_version(self) -> int:
        """Version of the passphrase that encrypts the gateway's secrets."""
        return self.credentials_version + BUILT_IN_KEY


def job_of(environment: Mapping[str, str], mlflow_version: str) -> Job:
    """The job that the environment variables describe. Raises `Refused` if one is missing or invalid."""
    store_uri = _required(environment, names.STORE_URI)
    if not store_uri.startswith("postgresql+mlflow://"):
        raise Refused(
            "store-uri-invalid",
            f"MLFLOW_BACKEND_STORE_URI begins with '{store_uri.partition(':')[0]}'",
            rule="it must begin with 'postgresql+mlflow://'",
        )
    credentials = _required(environment, names.CREDENTIALS_VERSION)
    if not credentials.isdecimal() or int(credentials) < 1:
        raise Refused(
            "environment-invalid",
            f"CREDENTIALS_VERSION is '{credentials}'",
            rule="it must be a whole number from 1",
            remedy="bin/pulumi config set credentialsVersion 1",
        )
    sign_in = _required(environment, names.SIGN_IN)
    if sign_in not in ("true", "false"):
        raise Refused(
            "environment-invalid",
            f"SIGN_IN is '{sign_in}'",
            rule="it must be true or false",
            remedy="bin/pulumi config set signIn false",
        )
    return Job(
        store_uri=store_uri,
        server_role=_required(environment, names.POSTGRES_USER),
        private_tables=tuple(_required(environment, "MLFLOW_POSTGRES_PRIVATE_TABLES").split(",")),
        credentials_version=int(credentials),
        administrator=Administrator(
            name=_required(environment, names.ADMIN_USERNAME),
            password_file=Path(_required(environment, names.ADMIN_PASSWORD_FILE)),
        )
        if sign_in == "true"
        else None,
        password_cache_seconds=int(_required(environment, names.SIGN_IN_REMEMBERED)) if sign_in == "true" else 0,
        backups_volume=_required(environment, names.BACKUPS_VOLUME),
        mlflow_version=mlflow_version,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise Refused("environment-invalid", f"{name} is not set", rule="the schema job needs it", remedy="make up")
    return environment[name]
