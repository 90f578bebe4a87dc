"""Which indexes the schema job keeps, and which tables it takes a migration to touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_postgres.migration import revisions, tuning
from mlflow_postgres.migration.tuning import INDEXES, PREFIX, Index

TABLES = {table for table, _ in INDEXES.values()}


def test_every_index_can_be_known_by_its_name_under_which_another_fits_while_it_is_made() -> None:
    assert all(name.startswith(PREFIX) for name in INDEXES)
    # PostgreSQL would cut a longer one, and take two for one.
    assert all(len(f"{name}_{made}") < 64 for name in INDEXES for made in ("new", "old"))


def test_no_index_holds_the_whole_of_a_value_that_may_be_8000_characters_long() -> None:
    for table, definition in INDEXES.values():
        if table in ("params", "tags", "trace_tags", "trace_request_metadata") and not definition.endswith(
            " WHERE octet_length(value) <= 128"
        ):
            assert "value" not in definition.replace("left(value, 128)", ""), "logging a long one would be refused"


def test_an_index_of_another_list_and_one_that_is_not_whole_are_left_over() -> None:
    name = "mlflow_postgres_runs_newest"
    assert not tuning.is_obsolete(Index(name, "runs", True, None)), "it serves until its successor is there"
    assert tuning.is_obsolete(Index(name, "runs", False, None))
    assert tuning.is_obsolete(Index(f"{name}_old", "runs", True, None))


def test_what_an_index_was_made_as_tells_its_table_too() -> None:
    assert tuning.comment("runs", "(name)") != tuning.comment("tags", "(name)")


def test_the_class_of_every_table_with_an_index_is_known() -> None:
    assert revisions.CLASSES.keys() >= TABLES


@pytest.mark.parametrize(
    ("line", "touched"),
    [
        ("op.add_column('runs', sa.Column('x'))", {"runs"}),
        ('with op.batch_alter_table("latest_metrics") as batch: pass', {"latest_metrics"}),
        ('op.execute("UPDATE public.tags SET key = 1 WHERE key = 2")', {"tags"}),
        ('op.execute(f"ALTER TABLE params {what}")', {"params"}),
        ("for table in ['params', 'tags']: change(table)", {"params", "tags"}),
        ("from mlflow.store.tracking.dbmodels.models import SqlParam, SqlTraceInfo", {"params"}),
        ("op.drop_index('i', models.SqlLatestMetric.__tablename__)", {"latest_metrics"}),
        ("op.create_foreign_key('f', 'issues', ['run_uuid'], ['runs.run_uuid'])", set()),
        ("op.add_column('trace_tags', sa.Column('x'))", {"trace_tags"}),
        ("session.query(models.SqlTraceMetadata).delete()", {"trace_request_metadata"}),
        ("op.add_column('trace_metrics', sa.Column('x'))", set()),
        ("op.add_column('experiments', sa.Column('x'))  # runs once", set()),
    ],
)
def test_a_table_is_touched_that_a_migration_names(tmp_path: Path, line: str, touched: set[str]) -> None:
    script = tmp_path / "migration.py"
    script.write_text(f'"""It runs for all tags."""\n\ndef upgrade():\n    """It runs."""\n    {line}\n')
    other = tmp_path / "other.py"
    other.write_text("revision = 'a'\n")
    assert revisions.named_tables([other, script], TABLES) == touched


def test_a_migration_that_is_not_due_touches_nothing() -> None:
    assert revisions.named_tables([], TABLES) == set()
