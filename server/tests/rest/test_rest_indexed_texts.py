"""What the indexes contain of the values that a condition finds."""

from __future__ import annotations

import fnmatch

import pytest

from mlflow_postgres.migration.tuning import INDEXES
from mlflow_postgres.rest.indexed_texts import INDEXED, is_short, literal_beginning

B = "b" * INDEXED


@pytest.mark.parametrize(
    ("comparator", "value", "expected"),
    [
        ("=", "", ""),
        ("=", "x", "x"),
        ("=", "50%", "50%"),
        ("=", "a\\b", "a\\b"),
        ("=", B[:-1], B[:-1]),
        ("=", B, B),
        ("=", B + "x", B),
        ("=", "😀" * 127, "😀" * 127),
        ("=", "😀" * 128, "😀" * 128),
        ("=", "x" * 8_000, "x" * 128),
        ("LIKE", "", ""),
        ("LIKE", "%", ""),
        ("LIKE", "%x", ""),
        ("LIKE", "_x%", ""),
        ("LIKE", "\\%x", ""),
        ("LIKE", "x", "x"),
        ("LIKE", "x%", "x"),
        ("LIKE", "x%%", "x"),
        ("LIKE", "x_%", "x"),
        ("LIKE", "x%y", "x"),
        ("LIKE", "x\\%", "x"),
        ("LIKE", "x\\%%", "x"),
        ("LIKE", "x\\\\y%", "x"),
        ("LIKE", "x\ny%", "x\ny"),
        ("LIKE", B[:-1] + "%", B[:-1]),
        ("LIKE", B + "%", B),
        ("LIKE", B + "x%", B),
        ("LIKE", B + "x", B),
        ("LIKE", B[:-1] + "_", B[:-1]),
    ],
)
def test_the_beginning_of_all_that_fits(comparator: str, value: str, expected: str) -> None:
    assert literal_beginning(comparator, value) == expected


VALUES = ["", "a", "ab", "b", "ab" * 64, "ab" * 64 + "a", "ab" * 64 + "b", "ab" * 63 + "b", "a" * 8_000]


@pytest.mark.parametrize("comparator", ["=", "LIKE"])
@pytest.mark.parametrize("value", [*VALUES, *(f"{each}%" for each in VALUES), "a%b", "%b"])
def test_the_condition_on_the_index_excludes_nothing_that_is_found(comparator: str, value: str) -> None:
    """For values that differ within the indexed characters, and after them."""
    beginning = literal_beginning(comparator, value)
    pattern = value.replace("%", "*")
    for candidate in VALUES:
        is_found = candidate == value if comparator == "=" else fnmatch.fnmatchcase(candidate, pattern)
        indexed = candidate[:INDEXED]
        if beginning and is_found:
            assert indexed == beginning if comparator == "=" else indexed.startswith(beginning)


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
