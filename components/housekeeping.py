"""Housekeeping: a service that removes for good what was deleted in MLflow long enough ago, with its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from contract import paths, roles, users

from .database import Database
from .engine import SingleHost
from .workload import Limits, Mount, Probe, Workload

ROLE = roles.GC

# Its own words for why, in what the engine keeps of a failed probe. Not before it was found ready once (probing.py): a
# single folder that cannot be removed would end every `up`, and with it an upgrade.
_WELL = 'test -e "$HOME/collecting" && { ! test -e /dev/shm/ready || ! cat "$HOME/collecting-failed" 2>/dev/null; }'


@dataclass(frozen=True, kw_only=True)
class HousekeepingArgs:
    """What housekeeping needs to be told."""

    image: pulumi.Input[str]
    """MLflow's image."""
    network: pulumi.Input[str]
    database: Database
    """As the server's role sees it."""
    artifacts: pulumi.Input[str]
    """Name of the volume that the server keeps artifacts in."""
    after_days: int
    """How long what was deleted can still be restored."""
    starts_after: Sequence[pulumi.Resource] = ()


class Housekeeping(pulumi.ComponentResource):
    """The service. Ready when it has looked at the database, and later unhealthy while its last round failed."""

    def __init__(
        self, name: str, args: HousekeepingArgs, engine: SingleHost, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("mlflow-postgres:index:Housekeeping", name, None, opts)
        engine.run(
            f"{name}-server",
            ROLE,
            Workload(
                image=args.image,
                user=users.NOBODY,
                command=["collect-deleted", str(args.after_days)],
                environment=args.database.environment,
                secret_files=[args.database.pass_file],
                mounts=[Mount(volume=args.artifacts, target=paths.ARTIFACTS)],
                memory_folders=[paths.HOME],
                networks=[args.network],
                probe=Probe(command=["sh", "-c", _WELL], grace=20),
                limits=Limits(memory_mb=256),
            ),
            pulumi.ResourceOptions(parent=self, depends_on=list(args.starts_after)),
        )
        self.register_outputs({})
