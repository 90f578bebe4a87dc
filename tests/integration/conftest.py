"""The stacks that the tests share, and which tests run on which of them.

A profile is a stack that several modules use. All tests of a profile run in one worker, one after another, so that the
stack is brought up once. A module without a profile has a stack of its own, and is a group of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import docker
import pytest

from .everything import EverythingOn
from .harness import Deployment, deployment
from .production import example_for_a_team
from .small_volumes import held_volume, small_volume

HERE = Path(__file__).parent

PROFILES = {
    "everything_on": ("services", "doctor", "doctor_faults", "rotation", "secrets"),
    "stack": ("adminer", "bad_input", "consumer", "plan", "roles", "searches", "servers", "tracking", "metrics"),
    "hurt_stack": ("interrupted", "data"),
    # Modules with a stack of their own.
    "upgrade": ("upgrade",),
    "gc": ("gc",),
    "import_stack": (
        *("import", "import_database", "import_in_use", "turns", "pages"),
        # These switch sign-in on.
        *("import_users", "pages_sign_in"),
    ),
    "small_volumes": ("import_cut_short", "faults"),
    "production": ("gateway", "production"),
}
"""By the fixture of each profile, the modules that use it, in their order. What takes longest is first, so that no
worker is left with a long one at the end."""


def profile(module: str) -> str | None:
    return next((name for name, modules in PROFILES.items() if module.removeprefix("test_") in modules), None)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        module = item.path.stem
        # A module may have a fixture of the same name, which is a stack of its own.
        names = set(getattr(item, "fixturenames", ())) - set(dir(getattr(item, "module", None)))
        used = names & PROFILES.keys()
        assert used <= {profile(module)}, f"PROFILES must name {module} under {used}"
        item.add_marker("integration")
        item.add_marker(pytest.mark.xdist_group(profile(module) or module))
    place = {id(item): _place(item.path.stem) for item in ours}
    items.sort(key=lambda item: place.get(id(item), (-1, -1)))


def _place(module: str) -> tuple[int, int]:
    """The profiles come first, in their order."""
    name = profile(module)
    if name is None:
        return len(PROFILES), 0
    return list(PROFILES).index(name), PROFILES[name].index(module.removeprefix("test_"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With --keep-failed, keep the stacks of a test that failed and report what to do with them."""
    report = yield
    if report.failed and item.config.getoption("--keep-failed"):
        values = getattr(item, "funcargs", {}).values()
        stacks = [each for value in values for each in (value, getattr(value, "stack", None))]
        for stack in {each.name: each for each in stacks if isinstance(each, Deployment)}.values():
            stack.kept = True
            report.sections.append((f"kept: {stack.name}", stack.commands()))
    return report


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


class SharedStack:
    """The stack of the profile whose tests run in this worker at the moment, if any."""

    def __init__(self) -> None:
        self.profile: str | None = None
        self._value: object = None
        self._exit = ExitStack()

    def get(self, profile: str, bring_up: AbstractContextManager[object]) -> object:
        """What the context yields. It is entered by the first module of the profile."""
        if self.profile != profile:
            self._value = self._exit.enter_context(bring_up)
            self.profile = profile
        return self._value

    def remove(self) -> None:
        self.profile, self._value = None, None
        self._exit.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[SharedStack]:
    made = SharedStack()
    yield made
    made.remove()


@pytest.fixture(scope="module", autouse=True)
def _remove_the_stack_of_another_profile(request: pytest.FixtureRequest, shared: SharedStack) -> None:
    """An engine has address space for some 30 networks, and a stack takes three or four."""
    if shared.profile and shared.profile != profile(request.path.stem):
        shared.remove()


@pytest.fixture(scope="module")
def stack(engine: docker.DockerClient, shared: SharedStack) -> Deployment:
    """A stack with the defaults, Adminer and metrics, whose secrets were renewed once.

    Its tests change nothing, but for those of the metrics, which come last.
    """
    made = shared.get("stack", _default(engine))
    assert isinstance(made, Deployment)
    return made


@contextmanager
def _default(engine: docker.DockerClient) -> Iterator[Deployment]:
    with deployment(engine, adminer=True, metrics=True, credentialsVersion=2) as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def everything_on(engine: docker.DockerClient, shared: SharedStack) -> EverythingOn:
    """A stack with all services, sign-in and TLS, whose first start was disturbed twice."""
    made = shared.get("everything_on", _everything_on(engine))
    assert isinstance(made, EverythingOn)
    return made


@contextmanager
def _everything_on(engine: docker.DockerClient) -> Iterator[EverythingOn]:
    with deployment(engine) as made:
        yield EverythingOn(made)


@pytest.fixture(scope="module")
def hurt_stack(engine: docker.DockerClient, shared: SharedStack) -> Deployment:
    """A stack that is not up yet. Its commands are killed, its containers end, and it is destroyed twice."""
    made = shared.get("hurt_stack", deployment(engine))
    assert isinstance(made, Deployment)
    return made


@pytest.fixture(scope="module")
def production(engine: docker.DockerClient, shared: SharedStack) -> Deployment:
    """The stack of the example for a team, which the last of its tests destroys."""
    made = shared.get("production", example_for_a_team(engine))
    assert isinstance(made, Deployment)
    return made


@pytest.fixture(scope="module")
def import_stack(engine: docker.DockerClient, shared: SharedStack) -> Deployment:
    """A stack that old runs are imported into. A module gets it without any, by way of `empty_stack`."""
    made = shared.get("import_stack", _import_stack(engine))
    assert isinstance(made, Deployment)
    return made


@contextmanager
def _import_stack(engine: docker.DockerClient) -> Iterator[Deployment]:
    with deployment(engine, adminer=True) as made:
        made.up()
        made.remember_rows()
        yield made


@pytest.fixture(scope="module")
def empty_stack(import_stack: Deployment) -> Deployment:
    """The stack for imports as it was after its first `up`: no run, no artifact, no report of an import."""
    import_stack.restore_rows()
    return import_stack


@pytest.fixture(scope="module")
def small_volumes(engine: docker.DockerClient, shared: SharedStack) -> Deployment:
    """A stack whose data and artifacts are in memory, 700 MB and 4 MB, and soon full."""
    made = shared.get("small_volumes", _small_volumes(engine))
    assert isinstance(made, Deployment)
    return made


@contextmanager
def _small_volumes(engine: docker.DockerClient) -> Iterator[Deployment]:
    with deployment(engine) as made:
        # A command that is killed cannot remove its temporary files.
        made.environment["TMPDIR"] = str(made.folder)
        small_volume(made, "postgres-data", 700, user=999)
        small_volume(made, "mlflow-artifacts", 4, user=65534)
        made.up()
        with held_volume(made, "postgres-data"), held_volume(made, "mlflow-artifacts"):
            yield made
