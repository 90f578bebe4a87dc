"""The engine is the caller's choice: one that knows nothing of Docker carries a whole platform."""

from __future__ import annotations

from pathlib import Path

import pulumi

from .deploy import CHECKOUT, EVERYTHING, everything, run_platform, services, switched_on
from .fake_engine import STACK, FakeEngine
from .toy_engine import ToyEngine

ME = "mlflow-postgres"


def on_a_toy_engine() -> tuple[ToyEngine, FakeEngine]:
    """A platform with everything switched on, and what Pulumi was asked for."""
    made: list[ToyEngine] = []

    def engine(prefix: str, deployment: pulumi.Input[str]) -> ToyEngine:
        made.append(ToyEngine(prefix, deployment))
        return made[0]

    registered = run_platform(FakeEngine(), engine=engine, **switched_on())
    (toy,) = made
    return toy, registered


def test_another_engine_can_run_the_whole_platform() -> None:
    toy, registered = on_a_toy_engine()
    assert set(toy.tasks) == {"schema"}
    assert set(toy.services) == services(everything()) - {"schema"}
    assert set(toy.images) == set(EVERYTHING.image_builds)
    networks = {role: (each.internal, each.outbound) for role, each in toy.networks.items()}
    assert networks == {
        "tracking": (False, True),
        "database": (True, True),
        "published": (False, False),
        "metrics": (False, False),
    }
    assert set(toy.volumes) == {"postgres-data", "backups", "keys", "mlflow-artifacts", "gateway-data"}
    assert all(each.keep for each in toy.volumes.values()), "data outlives the stack on every engine"
    docker = {name for name, each in registered.registered.items() if each.type.startswith("docker:")}
    assert docker == set(), "only `engine/docker_host.py` creates Docker resources"


def test_another_engine_gets_the_stack_and_its_deployment() -> None:
    toy, registered = on_a_toy_engine()
    assert toy.prefix == f"{ME}-{STACK}"
    deployments = [each.parent for name, each in registered.registered.items() if name == f"{ME}-deployment"]
    assert deployments == [ME], "its URN is part of every stack"


def test_another_engine_gives_the_same_outputs_and_the_same_order() -> None:
    _, registered = on_a_toy_engine()
    assert set(registered.exports) == set(everything().exports)
    assert f"{ME}-postgres-server" in registered.registered[f"{ME}-schema-job"].waits_for
    assert f"{ME}-schema-job" in registered.registered[f"{ME}-mlflow-server"].waits_for


def test_only_one_file_imports_docker() -> None:
    knowing = {
        path.relative_to(CHECKOUT / "components")
        for path in (CHECKOUT / "components").rglob("*.py")
        if "pulumi_docker" in path.read_text()
    }
    assert knowing == {Path("engine/docker_host.py")}
