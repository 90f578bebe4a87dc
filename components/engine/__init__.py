"""Container engines. `api` says what an engine can do, `docker_host` is one that can, `workload` is what it runs."""

from .api import Engine, EngineFactory, Network, Volume
from .docker_host import DockerHost

__all__ = [
    "DockerHost",
    "Engine",
    "EngineFactory",
    "Network",
    "Volume",
]
