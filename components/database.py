"""How a program with libpq inside reaches a database: an address without a password, and the file that has it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from contract import environment, paths

from .postgres import Login
from .workload import SecretFile


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database as one of its roles sees it."""

    host: str
    port: int
    name: str
    login: Login

    @property
    def uri(self) -> str:
        """As SQLAlchemy reads it in MLflow's image, where `store/dialect.py` is the driver of this name."""
        return f"postgresql+mlflow://{self.login.user}@{self.host}:{self.port}/{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """What MLflow and libpq read. No password: that is in the pass file."""
        return {environment.STORE_URI: self.uri, environment.PASS_FILE: f"{paths.SECRETS}/{paths.PASS_FILE}"}

    @property
    def pass_file(self) -> SecretFile:
        """A libpq pass file of one line, host:port:database:user:password."""
        line = pulumi.Output.concat(
            f"{self.host}:{self.port}:{self.name}:{self.login.user}:", self.login.password, "\n"
        )
        return SecretFile(name=paths.PASS_FILE, content=pulumi.Output.secret(line))
