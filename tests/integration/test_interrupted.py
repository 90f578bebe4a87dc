"""A killed `up`, at any moment: the next one converges by itself, with nothing orphaned and nothing lost.

In the order of one stack's life.
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


def test_an_up_that_was_killed_at_one_moment_after_another_is_finished_by_the_next(own_stack: Deployment) -> None:
    own_stack.configure(keepData=False)
    for moment in MOMENTS:
        # The engine may have finished what the killed run asked for.
        if moment(own_stack):
            own_stack.destroy()
            # An image that was built after its run was killed is in no state. The next run takes it over by its tag.
            assert {**own_stack.objects(), "images": set()} == NOTHING
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


def test_objects_of_another_state_are_not_touched(own_stack: Deployment) -> None:
    """A second checkout with a state of its own must not take the first one's containers for orphans."""
    before = own_stack.container("postgres").id
    other = dict(own_stack.environment)
    own_stack.environment["XDG_STATE_HOME"] = str(own_stack.folder / "other-state")
    try:
        own_stack.pulumi("stack", "init", own_stack.name)
        printed = own_stack.up(fails=True)
        assert "this state did not make it" in printed
        assert "make forget" in printed
    finally:
        own_stack.environment = other
    assert own_stack.container("postgres").id == before


def test_a_state_that_was_being_described_when_the_run_was_killed_is_read_again(own_stack: Deployment) -> None:
    descriptions = list((own_stack.state / ".pulumi" / "stacks").rglob("*.attrs"))
    assert descriptions
    for each in descriptions:
        each.write_bytes(b"")
    own_stack.preview_unchanged()


def test_a_stack_whose_passphrase_is_lost_for_good_begins_anew_on_the_same_data(own_stack: Deployment) -> None:
    owner = ("psql", "-U", "mlflow_owner", "-d", "mlflow", "-c")
    own_stack.execute("postgres", *owner, "CREATE TABLE mark AS SELECT 1")
    key = own_stack.execute("mlflow", "cat", "/keys/kek-2")
    (own_stack.state / "passphrase").unlink()
    assert "make forget" in own_stack.up(fails=True)
    own_stack.ops("forget")
    own_stack.pulumi("stack", "init", own_stack.name)
    own_stack.up()
    own_stack.execute("postgres", *owner, "SELECT * FROM mark")
    assert own_stack.execute("mlflow", "cat", "/keys/kek-2") == key


def test_a_destroy_that_was_killed_is_finished_by_the_next(own_stack: Deployment) -> None:
    def the_server_is_gone(stack: Deployment) -> bool:
        return f"{stack.prefix}-mlflow" not in stack.objects()["containers"]

    kill(own_stack, the_server_is_gone, "destroy")
    own_stack.destroy()
    assert own_stack.objects() == NOTHING
