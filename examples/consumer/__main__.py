"""The program of another stack. It uses the platform only through its outputs."""

import pulumi
import pulumi_docker as docker

platform = pulumi.StackReference(pulumi.Config().require("platform"))

image = docker.RemoteImage(
    "job-image",
    name=f"mlflow-consumer-{pulumi.get_stack()}:latest",
    build=docker.RemoteImageBuildArgs(
        context=".",
        build_args={"MLFLOW_VERSION": platform.require_output("mlflow_version")},
        network_mode="host",
    ),
)
job = docker.Container(
    "job",
    name=f"mlflow-consumer-{pulumi.get_stack()}",
    image=image.image_id,
    envs=[pulumi.Output.format("MLFLOW_TRACKING_URI={}", platform.require_output("internal_tracking_url"))],
    network_mode="bridge",
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=platform.require_output("network_name"))],
    # The root file system is read-only; the job may write into /tmp, which disappears with the container.
    read_only=True,
    tmpfs={"/tmp": "size=64m"},
    capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
    security_opts=["no-new-privileges:true"],
    # The job runs once. `attach` waits for its end. With must_run, Pulumi would recreate a container that has ended.
    must_run=False,
    attach=True,
    logs=True,
    restart="no",
)

pulumi.export("exit_code", job.exit_code)
pulumi.export("logs", job.container_logs)
