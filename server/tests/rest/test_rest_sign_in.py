"""With sign-in: every user gets what MLflow gives them, and MLflow itself refuses the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .. import PYTHONPATH
from ..postgresql import Server
from .sign_in import USERS

SERVED, REFUSED = [200, True], [403, False]


@pytest.fixture(scope="module")
def told(postgresql: Server, schema: str) -> dict[str, Any]:
    databases = ("sign_in_mlflow", "sign_in_ours")
    postgresql.create(databases[0], schema)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "server.tests.rest.sign_in",
            str(postgresql.folder),
            str(postgresql.programs),
            *databases,
        ],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    for database in databases:
        postgresql.drop(database)
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


def test_every_user_gets_what_mlflow_gives_them(told: dict[str, Any]) -> None:
    """The script compares each answer and all rows."""
    for user in ("admin", "alice", "bob", "carol"):
        allowed = [call for call, status, is_served in told["outcomes"][user] if status == 200 and is_served]
        assert len(allowed) > 10, "our application answers what a user is allowed"
    served = {call for call, _, is_served in told["outcomes"]["admin"] if is_served}
    assert {"metrics/get-history-bulk", "experiments/search", "traces/search"} <= served
    refused = [each for each in told["outcomes"]["bob"] if each[1] == 403]
    assert len(refused) > 10


def test_a_user_lists_the_artifacts_of_the_runs_that_they_may_read(told: dict[str, Any]) -> None:
    """Of three runs: as it is, with a path that leads to another, and the last request names two runs."""
    expected = {"admin": [SERVED] * 3, "bob": [SERVED, SERVED, REFUSED], "dave": [REFUSED] * 3}
    for user, of_runs in expected.items():
        asked = [[status, is_served] for call, status, is_served in told["outcomes"][user] if call == "artifacts/list"]
        assert asked[:-1:2] == of_runs, user
        assert not any(is_served for _, is_served in asked[1::2]), user
        assert not asked[-1][1], user


def test_who_may_see_all_of_an_answer_is_answered_here(told: dict[str, Any]) -> None:
    """The script asks for a run with a model, and for one without, at the end."""
    for user in USERS:
        with_model, without = told["outcomes"][user][-2:]
        assert without == ["runs/get", 200, True] or user == "dave"
        assert with_model == ["runs/get", 200, user != "erin"] or user == "dave"
    searches = {user: _served(told, user, "experiments/search") for user in USERS}
    assert all(searches["alice"]), "alice may read every experiment"
    assert not all(searches["bob"]), "one is denied to bob"
    assert any(searches["bob"]), "and not on every page"


def test_what_mlflow_may_withhold_is_answered_by_mlflow(told: dict[str, Any]) -> None:
    for user in set(USERS) - {"admin"}:
        for call in ("registered-models/get", "registered-models/search", "traces/search", "traces/batchGetInfos"):
            assert not any(_served(told, user, call)), (user, call)
        for number in range(3):
            assert not any(_served(told, user, f"traces/tr-{number:032x}")), user


def test_an_odd_request_does_not_reach_more_than_mlflow_permits(told: dict[str, Any]) -> None:
    """The script compares each answer and all rows."""
    served = [asked for asked, (_, is_served) in told["odd"].items() if is_served]
    assert 10 < len(served) < len(told["odd"])
    for asked, (status, is_served) in told["odd"].items():
        assert status == 200 or not is_served, asked
        # Flask takes it for the header of a workspace. It is not what was permitted without it.
        assert not is_served or "x_mlflow_workspace" not in asked


def test_an_export_is_answered_by_mlflow_which_authorises_it_elsewhere(told: dict[str, Any]) -> None:
    assert told["exports"] == [[200, False], REFUSED], "the experiment is denied to bob"


def test_who_is_refused_is_refused_by_mlflow(told: dict[str, Any]) -> None:
    for sender, outcomes in told["outcomes"].items():
        for call, status, is_served in outcomes:
            assert status == 200 or not is_served, (sender, call)
    for sender in ("nobody", "wrong", "unknown", "empty"):
        assert {status for _, status, _ in told["outcomes"][sender]} == {401}


def _served(told: dict[str, Any], user: str, call: str) -> list[bool]:
    return [is_served for asked, status, is_served in told["outcomes"][user] if asked == call and status == 200]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("a permission is revoked and given again", [SERVED, REFUSED, SERVED, REFUSED]),
        ("a user becomes an administrator and is one no more", [REFUSED, SERVED, REFUSED, REFUSED]),
        (
            "a role is given, changed and taken away",
            [REFUSED, REFUSED, SERVED, REFUSED, SERVED, REFUSED, SERVED, REFUSED],
        ),
        (
            "a user is created, becomes an administrator and is deleted",
            [[401, False], REFUSED, SERVED, [404, False]],
        ),
    ],
)
def test_what_another_connection_changes_counts_at_the_next_request(
    told: dict[str, Any], change: str, expected: list[list[Any]]
) -> None:
    """The script asks twice after each change, since MLflow's decision for the first request serves the second."""
    before, *after = expected
    assert told["changes"][change] == [before, *[each for each in after for _ in range(2)]]


def test_a_former_password_counts_no_more_in_any_worker(told: dict[str, Any]) -> None:
    """MLflow caches one for a minute in each worker that did not change it."""
    assert told["passwords"] == [[401, False], [401, False], SERVED, SERVED, [401, False]]


def test_no_statement_stops_the_event_loop(told: dict[str, Any]) -> None:
    assert told["blocking"] == []
