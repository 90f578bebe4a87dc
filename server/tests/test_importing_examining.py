"""What PostgreSQL cannot hold: replaced where one character is in the way, listed all at once where it is more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_postgres.errors import Refused
from mlflow_postgres.importing.addresses import Addresses
from mlflow_postgres.importing.changes import Changes
from mlflow_postgres.importing.examination import SHOWN, Examination, check_addresses, examine, report
from mlflow_postgres.importing.options import Options
from mlflow_postgres.importing.plans import Clash
from mlflow_postgres.importing.repairs import NO_NUL, NO_NULL, repaired
from mlflow_postgres.importing.tables import EXPERIMENT, Column, Kind, Table
from mlflow_postgres.importing.values import canonical, shown

OPTIONS = Options(store=Path("mlflow.db"), source_name="", clash=Clash.REFUSE, dry_run=True, artifact_folders={})


def column(name: str, kind: Kind = Kind.TEXT, **more: Any) -> Column:
    return Column(name=name, kind=kind, **{"root": ("t", name), "bits": 32 if kind is Kind.INTEGER else 0, **more})


PARAMS = Table(
    name="params",
    columns=(
        column("key", length=20),
        column("value", length=8, nullable=False),
        column("step", Kind.INTEGER),
        column("inputs", Kind.JSON),
    ),
    key=("key",),
    rules=("key <> 'forbidden'",),
)


@pytest.fixture
def copy() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE params (key VARCHAR PRIMARY KEY, value VARCHAR, step BIGINT, inputs JSON)")
        yield connection


def fill(copy: sqlite3.Connection, *rows: tuple[str, str, str, str]) -> None:
    """Rows of values as SQL has them."""
    for row in rows:
        copy.execute(f"INSERT INTO params VALUES ({', '.join(row)})")
    copy.commit()


def looked_at(copy: sqlite3.Connection, *tables: Table) -> Examination:
    rows = {table.name: copy.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in tables}
    return examine(copy, tables, rows)


@pytest.mark.parametrize(
    ("kind", "held", "becomes", "replaced"),
    [
        (Kind.TEXT, "a\0b", "a\ufffdb", NO_NUL),
        (Kind.TEXT, b"a\xed\xa0\x80b", "a\ufffdb", NO_NUL),
        (Kind.TEXT, b"\xed\xa0\xbd\xed\xb8\x80", "\U0001f600", NO_NUL),
        (Kind.TEXT, "NaN", "NaN", ""),
        (Kind.TEXT, b"\xff", b"\xff", ""),
        (Kind.JSON, '{"q": NaN, "r": [-Infinity, Infinity]}', '{"q": null, "r": [null, null]}', NO_NULL),
        (Kind.JSON, r'{"NaN \" Infinity": 1.50}', r'{"NaN \" Infinity": 1.50}', ""),
        (Kind.JSON, float("inf"), "null", NO_NULL),
        (Kind.JSON, "NaN", "null", NO_NULL),
        (Kind.JSON, 5, 5, ""),
        (Kind.FLOAT, "NaN", "NaN", ""),
    ],
)
def test_one_character_is_replaced_and_the_rest_stays(kind: Kind, held: object, becomes: object, replaced: str) -> None:
    assert repaired(kind, held) == (becomes, replaced)


def test_what_is_replaced_is_counted_and_is_what_is_compared_later(copy: sqlite3.Connection) -> None:
    fill(
        copy,
        ("'a'", "'x' || char(0)", "1", """'{"q": NaN}'"""),
        ("'b'", "CAST(x'c3a4' AS BLOB)", "2.0", "9e999"),
        ("'c' || char(0)", "'fine'", "NULL", "NULL"),
    )
    found = looked_at(copy, PARAMS)
    assert list(found.notes()) == [
        "4 value(s) repaired, which PostgreSQL cannot hold: 1 of params.key: U+FFFD instead of NUL or a lone "
        "surrogate; 1 of params.value: U+FFFD instead of NUL or a lone surrogate; 2 of params.inputs: null instead of "
        "NaN or Infinity"
    ]
    assert copy.execute("SELECT * FROM params").fetchall() == [
        ("a", "x\ufffd", 1, '{"q": null}'),
        ("b", "ä", 2, "null"),
        ("c\ufffd", "fine", None, None),
    ]
    report(found, OPTIONS)


def test_everything_that_is_wrong_is_named_at_once(
    copy: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(
        copy,
        ("'long'", "'123456789'", "1", "NULL"),
        ("'raw'", "CAST(x'ff1b' AS TEXT)", "1", "NULL"),
        ("'none'", "NULL", "1", "NULL"),
        ("'far'", "'x'", "3000000000", "NULL"),
        ("'half'", "'x'", "1.5", "'{'"),
        ("'deep'", "'x'", "1", f"'{'[' * 100_000}'"),
        ("'forbidden'", "'x'", "1", "NULL"),
    )
    found = looked_at(copy, PARAMS)
    assert found.bad == [
        "params.value of the row with key 'long' is '123456789', which is 9 characters long, and PostgreSQL's column "
        "holds 8. Mend it: shorten it",
        r"params.value of the row with key 'raw' is b'\xff\x1b', which is not UTF-8. Mend it: convert it to UTF-8",
        "params.value of the row with key 'none' is NULL, which PostgreSQL's column does not allow. Mend it: set a "
        "value",
        "params.step of the row with key 'far' is 3000000000, which does not fit into PostgreSQL's 32 bits. Mend it: "
        "set a smaller number",
        "params.step of the row with key 'half' is 1.5, which is not an integer. Mend it: set an integer",
        "params.inputs of the row with key 'half' is '{', which is not JSON. Mend it: set JSON",
        f"params.inputs of the row with key 'deep' is '{'[' * 60}'…, which is JSON that is nested too deeply. Mend "
        "it: set JSON with fewer levels",
        "params has a row with key 'forbidden' that violates the rule: key <> 'forbidden'. Mend it: change the row",
    ]
    with pytest.raises(Refused, match=r"8 value\(s\) of the store cannot be imported: .*; nothing was changed"):
        report(found, OPTIONS)
    assert len(capsys.readouterr().out.splitlines()) == 9, "how far it is, and a line each"


def test_of_many_the_first_are_shown_and_the_rest_is_counted(copy: sqlite3.Connection) -> None:
    fill(copy, *((f"'{number}'", "NULL", "1", "NULL") for number in range(50)))
    found = looked_at(copy, PARAMS)
    assert (len(found.bad), found.count) == (SHOWN, 50)
    with pytest.raises(Refused, match=r"50 value\(s\) .*they are those above and 30 more"):
        report(found, OPTIONS)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (OPTIONS, "sqlite3 COPY"),
        (replace(OPTIONS, is_folder=True), "a change of its files"),
        (replace(OPTIONS, rows_only=True), "an UPDATE in that database"),
    ],
)
def test_it_is_mended_where_it_is(copy: sqlite3.Connection, options: Options, where: str) -> None:
    fill(copy, ("'a'", "NULL", "1", "NULL"))
    with pytest.raises(Refused, match=f"Mend it with: {where}"):
        report(looked_at(copy, PARAMS), options)


def test_two_rows_that_would_be_the_same_are_for_somebody_to_decide(copy: sqlite3.Connection) -> None:
    fill(copy, ("'a' || char(65533)", "'x'", "1", "NULL"), ("'a' || char(0)", "'x'", "1", "NULL"))
    (line,) = looked_at(copy, PARAMS).bad
    assert "would equal another row's value after a repair" in line


def test_more_rows_than_are_in_memory_at_a_time_are_all_looked_at(copy: sqlite3.Connection) -> None:
    fill(copy, *((f"'{number}'", "'x'", "1", "NULL") for number in range(450)), ("'last'", "NULL", "1", "NULL"))
    (line,) = looked_at(copy, PARAMS).bad
    assert "'last'" in line


def test_an_id_that_gets_another_one_here_may_be_as_long_as_it_likes(copy: sqlite3.Connection) -> None:
    copy.execute("CREATE TABLE runs (experiment_id BIGINT, artifact_uri VARCHAR)")
    copy.execute("INSERT INTO runs VALUES (846123456789012345, ?)", (f"/{'x' * 300}/1",))
    number = column("experiment_id", Kind.INTEGER, root=EXPERIMENT)
    runs = Table(name="runs", columns=(number, column("artifact_uri", length=60)), key=("experiment_id",))
    assert looked_at(copy, runs).bad == []
    ids = {846123456789012345: 7}
    short = Changes(experiments=ids, addresses=Addresses({f"/{'x' * 300}": "mlflow-artifacts:/7"}))
    assert check_addresses(copy, [runs], short).bad == []
    (line,) = check_addresses(copy, [runs], Changes(experiments=ids)).bad
    assert "which is 303 characters long, and PostgreSQL's column holds 60" in line


def test_a_value_is_shown_so_that_a_terminal_can_print_it_and_a_password_never_is() -> None:
    assert shown("value", "\x1b[2J" + "x" * 99) == r"'\x1b[2J" + "x" * 56 + "'…"
    assert shown("password_hash", "scrypt:1") == "a value that is not shown"


def test_a_number_of_thousands_of_digits_is_json() -> None:
    assert canonical(f'{{"a": {"9" * 5_000}}}') != canonical(f'{{"a": {"8" * 5_000}}}')
