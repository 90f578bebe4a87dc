"""The protocols between the host's side and the images' side: what one writes, the other reads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from contract import dumps, import_events, locations, schema
from contract.dumps import ListedDump
from contract.import_events import Committed, Committing, Compared, Comparison, Done, Error, Event, Note, Plan, Progress
from contract.locations import Locations
from contract.schema import Index, Requirements

DUMP = ListedDump(
    name="before-3.17.2-20260101T000000Z",
    created="2026-01-01T00:00:00+00:00",
    database="mlflow",
    from_revision="a",
    to_revision="b",
    from_version=None,
    to_version="3.17.2",
    size=7,
    sha256="0" * 64,
    bytes_there=None,
)
REQUIREMENTS = Requirements(
    mlflow="3.17.2",
    revisions={"alembic_version": "a"},
    indexes={"runs_newest": Index(table="runs", made_as="(x)")},
    compared=["a"],
)
COMPARISON = Comparison(table="runs", rows=1, checksum="a", rows_found=1, checksum_found="a", same=True)
EVENTS: list[Event] = [
    Note(note="said"),
    Plan(plan={"runs": 1}, clashes=["experiment 'a'"], clash="refuse"),
    Progress(phase="write", table="runs", rows=1, of=2),
    Compared(compared=COMPARISON),
    Committing(),
    Committed(),
    Done(done=1, file="import.json"),
    Error(code="name-taken", problem="it is taken", remedy=""),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_dump_and_parse(event: Event) -> None:
    line = import_events.dump(event)
    assert "\n" not in line
    assert import_events.parse(line) == event


@pytest.mark.parametrize(
    "line", ["Traceback", "3", "{}", '{"phase": "fly", "table": "runs", "rows": 1, "of": 1}', '"a"']
)
def test_any_other_line_is_a_note(line: str) -> None:
    assert import_events.parse(line) == Note(note=line)


def test_dumps_survive_dump_and_parse() -> None:
    assert dumps.parse(dumps.dump([DUMP])) == [DUMP]


def test_a_dump_listed_by_an_older_image_has_its_archive() -> None:
    older = json.loads(dumps.dump([DUMP]))
    del older[0]["bytes_there"]
    assert dumps.parse(json.dumps(older)) == [replace(DUMP, bytes_there=DUMP.size)]


def test_requirements_survive_dump_and_parse() -> None:
    assert schema.parse(schema.dump(REQUIREMENTS)) == REQUIREMENTS


def test_requirements_of_an_older_image_were_compared_with_nothing() -> None:
    older = json.loads(schema.dump(REQUIREMENTS))
    del older["compared"]
    assert schema.parse(json.dumps(older)) == replace(REQUIREMENTS, compared=[])


def test_locations_survive_dump_and_parse() -> None:
    found = Locations(folders={"/old/1": "/source/1"}, empty=["mlflow-artifacts:/2"])
    assert locations.parse(locations.dump(found)) == found


@pytest.mark.parametrize("parse", [dumps.parse, schema.parse, locations.parse])
@pytest.mark.parametrize("text", ["", "[1]", "3", '[{"name": "a"}]'])
def test_other_json_is_an_error(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=r"^(not |Expecting value)"):
        parse(text)
