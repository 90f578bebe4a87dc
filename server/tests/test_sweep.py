"""Every call of the API, by clients who know it and by those who do not: our server answers as MLflow as it comes.

Beside it run MLflow of the same version with psycopg2, and on SQLite (`sweep/`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from .postgresql import Server as PostgreSQL
from .sweep.answers import LEAKS, Server
from .sweep.calls import V2, V3, Call, post
from .sweep.differences import PSYCOPG2, SQLITE, STAYING
from .sweep.malformed import malformed
from .sweep.races import CLIENTS, NAMED, at_once, rows
from .sweep.servers import Process, running
from .sweep.steps import storable, unstorable
from .sweep.swept import Swept, swept
from .sweep.tracing import spans, trace

SEED = 5
REQUEST = 60
"""Seconds that an answer may take."""
OURS = "ours"


@pytest.fixture(scope="module")
def processes(
    postgresql: PostgreSQL, schema: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Process]]:
    folder = tmp_path_factory.mktemp("sweep")
    stores = {
        OURS: postgresql.store_uri("sweep_ours"),
        PSYCOPG2: postgresql.uri("sweep_psycopg2").replace("postgresql:", "postgresql+psycopg2:", 1),
        SQLITE: f"sqlite:///{folder}/mlflow.db",
    }
    for database in ("sweep_ours", "sweep_psycopg2"):
        postgresql.create(database, schema)
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(running(folder / name, store, ours=name == OURS))
            for name, store in stores.items()
        }
        for process in started.values():
            process.wait()
        yield started
    for database in ("sweep_ours", "sweep_psycopg2"):
        postgresql.drop(database)


@pytest.fixture(scope="module")
def ours(processes: dict[str, Process]) -> Server:
    return processes[OURS].server


@pytest.fixture(scope="module")
def servers(processes: dict[str, Process]) -> dict[str, Server]:
    return {name: process.server for name, process in processes.items()}


@pytest.fixture(scope="module")
def usual(servers: dict[str, Server]) -> Swept:
    return swept(servers, storable(SEED), "")


@pytest.fixture(scope="module")
def unusual(servers: dict[str, Server], usual: Swept) -> Swept:
    """After the other one: from here on the servers hold different things."""
    assert usual.steps
    return swept({name: servers[name] for name in (OURS, SQLITE)}, unstorable(SEED), "-2")


@pytest.mark.parametrize("other", [PSYCOPG2, SQLITE])
def test_every_answer_is_that_of_mlflow_as_it_comes(usual: Swept, other: str) -> None:
    differing = usual.differing(other)
    assert not differing, json.dumps(differing, indent=1)
    print(f"{len(usual.steps)} calls; differences from {other} that stay: {dict(usual.staying(other))}")
    needed = {each.reason for each in STAYING if other in each.of}
    assert set(usual.staying(other)) == needed, "a reason that explains nothing may hide something"
    statuses = Counter(status // 100 for status, *_ in usual.answers[OURS])
    assert min(statuses[2], statuses[4]) > 300, "most calls do what they are there for, and many are refused"


def test_what_postgresql_cannot_hold_breaks_nothing_that_works_elsewhere(unusual: Swept) -> None:
    sides = list(zip(unusual.steps, unusual.answers[OURS], unusual.answers[SQLITE], strict=True))
    # Half of a pair is to our server what NUL is, which some calls of MLflow's do not survive on any database.
    broken = {step.call.name for step, _, its in sides if step.kind == "NUL" and its[0] >= 500}
    worse = [
        (step.kind, step.call.name, step.call.fields, own[2])
        for step, own, its in sides
        if own[0] >= 500 > its[0] and not (step.kind == "half a pair" and step.call.name in broken)
    ]
    assert worse == []


def test_no_answer_quotes_the_database(processes: dict[str, Process], usual: Swept, unusual: Swept) -> None:
    """Neither to who is signed in nor to who is not: no statement, no parameter, no hash, no library's name."""
    server = processes[OURS].server
    said = [text for each in (usual, unusual) for *_, text in each.answers[OURS]]
    refused = []
    for each in malformed(200, SEED):
        headers: dict[str, str | bytes] = {"Content-Type": each.content_type, **server.headers}
        if each.authorization is not None:
            headers["Authorization"] = each.authorization
        answer = requests.request(each.method, server.url + each.path, headers=headers, data=each.body, timeout=REQUEST)
        said.append(answer.text)
        if each.authorization is not None and answer.status_code not in (401, 404, 405):
            refused.append((each.kind, each.method, each.path, answer.status_code))
    assert [text[:500] for text in said if LEAKS.search(text)] == []
    assert refused == [], "who signs in as nobody is told 401"
    own = usual.answers[PSYCOPG2]
    assert any(LEAKS.search(text) for *_, text in own), "MLflow as it comes quotes the database"
    logged = processes[OURS].log.read_text()
    assert "scrypt:" not in logged
    assert "Failing row" not in logged
    assert "a-password-of-anna" not in logged


