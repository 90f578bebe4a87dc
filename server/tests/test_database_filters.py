"""What `store/filters.py` knows of the indexed characters of the values that fit a condition."""

from __future__ import annotations

import fnmatch

import pytest

from mlflow_postgres.database.filters import INDEXED, is_short, literal_beginning
from mlflow_postgres.migration.tuning import INDEXES

B = "b" * INDEXED


@pytest.mark.parametrize(
    ("comparator", "value", "expected"),
    [
        ("=", "", ("", True)),
        ("=", "x", ("x", True)),
        ("=", "50%", ("50%", True)),
        ("=", "a\\b", ("a\\b", True)),
        ("=", B[:-1], (B[:-1], True)),
        ("=", B, (B, False)),
        ("=", B + "x", (B, False)),
        ("=", "😀" * 127, ("😀" * 127, True)),
        ("=", "😀" * 128, ("😀" * 128, False)),
        ("=", "x" * 8_000, ("x" * 128, False)),
        ("LIKE", "", ("", False)),
        ("LIKE", "%", ("", True)),
        ("LIKE", "%x", ("", False)),
        ("LIKE", "_x%", ("", False)),
        ("LIKE", "\\%x", ("", False)),
        ("LIKE", "x", ("x", False)),
        ("LIKE", "x%", ("x", True)),
        ("LIKE", "x%%", ("x", False)),
        ("LIKE", "x_%", ("x", False)),
        ("LIKE", "x%y", ("x", False)),
        ("LIKE", "x\\%", ("x", False)),
        ("LIKE", "x\\%%", ("x", False)),
        ("LIKE", "x\\\\y%", ("x", False)),
        ("LIKE", "x\ny%", ("x\ny", True)),
        ("LIKE", B[:-1] + "%", (B[:-1], True)),
        ("LIKE", B + "%", (B, True)),
        ("LIKE", B + "x%", (B, False)),
        ("LIKE", B + "x", (B, False)),
        ("LIKE", B[:-1] + "_", (B[:-1], False)),
    ],
)
def test_the_beginning_of_all_that_fits(comparator: str, value: str, expected: tuple[str, bool]) -> None:
    assert literal_beginning(comparator, value) == expected


VALUES = ["", "a", "ab", "b", "ab" * 64, "ab" * 64 + "a", "ab" * 64 + "b", "ab" * 63 + "b", "a" * 8_000]


@pytest.mark.parametrize("comparator", ["=", "LIKE"])
@pytest.mark.parametrize("value", [*VALUES, *(f"{each}%" for each in VALUES), "a%b", "%b"])
def test_the_condition_on_the_index_finds_what_the_whole_condition_finds(comparator: str, value: str) -> None:
    """What `filters.py` asks of PostgreSQL, said in Python, for values that differ within and after the index."""
    beginning, is_all = literal_beginning(comparator, value)
    pattern = value.replace("%", "*")
    for candidate in VALUES:
        fits = candidate == value if comparator == "=" else fnmatch.fnmatchcase(candidate, pattern)
        indexed = candidate[:INDEXED]
        served = indexed == beginning if comparator == "=" else indexed.startswith(beginning)
        if beginning:
            assert fits == (served if is_all else served and fits), (candidate[:200], len(candidate))


@pytest.mark.parametrize(
    ("comparator", "table", "value", "short"),
    [
        ("=", "tags", "", True),
        ("=", "tags", "b" * 128, True),
        ("=", "tags", "b" * 129, False),
        ("=", "tags", "😀" * 32, True),
        ("=", "tags", "😀" * 33, False),
        ("=", "trace_tags", "b" * 128, True),
        ("=", "trace_tags", "b" * 129, False),
        ("=", "trace_request_metadata", "", True),
        ("=", "params", "x", False),
        ("LIKE", "tags", "x", False),
        ("LIKE", "trace_tags", "x", False),
    ],
)
def test_an_index_of_short_values_is_asked_for_whole_values_that_it_has(
    comparator: str, table: str, value: str, short: bool
) -> None:
    assert is_short(comparator, table, value) is short
    if short:
        (definition,) = [made for on, made in INDEXES.values() if on == table and "left(" not in made]
        assert definition.endswith(f" WHERE octet_length(value) <= {INDEXED}")


def test_the_indexes_have_as_many_characters_as_the_conditions() -> None:
    on_values = [
        definition for name, (_, definition) in INDEXES.items() if name.endswith(("params_value", "tags_value"))
    ]
    assert len(on_values) == 2
    assert all(f"left(value, {INDEXED}) text_pattern_ops" in each for each in on_values)
