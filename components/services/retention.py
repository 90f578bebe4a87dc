"""Retention: a service that permanently removes what was deleted in MLflow some days ago, and its artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import paths, roles, users

from ..database.server import DatabaseConnection
from ..engine import Engine
from ..engine.workload import Limits, Mount, Probe, Workload

ROLE = roles.GC

# It prints the reason of a failed round, so that Docker's record of the probe has it. Until the service has been ready
# once (see probing.py), a failed round does not fail the probe: otherwise one folder that cannot be removed would fail
# every `up`.
_PROBE = 'test -e "$HOME/collecting" && { ! test -e /dev/shm/ready || ! cat "$HOME/collecting-failed" 2>/dev/null; }'


@dataclass(frozen=True, kw_only=True)
class RetentionArgs:
    """Arguments of `Retention`."""

    image: pulumi.Input[str]
    """MLflow's image."""
    network: pulumi.Input[str]
    database: DatabaseConnection
    """As the server's role."""
    artifacts: pulumi.Input[str]
    """The volume of the artifacts."""
    after_days: int
    """Days for which deleted items can be restored."""
    starts_after: Sequence[pulumi.Resource] = ()


class Retention(pulumi.ComponentResource):
    """The service. Ready when it has queried the database once; later unhealthy while its last round has failed."""

    def __init__(
        self, name: str, args: RetentionArgs, engine: Engine, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # The type's name is older than the class's. Another one would replace the service in every stack.
        super().__init__("mlflow-postgres:index:Housekeeping", name, None, opts)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=args.image,
                user=users.NOBODY,
                command=["collect-deleted", str(args.after_days)],
                environment=args.database.environment,
                secret_files=args.database.secret_files,
                mounts=[Mount(volume=args.artifacts, target=paths.ARTIFACTS)],
                memory_folders=[paths.HOME],
                networks=[args.network],
                probe=Probe(command=["sh", "-c", _PROBE], grace=20),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.register_outputs({})
