"""What the services need to know of a database: its address, its logins, its TLS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import pulumi

from contract import environment, paths

from ..engine.workload import SecretFile

_CA_FILE = "database-ca.pem"


class SslMode(StrEnum):
    """libpq's sslmode: how a client protects its connection to the server."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role that may sign in, and its password, which is always secret."""

    user: str
    password: pulumi.Output[str]


class DatabaseServer(Protocol):
    """A PostgreSQL server with one database for MLflow. `managed` makes one; `external` is one that exists."""

    @property
    def host(self) -> str:
        """Host name or address, as the services' containers reach it."""

    @property
    def port(self) -> int: ...

    @property
    def database(self) -> str:
        """Name of the database."""

    @property
    def owner(self) -> Login:
        """Owns the tables: the schema job signs in as this role."""

    @property
    def server(self) -> Login:
        """Reads and writes rows: MLflow signs in as this role."""

    @property
    def readonly(self) -> Login:
        """Reads rows."""

    @property
    def monitor(self) -> Login | None:
        """Reads statistics and no rows. None when nobody collects metrics."""

    @property
    def sslmode(self) -> SslMode:
        """How the services connect."""

    @property
    def ca_certificate(self) -> str:
        """The authority that signed the server's certificate, in PEM. Empty means the system's authorities."""

    @property
    def resources(self) -> Sequence[pulumi.Resource]:
        """What must exist before a client connects."""


@dataclass(frozen=True, kw_only=True)
class DatabaseConnection:
    """A database as one role connects to it, from a program that uses libpq."""

    server: DatabaseServer
    login: Login

    @property
    def uri(self) -> str:
        """For SQLAlchemy in MLflow's image, where `mlflow` is the name of our driver. Without the password."""
        return f"postgresql+mlflow://{self.login.user}@{self.server.host}:{self.server.port}/{self.server.database}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that MLflow and libpq read. The password is in the pass file instead."""
        variables = {environment.STORE_URI: self.uri, environment.PASS_FILE: f"{paths.SECRETS}/{paths.PASS_FILE}"}
        if self.server.sslmode != SslMode.DISABLE:
            variables["PGSSLMODE"] = self.server.sslmode.value
        if self.server.sslmode == SslMode.VERIFY_FULL:
            variables["PGSSLROOTCERT"] = f"{paths.SECRETS}/{_CA_FILE}" if self.server.ca_certificate else "system"
        return variables

    @property
    def secret_files(self) -> list[SecretFile]:
        """The files that the variables name."""
        line = pulumi.Output.concat(
            f"{self.server.host}:{self.server.port}:{self.server.database}:{self.login.user}:",
            self.login.password,
            "\n",
        )
        files = [SecretFile(name=paths.PASS_FILE, content=pulumi.Output.secret(line))]
        if self.server.ca_certificate:
            files.append(SecretFile(name=_CA_FILE, content=self.server.ca_certificate))
        return files
