"""A killed `up`, at any moment: the next one converges by itself, with nothing orphaned and nothing lost.

In the order of one stack's life, which goes on in test_data.py.
"""

from __future__ import annotations

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


def test_an_up_that_was_killed_at_one_moment_after_another_is_finished_by_the_next(hurt_stack: Deployment) -> None:
    hurt_stack.configure(keepData=False)
    for moment in MOMENTS:
        # The engine may have finished what the killed run asked for.
        if moment(hurt_stack):
            hurt_stack.destroy()
            # An image that was built after its run was killed is in no state. The next run takes it over by its tag.
            assert {**hurt_stack.objects(), "images": set()} == NOTHING
        kill(hurt_stack, moment, "up")
    hurt_stack.up()
    hurt_stack.preview_unchanged()
    roles = ("postgres", "schema", "mlflow")
    containers = {f"{hurt_stack.prefix}-{role}{courier}" for role in roles for courier in ("", "-courier")}
    assert hurt_stack.objects()["containers"] == containers
    assert hurt_stack.ask()
    networks = {f"{hurt_stack.prefix}-{role}" for role in ("database", "tracking", "published")}
    assert hurt_stack.objects()["networks"] == networks
    assert len(hurt_stack.engine.networks.list(names=list(networks))) == len(networks), "a second network of a name"


def test_objects_of_another_state_are_not_touched(hurt_stack: Deployment) -> None:
    """A second checkout with a state of its own must not take the first one's containers for orphans."""
    before = hurt_stack.container("postgres").id
    other = dict(hurt_stack.environment)
    hurt_stack.environment["XDG_STATE_HOME"] = str(hurt_stack.folder / "other-state")
    try:
        hurt_stack.pulumi("stack", "init", hurt_stack.name)
        printed = hurt_stack.up(fails=True)
        assert "this state did not create it" in printed
        assert "make forget" in printed
    finally:
        hurt_stack.environment = other
    assert hurt_stack.container("postgres").id == before


def test_a_state_that_was_being_described_when_the_run_was_killed_is_read_again(hurt_stack: Deployment) -> None:
    descriptions = list((hurt_stack.state / ".pulumi" / "stacks").rglob("*.attrs"))
    assert descriptions
    for each in descriptions:
        each.write_bytes(b"")
    hurt_stack.preview_unchanged()


def test_a_stack_whose_passphrase_is_lost_for_good_begins_anew_on_the_same_data(hurt_stack: Deployment) -> None:
    owner = ("psql", "-U", "mlflow_owner", "-d", "mlflow", "-c")
    hurt_stack.execute("postgres", *owner, "CREATE TABLE mark AS SELECT 1")
    key = hurt_stack.execute("mlflow", "cat", "/keys/kek-2")
    (hurt_stack.state / "passphrase").unlink()
    assert "make forget" in hurt_stack.up(fails=True)
    hurt_stack.ops("forget")
    hurt_stack.pulumi("stack", "init", hurt_stack.name)
    hurt_stack.up()
    hurt_stack.execute("postgres", *owner, "SELECT * FROM mark")
    assert hurt_stack.execute("mlflow", "cat", "/keys/kek-2") == key
