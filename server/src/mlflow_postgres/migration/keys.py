"""The passphrases that wrap the keys of the gateway's secrets: a file for each version. All rows use the newest one.

The server reads the folder `current`. The file `webhooks` is the key that encrypts the secrets of webhooks. It is
created once: MLflow cannot change it.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from ..errors import Refused
from .connections import tables
from .job import BUILT_IN_KEY, KEYS

if TYPE_CHECKING:
    from mlflow.utils.crypto import KEKManager

_FILE = re.compile(r"kek-(\d+)")


@dataclass(frozen=True)
class Plan:
    """What remains to be done until every secret is wrapped with the passphrase of version `version`."""

    version: int
    create: bool
    """Whether the file of that version must be created."""

    rewrap: tuple[int, ...]
    """Other versions that rows are wrapped with."""


def plan(version: int, files: Set[int], rows: Set[int]) -> Plan:
    """The plan for existing files and the versions in the rows. Raises `Refused` if a key is missing."""
    newest = max(files, default=version)
    if newest > version:
        raise Refused(
            "credentials-version-lowered",
            f"credentialsVersion is {version - BUILT_IN_KEY}, and {newest - BUILT_IN_KEY} was used before",
            rule="it may only grow, because secrets are encrypted with the newest key",
            remedy=f"bin/pulumi config set credentialsVersion {newest - BUILT_IN_KEY}",
        )
    missing = sorted(rows - files - {BUILT_IN_KEY})
    if missing:
        names = ", ".join(f"kek-{number}" for number in missing)
        raise Refused(
            "key-missing",
            f"the gateway's secrets are encrypted with {names}, which is not in the keys volume",
            rule="restore that file, or delete these secrets from MLflow's database",
            remedy=f"DELETE FROM secrets WHERE kek_version IN ({', '.join(map(str, missing))})",
        )
    return Plan(version=version, create=version not in files, rewrap=tuple(sorted(rows - {version})))


def plan_for(connection: psycopg.Connection, version: int, folder: Path = KEYS) -> Plan:
    """The plan for this database and this keys volume."""
    files = {int(found[1]) for path in folder.iterdir() if (found := _FILE.fullmatch(path.name))}
    rows: set[int] = set()
    if "secrets" in tables(connection):
        rows = {number for (number,) in connection.execute("SELECT DISTINCT kek_version FROM public.secrets")}
    return plan(version, files, rows)


def apply(connection: psycopg.Connection, key_plan: Plan, folder: Path = KEYS) -> None:
    """Create the passphrase if it is missing, re-wrap every secret, and switch the server to it."""
    if key_plan.create:
        write_file(folder / f"kek-{key_plan.version}", secrets.token_hex(32))
        print(f"created the key kek-{key_plan.version}", flush=True)
    _rewrap(connection, key_plan.version, folder)
    _switch(key_plan.version, folder)
    # Secrets that a running server has saved meanwhile, with the former passphrase.
    _rewrap(connection, key_plan.version, folder)
    if not (folder / "webhooks").exists():
        write_file(folder / "webhooks", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def _switch(version: int, folder: Path) -> None:
    """Replace the passphrase and its version in one step. The server reads both at every use."""
    pair = folder / f"pair-{version}"
    pair.mkdir(mode=0o700, exist_ok=True)
    write_file(pair / "version", str(version))
    write_file(pair / "passphrase", (folder / f"kek-{version}").read_text())
    partial = folder / ".partial-current"
    partial.unlink(missing_ok=True)
    partial.symlink_to(pair.name)
    partial.rename(folder / "current")


def _rewrap(connection: psycopg.Connection, version: int, folder: Path) -> None:
    if "secrets" not in tables(connection):
        return
    with connection.transaction():
        rows = connection.execute(
            "SELECT secret_id, encrypted_value, wrapped_dek, kek_version FROM public.secrets"
            " WHERE kek_version <> %s FOR UPDATE",
            (version,),
        ).fetchall()
        if not rows:
            return
        # Not at the top: MLflow takes seconds to import, and most databases hold no secrets.
        from mlflow.utils.crypto import rotate_secret_encryption

        new = _manager(version, folder)
        old = {former: _manager(former, folder) for *_, former in rows}
        for secret, encrypted, wrapped, former in rows:
            rotated = rotate_secret_encryption(encrypted, wrapped, old[former], new)
            connection.execute(
                "UPDATE public.secrets SET wrapped_dek = %s, kek_version = %s WHERE secret_id = %s",
                (rotated.wrapped_dek, version, secret),
            )
    print(f"re-wrapped {len(rows)} secrets of the gateway with kek-{version}", flush=True)


def write_file(path: Path, content: str) -> None:
    """Write a file atomically and durably."""
    partial = path.with_name(f".partial-{path.name}")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    # Without fsync a power failure could lose the key, and with it every secret that is wrapped with it.
    partial.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _manager(version: int, folder: Path) -> KEKManager:
    # Not at the top, as above.
    from mlflow.utils.crypto import DEFAULT_KEK_PASSPHRASE, KEKManager

    built_in = version == BUILT_IN_KEY
    passphrase = DEFAULT_KEK_PASSPHRASE if built_in else (folder / f"kek-{version}").read_text()
    return KEKManager(passphrase=passphrase, kek_version=version)
