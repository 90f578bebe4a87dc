"""What is taken out of the copy of a store, and under which names the rest comes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, String
from sqlalchemy import Table as Model

from mlflow_postgres.errors import Failed
from mlflow_postgres.importing import copies, links, load
from mlflow_postgres.importing.tables import EXPERIMENT, MODEL, StoredColumn, Table, import_tables

SCHEMA = {
    "experiments": "experiment_id name artifact_location workspace",
    "registered_models": "workspace name",
    "runs": "run_uuid experiment_id",
    "issues": "issue_id experiment_id source_run_id",
    "trace_info": "request_id experiment_id",
    "logged_models": "model_id experiment_id",
    "tags": "key run_uuid value",
    "trace_tags": "key request_id value",
    "logged_model_tags": "tag_key model_id tag_value",
    "entity_associations": "source_type source_id destination_type destination_id",
    "inputs": "input_uuid source_id destination_id",
    "input_tags": "input_uuid name",
    "rollups": "id experiment_id",
    "model_versions": "workspace name version source",
    "model_version_tags": "workspace name version key",
    "secrets": "secret_id",
}
KEYS = {
    "experiments": 1,
    "registered_models": 2,
    "tags": 2,
    "trace_tags": 2,
    "logged_model_tags": 2,
    "entity_associations": 4,
    "model_versions": 3,
    "model_version_tags": 4,
    "input_tags": 2,
}
NUMBERS = {"experiment_id", "version", "id"}
REFERENCES = {
    "runs": [("experiment_id", "experiments", "experiment_id")],
    "issues": [("experiment_id", "experiments", "experiment_id"), ("source_run_id", "runs", "run_uuid")],
    "tags": [("run_uuid", "runs", "run_uuid")],
    "trace_info": [("experiment_id", "experiments", "experiment_id")],
    "logged_models": [("experiment_id", "experiments", "experiment_id")],
    "input_tags": [("input_uuid", "inputs", "input_uuid")],
    "model_versions": [("workspace name", "registered_models", "workspace name")],
    "model_version_tags": [("workspace name version", "model_versions", "workspace name version")],
}


PROMPTS = "mlflow.linkedPrompts"
LINKED = '[{"name": "m", "version": "3"}, {"name": "n", "version": "1"}]'

CONTENTS: dict[str, list[tuple[Any, ...]]] = {
    "experiments": [(0, "Default", "/0", "default"), (1, "one", "/1", "default"), (2, "two", "/2", "team")],
    "registered_models": [("default", "m"), ("default", "n"), ("team", "m")],
    "runs": [("a", 1), ("b", 2)],
    "issues": [("i", 1, "b"), ("j", 1, "a")],
    "trace_info": [("t", 1), ("u", 2)],
    "logged_models": [("o", 1)],
    "tags": [("k", "a", "m"), ("k", "b", "m"), (PROMPTS, "a", LINKED), (PROMPTS, "b", LINKED)],
    "trace_tags": [(PROMPTS, "t", LINKED), ("mine", "t", LINKED), (PROMPTS, "u", "no list")],
    "logged_model_tags": [(PROMPTS, "o", LINKED)],
    "entity_associations": [
        ("evaluation_dataset", "e", "experiment", "1"),
        ("evaluation_dataset", "e", "experiment", "2"),
        ("experiment", "2", "run", "b"),
        ("trace", "t", "prompt_version", "m/3"),
        ("trace", "t", "prompt_version", "mm/3"),
        ("trace", "u", "prompt_version", "m/3"),
    ],
    "inputs": [("x", "d", "a"), ("y", "d", "b")],
    "input_tags": [("x", "n"), ("y", "n")],
    "rollups": [(1, 1), (2, 2)],
    "model_versions": [
        ("default", "m", 1, "models:/m/1"),
        ("default", "n", 1, "models:/mm/1"),
        ("team", "m", 1, ""),
    ],
    "model_version_tags": [("default", "m", 1, "k")],
    "secrets": [("s",)],
}


def models() -> list[Model]:
    """The tables as MLflow describes them to SQLAlchemy."""
    metadata = MetaData()
    for name, names in SCHEMA.items():
        key = names.split()[: KEYS.get(name, 1)]
        columns = [
            Column(each, Integer() if each in NUMBERS else String(), primary_key=each in key) for each in names.split()
        ]
        references = [
            ForeignKeyConstraint(
                ours.split(),
                [f"{parent}.{each}" for each in theirs.split()],
                ondelete="SET NULL" if ours == "source_run_id" else None,
            )
            for ours, parent, theirs in REFERENCES.get(name, [])
        ]
        Model(name, metadata, *columns, *references)
    return list(metadata.tables.values())


def stored(**types: str) -> dict[tuple[str, str], StoredColumn]:
    return {
        (table, name): StoredColumn(
            type=types.get(name, "integer" if name in NUMBERS else "character varying"),
            length=36 if name == "destination_id" else None,
            nullable=name == "source_run_id",
        )
        for table, names in SCHEMA.items()
        for name in names.split()
    }


def tables() -> list[Table]:
    return import_tables(models(), stored(), {table: names.split() for table, names in SCHEMA.items()})


@pytest.fixture
def copy() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for table, names in SCHEMA.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(names.split())})")
        for table, found in CONTENTS.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(found[0]))})", found)
        connection.commit()
        yield connection


def rows(copy: sqlite3.Connection, table: str) -> list[Any]:
    return (
        copy.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        if " " in SCHEMA[table]
        else copy.execute(f"SELECT * FROM {table}").fetchall()
    )


def named(name: str) -> Table:
    return next(table for table in tables() if table.name == name)


def test_tables_come_parents_first_with_what_their_columns_refer_to_in_the_end() -> None:
    assert [table.name for table in tables()] == list(SCHEMA)
    assert named("issues").indexes(EXPERIMENT) == [1]
    assert named("rollups").indexes(EXPERIMENT) == [1], "it holds one without saying so"
    assert named("model_version_tags").indexes(MODEL) == [1], "by way of the version"
    assert (named("experiments").counter, named("rollups").counter, named("runs").counter) == (
        "experiment_id",
        "id",
        None,
    )


def test_a_column_that_only_one_side_has_is_not_written() -> None:
    ours, theirs = stored(), {table: names.split() for table, names in SCHEMA.items()}
    del ours["experiments", "artifact_location"], theirs["secrets"]
    theirs["tags"] = ["key", "run_uuid", "value", "theirs"]
    found = {table.name: table.names for table in import_tables(models(), ours, theirs)}
    assert found["experiments"] == ["experiment_id", "name", "workspace"]
    assert found["tags"] == ["key", "run_uuid", "value"]
    assert "secrets" not in found


def test_a_type_that_nobody_knows_is_not_guessed_at() -> None:
    with pytest.raises(Failed, match=r"issues\.source_run_id has the type inet"):
        import_tables(models(), stored(source_run_id="inet"), {table: names.split() for table, names in SCHEMA.items()})


def test_what_does_not_come_along_is_counted_with_the_reason(copy: sqlite3.Connection) -> None:
    assert copies.empty_excluded_tables(copy, tables()) == [
        "1 of secrets not imported: they are encrypted with a key of the old server: enter the keys of the models again"
    ]
    assert rows(copy, "secrets") == []


def test_rows_whose_run_is_gone_are_taken_out_and_counted(copy: sqlite3.Connection) -> None:
    assert copies.delete_orphans(copy, tables()) == []
    copy.execute("DELETE FROM runs WHERE run_uuid = 'b'")
    copy.execute("DELETE FROM entity_associations WHERE source_id = 'b'")
    assert copies.delete_orphans(copy, tables()) == [
        "1 of issues changed: they refer to a missing row of runs",
        "2 of tags not imported: they have no row of runs",
    ]
    assert rows(copy, "issues") == [("i", 1, None), ("j", 1, "a")]


def test_an_experiment_goes_with_everything_that_is_its(copy: sqlite3.Connection) -> None:
    copies.delete(copy, tables(), [1], [("default", "m")])
    assert rows(copy, "experiments") == [(0, "Default", "/0", "default"), (2, "two", "/2", "team")]
    assert (rows(copy, "runs"), {run for _, run, _ in rows(copy, "tags")}) == ([("b", 2)], {"b"})
    assert rows(copy, "inputs") == [("y", "d", "b")], "its run is named there without a foreign key"
    assert rows(copy, "input_tags") == [("y", "n")]
    assert rows(copy, "rollups") == [(2, 2)]
    assert rows(copy, "registered_models") == [("default", "n"), ("team", "m")]
    assert [row[:2] for row in rows(copy, "model_versions")] == [("default", "n"), ("team", "m")]
    assert rows(copy, "model_version_tags") == []


def test_another_name_is_in_every_place_of_the_old_one_and_in_no_other(copy: sqlite3.Connection) -> None:
    copies.rename(copy, tables(), [(1, "one (imported)")], [("default", "m", "m (imported)")])
    assert rows(copy, "experiments")[1] == (1, "one (imported)", "/1", "default")
    assert rows(copy, "registered_models") == [("default", "m (imported)"), ("default", "n"), ("team", "m")]
    assert rows(copy, "model_versions") == [
        ("default", "m (imported)", 1, "models:/m (imported)/1"),
        ("default", "n", 1, "models:/mm/1"),
        ("team", "m", 1, ""),
    ]
    assert rows(copy, "model_version_tags") == [("default", "m (imported)", 1, "k")]


def test_an_experiment_is_in_use_when_anything_is_its(copy: sqlite3.Connection) -> None:
    assert [copies.in_use(copy, tables(), each) for each in (0, 1, 2)] == [False, True, True]


def test_rows_are_counted_and_taken_out_by_their_keys(copy: sqlite3.Connection) -> None:
    assert copies.counts(copy, tables())["runs"] == 2
    assert copies.delete_keys(copy, named("runs"), [("a",), ("c",)]) == 1
    assert rows(copy, "runs") == [("b", 2)]


def test_an_association_with_an_experiment_that_does_not_come_along_stays_behind(copy: sqlite3.Connection) -> None:
    copy.execute("DELETE FROM experiments WHERE experiment_id = 1")
    assert "1 of entity_associations not imported: they have no row of experiments" in copies.delete_orphans(
        copy, tables()
    )
    found = [row for row in rows(copy, "entity_associations") if "experiment" in row]
    assert found == [("evaluation_dataset", "e", "experiment", "2"), ("experiment", "2", "run", "b")]


def test_an_experiment_that_only_an_association_names_is_in_use(copy: sqlite3.Connection) -> None:
    copy.execute("INSERT INTO entity_associations VALUES ('evaluation_dataset', 'e', 'experiment', '0')")
    assert copies.in_use(copy, tables(), 0)


def test_links_to_a_prompt_name_it_as_it_is_called_now(copy: sqlite3.Connection) -> None:
    assert copies.rename(copy, tables(), [], [("default", "m", "m (imported)")]) == []
    renamed = LINKED.replace('"m"', '"m (imported)"')
    assert [row for row in rows(copy, "tags") if row[0] == PROMPTS] == [
        (PROMPTS, "a", renamed),
        (PROMPTS, "b", LINKED),
    ], "in a workspace where the name is another one's it stays"
    assert rows(copy, "trace_tags") == [("mine", "t", LINKED), (PROMPTS, "t", renamed), (PROMPTS, "u", "no list")]
    assert rows(copy, "logged_model_tags") == [(PROMPTS, "o", renamed)]
    prompts = [(trace, prompt) for _, trace, kind, prompt in rows(copy, "entity_associations") if kind[0] == "p"]
    assert sorted(prompts) == [("t", "m (imported)/3"), ("t", "mm/3"), ("u", "m/3")]


def test_a_link_that_mlflow_has_no_room_for_stays_behind_and_is_counted(copy: sqlite3.Connection) -> None:
    (said,) = copies.rename(copy, tables(), [], [("default", "m", "m" * 35)])
    assert said.startswith("1 of entity_associations not imported")
    assert ("t", "m/3") not in [row[1::2] for row in rows(copy, "entity_associations")]


def test_a_link_that_only_sqlite_has_room_for_stays_behind_and_is_counted(copy: sqlite3.Connection) -> None:
    long = ("trace", "t", "prompt_version", f"{'m' * 35}/1")
    copy.execute("INSERT INTO entity_associations VALUES (?, ?, ?, ?)", long)
    said = copies.delete_orphans(copy, tables())
    assert [each for each in said if "too long" in each] == [
        "1 of entity_associations not imported: the name of their prompt is too long for PostgreSQL's column"
    ]
    assert long not in rows(copy, "entity_associations")


def test_an_experiments_number_in_a_key_is_never_taken_for_one_that_is_here() -> None:
    keys = [("trace", "experiment", "run", "a"), ("evaluation_dataset", "e", "experiment", "1")]
    assert [links.with_experiment(named("entity_associations"), key) for key in keys] == [False, True]
    assert not links.with_experiment(named("runs"), ("experiment",))


def test_rows_are_found_by_what_few_keys_are_listed_of() -> None:
    written = tables()
    indexed = {("tags", "run_uuid"), ("model_version_tags", "workspace")}

    def found(name: str) -> tuple[list[str], str]:
        columns, owner = load._lookup_columns(named(name), written, indexed)
        return list(columns), owner.name

    assert found("runs") == (["run_uuid"], "runs")
    assert found("tags") == (["run_uuid"], "runs")
    assert found("model_version_tags") == (["workspace", "name", "version", "key"], "model_version_tags")
    assert found("rollups") == (["id"], "rollups"), "an experiment may have more rows than those that came"
