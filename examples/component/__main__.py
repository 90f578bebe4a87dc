"""A program of another project. It uses the platform as one component, with settings of its own."""

from pathlib import Path

import pulumi

from components import Limits, MlflowOptions, Platform, PlatformArgs, PostgresOptions

config = pulumi.Config()

platform = Platform(
    "tracking",
    PlatformArgs(
        # Relative: the path is part of the stack's state.
        images=Path("../../images"),
        bind_address=config.require("address"),
        mlflow=MlflowOptions(port=config.require_int("port"), workers=2, limits=Limits(memory_mb=2048)),
        postgres=PostgresOptions(limits=Limits(memory_mb=1024)),
        keep_data=False,
    ),
)

pulumi.export("tracking_url", platform.outputs["tracking_url"])
pulumi.export("backend_store_uri", platform.outputs["backend_store_uri"])
