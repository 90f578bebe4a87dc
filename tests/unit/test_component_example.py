"""examples/component: a program of another project that uses the platform as a library."""

from __future__ import annotations

import runpy

import pytest
import yaml

from components import DeploymentError

from .deploy import CHECKOUT
from .fake_engine import CONTAINER, PLATFORM, FakeEngine, plain

EXAMPLE = CHECKOUT / "examples" / "component"


def run(engine: FakeEngine, **changes: str) -> FakeEngine:
    project = yaml.safe_load((EXAMPLE / "Pulumi.yaml").read_text())
    config = {key: str(each["default"]) for key, each in project["config"].items()}
    return engine.run(lambda: runpy.run_path(str(EXAMPLE / "__main__.py")), config | changes)


@pytest.fixture(autouse=True)
def _in_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE)


def test_it_makes_a_platform_under_its_own_name(engine: FakeEngine) -> None:
    run(engine)
    assert engine.registered["tracking"].type == PLATFORM
    roles = {each.role for each in engine.of(CONTAINER).values() if not each.role.endswith("-courier")}
    assert roles == {"postgres", "schema", "mlflow"}
    names = {each.inputs["name"] for each in engine.of(CONTAINER).values()}
    assert all(name.startswith("tracking-dev-") for name in names), "it must not meet another stack's"
    assert plain(engine.exports)["tracking_url"] == "http://127.0.0.1:5001"


def test_an_open_address_is_refused_in_the_words_of_its_readme(engine: FakeEngine) -> None:
    with pytest.raises(DeploymentError) as error:
        run(engine, address="0.0.0.0")
    assert engine.registered == {}
    assert str(error.value) in " ".join((EXAMPLE / "README.md").read_text().split())