def test_a_refusal_of_the_database_is_found_in_the_log_by_its_id(processes: dict[str, Process]) -> None:
    ours = processes[OURS]
    status, _, text = ours.server.answer(post(f"{V2}/experiments/create", {"name": "Default"}))
    refusal = json.loads(text)
    assert (status, refusal["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    number = refusal["message"].rstrip(".").rpartition(" ")[2]
    lines = [line for line in ours.log.read_text().splitlines() if f"{number}: " in line]
    assert lines, "nobody finds out what was refused"
    assert "UniqueViolation" in lines[0]


@pytest.fixture
def run(ours: Server) -> str:
    asked = post(f"{V2}/runs/create", {"experiment_id": "0", "start_time": 1})
    return str(made(ours, asked)["run"]["info"]["run_id"])


def made(server: Server, call: Call) -> Any:
    status, _, text = server.answer(call)
    assert status == 200, text
    # Who takes spans answers with a message of protobuf's.
    return json.loads(text) if text.startswith("{") else None


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
def test_what_is_logged_to_a_run_is_kept_without_what_postgresql_cannot_hold(ours: Server, run: str, odd: str) -> None:
    kept = "a\ufffdb"
    # Twice, as a client does that has got no answer.
    for _ in range(2):
        made(ours, post(f"{V2}/runs/log-parameter", {"run_id": run, "key": "p", "value": odd}))
        made(ours, post(f"{V2}/runs/set-tag", {"run_id": run, "key": "t", "value": odd}))
        batch = {
            "metrics": [{"key": "after", "value": 1, "timestamp": 1}],
            "params": [{"key": "q", "value": odd}],
            "tags": [{"key": "u", "value": odd}],
        }
        made(ours, post(f"{V2}/runs/log-batch", {"run_id": run, **batch}))
    data = made(ours, Call("GET", f"{V2}/runs/get", {"run_id": run}))["run"]["data"]
    found = {each["key"]: each["value"] for each in (*data["params"], *data["tags"])}
    assert {key: found[key] for key in "pqtu"} == dict.fromkeys("pqtu", kept)
    assert [each["key"] for each in data["metrics"]] == ["after"], "what stood beside it is lost"
    search = {"experiment_ids": ["0"], "filter": f"params.p = '{odd}'"}
    assert run in [each["info"]["run_id"] for each in made(ours, post(f"{V2}/runs/search", search))["runs"]]


def test_what_is_traced_is_kept_without_what_postgresql_cannot_hold(ours: Server) -> None:
    ours.kept["experiment"] = "0"
    odd, kept = "a\0b", "a\ufffdb"
    made(ours, spans(77, name="a\0b", other="c\0d"))
    given = trace(78)
    given["trace"]["trace_info"] |= {"request_preview": odd, "tags": {"t": odd}, "trace_metadata": {"m": odd}}
    made(ours, post(f"{V3}/traces", given))
    info = made(ours, Call("GET", f"{V3}/traces/tr-{78:032x}"))["trace"]["trace_info"]
    assert (info["request_preview"], info["tags"]["t"], info["trace_metadata"]["m"]) == (kept,) * 3
    whole = made(ours, Call("GET", f"{V3}/traces/get", {"trace_id": f"tr-{77:032x}"}))["trace"]
    assert len(whole["spans"]) == 2, "the whole batch of spans is lost for one character"

    feedback = {
        "assessment_name": odd,
        "trace_id": f"tr-{78:032x}",
        "source": {"source_type": "HUMAN", "source_id": "me"},
        "feedback": {"value": odd},
        "rationale": odd,
    }
    said = made(ours, post(f"{V3}/traces/tr-{78:032x}/assessments", {"assessment": feedback}))["assessment"]
    again = made(ours, Call("GET", f"{V3}/traces/tr-{78:032x}/assessments/{said['assessment_id']}"))["assessment"]
    assert (again["assessment_name"], again["rationale"]) == (kept, kept)


def test_json_keeps_null_for_what_is_no_number(ours: Server) -> None:
    asked = {"name": "records", "experiment_ids": ["0"]}
    dataset = made(ours, post(f"{V3}/datasets/create", asked))["dataset"]["dataset_id"]
    records = '[{"inputs": {"q": NaN, "r": [-Infinity, 1.5]}, "expectations": {"e": "a\\u0000b"}}]'
    made(ours, post(f"{V3}/datasets/{dataset}/records", {"records": records}))
    (found,) = json.loads(made(ours, Call("GET", f"{V3}/datasets/{dataset}/records"))["records"])
    assert found["inputs"] == {"q": None, "r": [None, 1.5]}
    assert found["expectations"] == {"e": "a\ufffdb"}


@pytest.mark.parametrize(
    ("path", "fields", "named"),
    [
        (f"{V2}/experiments/create", {"name": "a\0b"}, "name"),
        (f"{V2}/registered-models/create", {"name": "a\0b"}, "name"),
        (f"{V2}/users/create", {"username": "a\0b", "password": "a-password-of-12"}, "username"),
        (f"{V3}/datasets/create", {"name": "a\0b"}, "name"),
        (f"{V3}/scorers/register", {"experiment_id": "0", "name": "a\0b", "serialized_scorer": "{}"}, "name"),
        (
            f"{V3}/gateway/secrets/create",
            {"secret_name": "a\0b", "secret_value": [{"key": "k", "value": "v"}], "provider": "openai"},
            "secret_name",
        ),
    ],
)
def test_a_name_that_postgresql_cannot_hold_is_refused_by_its_field(
    ours: Server, path: str, fields: dict[str, Any], named: str
) -> None:
    status, _, text = ours.answer(post(path, fields))
    refusal = json.loads(text)
    assert (status, refusal["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), text
    assert f"{named}'" in refusal["message"]


def test_clients_that_write_one_new_row_at_once_all_succeed(ours: Server, run: str) -> None:
    ours.kept["experiment"] = "0"
    made(ours, post(f"{V2}/registered-models/create", {"name": "raced"}))
    made(ours, post(f"{V2}/model-versions/create", {"name": "raced", "source": f"runs:/{run}/m", "run_id": run}))
    made(ours, post(f"{V3}/traces", trace(999)))
    asked = {"name": "raced", "experiment_ids": ["0"]}
    ours.kept["raced"] = made(ours, post(f"{V3}/datasets/create", asked))["dataset"]["dataset_id"]
    failed = [
        (what, status, text)
        for number in range(3)
        for what, call in rows(ours, run, number).items()
        for status, _, text in at_once(ours, call)
        if status != 200
    ]
    assert failed == []


@pytest.mark.parametrize("what", NAMED)
def test_of_clients_that_take_one_name_at_once_one_gets_it(ours: Server, what: str) -> None:
    for number in range(3):
        said = at_once(ours, NAMED[what](number))
        assert sorted(status for status, *_ in said) == [200] + [400] * (CLIENTS - 1)
        codes = {json.loads(text)["error_code"] for status, _, text in said if status == 400}
        assert codes == {"RESOURCE_ALREADY_EXISTS"}
