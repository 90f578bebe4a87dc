"""A program of another project. It uses the platform as one component, with settings of its own."""

from pathlib import Path

import pulumi

from components import Limits, Platform, PlatformArgs

config = pulumi.Config()

platform = Platform(
    "tracking",
    PlatformArgs(
        # Relative: the path is part of the stack's state.
        images=Path("../../images"),
        bind_address=config.require("address"),
        mlflow_port=config.require_int("port"),
        workers=2,
        mlflow_limits=Limits(memory_mb=2048),
        postgres_limits=Limits(memory_mb=1024),
        keep_data=False,
    ),
)

pulumi.export("tracking_url", platform.outputs["tracking_url"])
pulumi.export("backend_store_uri", platform.outputs["backend_store_uri"])
