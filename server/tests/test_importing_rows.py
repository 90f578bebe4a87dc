"""What an import makes of values, ids, names and addresses. That PostgreSQL takes it is in test_importing_stores.py."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from mlflow_postgres.errors import Refused
from mlflow_postgres.importing.addresses import (
    Addresses,
    experiments_in_list,
    experiments_in_span,
    is_server_address,
    new_location,
    renumbered_location,
)
from mlflow_postgres.importing.changes import Changes, change_rows
from mlflow_postgres.importing.comparison import TableComparison, Tally, compare
from mlflow_postgres.importing.plans import Experiment, Plan, can_keep_id, make_plan, refuse_clashes, renamed
from mlflow_postgres.importing.tables import EXPERIMENT, Cell, Column, Kind, Table
from mlflow_postgres.importing.values import convert_batches


def table(name: str, *columns: Column, key: tuple[str, ...] = (), counter: str | None = None) -> Table:
    return Table(name=name, columns=columns, key=key or (columns[0].name,), counter=counter)


def column(name: str, kind: Kind = Kind.TEXT, *, root: Cell | None = None, length: int | None = None) -> Column:
    bits = 32 if kind is Kind.INTEGER else 0
    return Column(name=name, kind=kind, root=root or ("here", name), bits=bits, length=length)


def number(name: str = "experiment_id") -> Column:
    return column(name, Kind.INTEGER, root=EXPERIMENT)


RUNS = table("runs", column("run_uuid"), number(), column("artifact_uri"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/home/me/mlruns/1", "mlflow-artifacts:/7"),
        ("/home/me/mlruns/1/abc/artifacts", "mlflow-artifacts:/7/abc/artifacts"),
        ("/home/me/mlruns/12/abc/artifacts", "/home/me/mlruns/12/abc/artifacts"),
        ("/home/me/mlruns/1/nested/abc", "mlflow-artifacts:/8/abc"),
        ("s3://bucket/home/me/mlruns/1", "s3://bucket/home/me/mlruns/1"),
        ("models:/m-1", "models:/m-1"),
        ("", ""),
    ],
)
def test_an_address_moves_with_the_longest_location_that_it_is_below(old: str, new: str) -> None:
    addresses = Addresses({"/home/me/mlruns/1/": "mlflow-artifacts:/7", "/home/me/mlruns/1/nested": new_location(8)})
    assert addresses.translate(old) == new


def test_a_location_changes_its_number_only_where_that_is_its_last_part() -> None:
    assert renumbered_location("mlflow-artifacts:/5", 5, 12) == "mlflow-artifacts:/12"
    assert renumbered_location("mlflow-artifacts:/5/more", 5, 12) == "mlflow-artifacts:/5/more"
    assert is_server_address("mlflow-artifacts:/5")
    assert not is_server_address("/mlruns/5")
    assert not is_server_address("mlflow-artifacts://host:5000/5"), "whoever follows it is led there"


def test_experiments_that_a_span_or_a_prompt_names_get_their_new_ids() -> None:
    content = '{"attributes": {"mlflow.experimentId": "\\"5\\"", "other": "5"}}'
    assert experiments_in_span(content, {5: 12}) == content.replace('\\"5\\"', '\\"12\\"')
    assert experiments_in_span('{"mlflow.experimentId": "6"}', {5: 12}) == '{"mlflow.experimentId": "6"}'
    assert experiments_in_list(",1,2,", {1: 2, 2: 3}) == ",2,3,"


def test_ids_and_addresses_of_a_row_are_changed_and_nothing_else_is() -> None:
    change = change_rows(RUNS, Changes(experiments={1: 7}, addresses=Addresses({"/old/1": new_location(7)})))
    assert change is not None
    row: list[Any] = ["1", 1, "/old/1/1/artifacts"]
    change(row)
    assert row == ["1", 7, "mlflow-artifacts:/7/1/artifacts"]
    empty: list[Any] = ["1", None, None]
    change(empty)
    assert empty == ["1", None, None]


def test_what_stays_the_same_is_not_even_looked_at() -> None:
    assert change_rows(RUNS, Changes(experiments={0: 0, 1: 1})) is None
    metrics = table("metrics", column("key"), column("value", Kind.FLOAT), column("run_uuid"))
    assert change_rows(metrics, Changes(experiments={1: 7}, addresses=Addresses({"/old/1": new_location(7)}))) is None


def test_a_row_of_an_experiment_that_nobody_knows_is_refused() -> None:
    change = change_rows(RUNS, Changes(experiments={1: 7}))
    assert change is not None
    with pytest.raises(Refused, match="belongs to the experiment 2"):
        change(["1", 2, None])


def test_the_tags_that_hold_ids_or_addresses_are_changed() -> None:
    tags = table("trace_tags", column("key"), column("value"), column("request_id"))
    change = change_rows(tags, Changes(experiments={1: 7}, addresses=Addresses({"/old/1": new_location(7)})))
    assert change is not None
    rows = [["mlflow.artifactLocation", "/old/1/traces/t"], ["_mlflow_experiment_ids", ",1,"], ["mine", "/old/1"]]
    for row in rows:
        change(row)
    assert [value for _, value in rows] == ["mlflow-artifacts:/7/traces/t", ",7,", "/old/1"]


def test_numbers_that_postgresql_gives_by_itself_are_moved_out_of_the_way() -> None:
    rollups = table("rollups", column("id", Kind.INTEGER, root=("rollups", "id")), number(), counter="id")
    change = change_rows(rollups, Changes(experiments={1: 1}, numbers={("rollups", "id"): 100}))
    assert change is not None
    row: list[Any] = [3, 1]
    change(row)
    assert row == [103, 1]


def test_the_first_experiment_keeps_the_location_and_the_stage_that_it_has_here() -> None:
    experiments = table("experiments", number(), column("artifact_location"), column("lifecycle_stage"))
    kept = {"lifecycle_stage": "active", "artifact_location": new_location(0)}
    change = change_rows(experiments, Changes(experiments={0: 0, 1: 1}, default=kept))
    assert change is not None
    rows: list[list[Any]] = [[0, "/old/0", "deleted"], [1, "/old/1", "deleted"]]
    for row in rows:
        change(row)
    assert rows == [[0, "mlflow-artifacts:/0", "active"], [1, "/old/1", "deleted"]]


def test_an_association_names_an_experiment_by_its_new_id_and_nothing_else_is_taken_for_one() -> None:
    names = ("source_type", "source_id", "destination_type", "destination_id")
    change = change_rows(table("entity_associations", *map(column, names)), Changes(experiments={1: 7, 7: 9}))
    assert change is not None
    rows = [
        ["evaluation_dataset", "1", "experiment", "1"],
        ["experiment", "7", "run", "7"],
        ["trace", "1", "prompt_version", "1"],
    ]
    for row in rows:
        change(row)
    assert rows == [
        ["evaluation_dataset", "1", "experiment", "7"],
        ["experiment", "9", "run", "7"],
        ["trace", "1", "prompt_version", "1"],
    ]


@pytest.mark.parametrize(
    ("kind", "held", "becomes"),
    [
        (Kind.INTEGER, 5, 5),
        (Kind.INTEGER, 5.0, 5),
        (Kind.FLOAT, 1, 1.0),
        (Kind.FLOAT, float("inf"), float("inf")),
        (Kind.BOOLEAN, 1, True),
        (Kind.BOOLEAN, 0, False),
        (Kind.TEXT, "ä", "ä"),
        (Kind.TEXT, b"\xc3\xa4", "ä"),
        (Kind.TEXT, 5, "5"),
        (Kind.JSON, '{"a": 1}', '{"a": 1}'),
        (Kind.BYTES, b"\0", b"\0"),
        (Kind.DATE, "2026-01-02", date(2026, 1, 2)),
        (Kind.DATE, "2026-01-02 00:00:00", date(2026, 1, 2)),
        (Kind.TEXT, None, None),
    ],
)
def test_a_value_becomes_one_of_its_columns_type(kind: Kind, held: object, becomes: object) -> None:
    ((found,),) = convert_batches(table("t", column("c", kind)))([[held]])
    assert (found, type(found)) == (becomes, type(becomes))


@pytest.mark.parametrize(
    ("kind", "held", "why"),
    [
        (Kind.INTEGER, "five", "is not an integer"),
        (Kind.INTEGER, 5.5, "is not an integer"),
        (Kind.INTEGER, 2**31, "does not fit into PostgreSQL's 32 bits"),
        (Kind.FLOAT, "five", "is not a number"),
        (Kind.BOOLEAN, 2, "is not a boolean"),
        (Kind.TEXT, "a\0b", "contains a NUL character"),
        (Kind.TEXT, "abcd", "is 4 characters long, and PostgreSQL's column holds 3"),
        (Kind.TEXT, b"\xff", "is not UTF-8"),
        (Kind.JSON, "{", "is not JSON"),
        (Kind.DATE, "yesterday", "is not a date"),
    ],
)
def test_a_value_that_postgresql_cannot_hold_is_refused_with_its_table_column_and_key(
    kind: Kind, held: object, why: str
) -> None:
    params = table("params", column("key"), column("value", kind, length=3))
    with pytest.raises(Refused, match=rf"the column params\.value has a value that {why}.*the row with key 'lr'"):
        convert_batches(params)([["other", None], ["lr", held]])


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        (Kind.INTEGER, [1, None, -(2**31), 2.0]),
        (Kind.TEXT, ["abc", None, 5, b"x"]),
        (Kind.FLOAT, [0.5, None, 1, b"-0.0"]),
        (Kind.BOOLEAN, [0, None, 1]),
        (Kind.TEXT, [None]),
    ],
)
def test_values_of_many_rows_become_what_each_of_them_would(kind: Kind, held: list[Any]) -> None:
    convert = convert_batches(table("t", column("c", kind, length=3)))
    alone = [repr(row) for each in held for row in convert([[each]])]
    assert [repr(row) for row in convert([[each] for each in held])] == alone


def test_an_id_that_will_be_another_one_may_be_of_any_size_before() -> None:
    large = [["r", 10**17, "x" * 999]]
    with pytest.raises(Refused):
        convert_batches(RUNS)(large)
    assert convert_batches(RUNS.without_limits())(large) == large


def test_a_tally_knows_rows_in_any_order_and_every_difference_in_one() -> None:
    def tally(*rows: list[object]) -> Tally:
        found = Tally()
        found.add(rows)
        return found

    one: list[object] = ["loss", -1.0, 1]
    assert tally(one, ["a"]) == tally(["a"], one)
    for other in (["loss", -2.0, 1], ["loss", -1.0, True], ["loss", -1.0, None], ["loss ", -1.0, 1]):
        assert tally(one) != tally(list(other)), f"{other} is another row"
    assert tally(one, one) != tally(one)


def test_a_table_is_the_same_only_when_its_rows_were_counted_read_and_found_alike() -> None:
    tally, other = Tally(rows=1, total=5), Tally(rows=1, total=6)
    assert [each.same for each in compare({"runs": 1}, {"runs": tally}, {"runs": tally})] == [True]
    assert not TableComparison(table="runs", expected=2, read=tally, found=tally).same
    assert not TableComparison(table="runs", expected=1, read=tally, found=other).same
    assert not compare({"runs": 1}, {}, {})[0].same


DEFAULT = Experiment(id=0, workspace="default", name="Default")
MINE = Experiment(id=1, workspace="default", name="mine")


def plan(
    theirs: list[Experiment], ours: list[Experiment], *, used: bool = False, full: bool = True, models: str = ""
) -> Plan:
    """A plan; `used` says that something is in our first experiment, `full` that something is in theirs."""
    return make_plan(
        theirs,
        ours,
        [("default", "model")],
        [("default", name) for name in models.split()],
        our_default_is_empty=not used,
        their_default_is_empty=not full,
    )


def test_into_an_empty_database_everything_comes_as_it_is() -> None:
    found = plan([DEFAULT, MINE], [DEFAULT])
    assert (found.keep_ids, found.replaces_default, found.clashes) == (True, True, [])


def test_a_first_experiment_without_anything_in_it_is_in_nobodys_way() -> None:
    found = plan([DEFAULT, MINE], [DEFAULT], used=True, full=False)
    assert (found.empty_default, found.replaces_default, found.clashes) == (True, False, [])


def test_the_name_of_the_first_experiment_is_kept_and_so_another_one_may_not_have_it() -> None:
    theirs = [
        Experiment(id=0, workspace="default", name="first"),
        Experiment(id=5, workspace="default", name="Default"),
    ]
    found = plan(theirs, [DEFAULT])
    assert (found.replaces_default, found.clashes) == (True, ["experiment 'Default'"])


def test_names_that_are_taken_are_named() -> None:
    found = plan([DEFAULT, MINE], [DEFAULT, MINE], used=True, models="model other")
    assert (found.keep_ids, found.replaces_default) == (False, False)
    assert found.clashes == ["experiment 'Default'", "experiment 'mine'", "model 'model'"]
    with pytest.raises(
        Refused, match=r"experiment 'Default', experiment 'mine', model 'model': the name exists already"
    ):
        refuse_clashes(found)


def test_the_same_name_in_another_workspace_is_another_name() -> None:
    theirs = Experiment(id=5, workspace="team", name="mine")
    assert plan([theirs], [DEFAULT, MINE]).clashes == []


def test_a_new_name_is_one_that_nobody_has() -> None:
    assert renamed("mine", {"mine"}) == "mine (imported)"
    assert renamed("mine", {"mine", "mine (imported)"}) == "mine (imported 2)"
    with pytest.raises(Refused, match="is too long for"):
        renamed("x" * 250, set())


def test_an_id_that_leaves_no_room_for_others_is_not_kept() -> None:
    assert [can_keep_id(each) for each in (1, 10**9)] == [True, True]
    assert [can_keep_id(each) for each in (10**9 + 1, 846_123_456_789_012_345, -1)] == [False, False, False]
