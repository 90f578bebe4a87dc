"""A killed `up`, at any moment: the next one converges by itself, with nothing orphaned and nothing lost."""

from __future__ import annotations

import pytest

from .harness import NOTHING, Deployment, Moment, kill, running


def nothing_yet(stack: Deployment) -> bool:
    """As soon as the run holds its lock."""
    return any((stack.state / ".pulumi" / "locks").rglob("*.json"))


def a_network_is_there(stack: Deployment) -> bool:
    return bool(stack.objects()["networks"])


def the_database_starts(stack: Deployment) -> bool:
    return _runs(stack, "postgres")


def an_image_is_there(stack: Deployment) -> bool:
    return bool(stack.objects()["images"])


def the_schema_is_made(stack: Deployment) -> bool:
    return _runs(stack, "schema")


def the_server_starts(stack: Deployment) -> bool:
    return _runs(stack, "mlflow")


def _runs(stack: Deployment, role: str) -> bool:
    """The container is there and not ready: Pulumi is waiting for it, and no state knows it."""
    name = f"{stack.prefix}-{role}"
    return any(each.name == name and each.health != "healthy" for each in running(stack.engine))


MOMENTS: list[Moment] = [
    nothing_yet,
    a_network_is_there,
    an_image_is_there,
    the_database_starts,
    the_schema_is_made,
    the_server_starts,
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_an_up_that_was_killed_is_finished_by_the_next(own_stack: Deployment, moment: Moment) -> None:
    own_stack.configure(keepData=False)
    kill(own_stack, moment, "up")
    own_stack.up()
    own_stack.preview_unchanged()
    roles = ("postgres", "schema", "mlflow")
    containers = {f"{own_stack.prefix}-{role}{courier}" for role in roles for courier in ("", "-courier")}
    assert own_stack.objects()["containers"] == containers
    assert own_stack.ask()
    networks = {f"{own_stack.prefix}-{role}" for role in ("database", "tracking", "published")}
    assert own_stack.objects()["networks"] == networks
    assert len(own_stack.engine.networks.list(names=list(networks))) == len(networks), "a second network of a name"
    own_stack.destroy()
    assert own_stack.objects() == NOTHING


def test_a_destroy_that_was_killed_is_finished_by_the_next(own_stack: Deployment) -> None:
    own_stack.up()

    def the_server_is_gone(stack: Deployment) -> bool:
        return f"{stack.prefix}-mlflow" not in stack.objects()["containers"]

    kill(own_stack, the_server_is_gone, "destroy")
    own_stack.destroy()
    assert own_stack.objects() == NOTHING


def test_a_state_that_was_being_described_when_the_run_was_killed_is_read_again(own_stack: Deployment) -> None:
    own_stack.configure(keepData=False)
    own_stack.up()
    descriptions = list((own_stack.state / ".pulumi" / "stacks").rglob("*.attrs"))
    assert descriptions
    for each in descriptions:
        each.write_bytes(b"")
    own_stack.preview_unchanged()
    own_stack.destroy()
    assert own_stack.objects() == NOTHING


def test_objects_of_another_state_are_not_touched(own_stack: Deployment) -> None:
    """A second checkout with a state of its own must not take the first one's containers for orphans."""
    own_stack.up()
    before = own_stack.container("postgres").id
    other = dict(own_stack.environment)
    own_stack.environment["XDG_STATE_HOME"] = str(own_stack.room / "other-state")
    try:
        own_stack.pulumi("stack", "init", own_stack.name)
        printed = own_stack.up(fails=True)
        assert "this state did not make it" in printed
        assert "make forget" in printed
    finally:
        own_stack.environment = other
    assert own_stack.container("postgres").id == before
    own_stack.destroy()
