"""The schema job: dumps the database and migrates it to MLflow's version before the server is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import environment, paths, roles, users

from ..database.managed import PRIVATE_TABLES
from ..database.server import DatabaseConnection
from ..engine import Engine
from ..engine.workload import Limits, Mount, Task
from .sign_in import SignIn

ROLE = roles.SCHEMA


@dataclass(frozen=True, kw_only=True)
class SchemaArgs:
    """Arguments of `Schema`."""

    image: pulumi.Input[str]
    """MLflow's image: a schema belongs to one version of it."""
    network: pulumi.Input[str]
    database: DatabaseConnection
    """As the owner."""
    server_user: str
    credentials_version: int
    sign_in: SignIn | None = None
    keep_data: bool = True
    protect_data: bool = False
    starts_after: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The volume of the encryption keys. Without them the encrypted values in the database are lost."""

    volume: pulumi.Output[str]

    @property
    def mount(self) -> Mount:
        return Mount(volume=self.volume, target=paths.KEYS, read_only=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            # MLflow reads these files at every use, so new keys need no restart.
            environment.KEK_VERSION_FILE: f"{paths.KEYS}/current/version",
            environment.KEK_PASSPHRASE_FILE: f"{paths.KEYS}/current/passphrase",
            environment.WEBHOOK_KEY_FILE: f"{paths.KEYS}/webhooks",
        }


class Schema(pulumi.ComponentResource):
    """The job, the volume of its dumps, and the volume of the keys."""

    done: pulumi.Output[pulumi.Resource]
    """The server must depend on it."""
    keys: Keys

    def __init__(self, name: str, args: SchemaArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mlflow-postgres:index:Schema", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        backups, keys = (
            engine.volume(f"{name}-{what}", what, keep=args.keep_data, protect=args.protect_data, labels={}, opts=child)
            for what in ("backups", "keys")
        )
        sign_in = args.sign_in
        self.done = engine.run_once(
            f"{name}-job",
            ROLE,
            Task(
                image=args.image,
                # As the server: the job writes the keys that the server reads.
                user=users.NOBODY,
                command=["migrate"],
                environment={
                    **args.database.environment,
                    environment.POSTGRES_USER: args.server_user,
                    **PRIVATE_TABLES,
                    environment.CREDENTIALS_VERSION: str(args.credentials_version),
                    environment.SIGN_IN: "true" if sign_in else "false",
                    **(sign_in.job_environment if sign_in else {}),
                    # For the job's messages.
                    environment.BACKUPS_VOLUME: engine.object_name("backups"),
                },
                secret_files=[*args.database.secret_files, *(sign_in.administrator_files if sign_in else [])],
                secrets_version=str(args.credentials_version),
                mounts=[Mount(volume=backups.name, target=paths.BACKUPS), Mount(volume=keys.name, target=paths.KEYS)],
                memory_folders=[paths.HOME],
                scratch_folders=["/tmp"],
                networks=[args.network],
                limits=Limits(memory_mb=1536),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.keys = Keys(volume=keys.name)
        self.register_outputs({})
