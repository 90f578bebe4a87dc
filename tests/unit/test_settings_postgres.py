"""The settings of PostgreSQL that a stack chooses: what is refused, and how the others reach the server."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pulumi
import pytest

from components import PostgresOptions
from components.database import managed
from components.database.tuning import REFUSED

from .deploy import deploy, run_platform
from .fake_engine import FakeEngine, Registration
from .project import load, mended
from .project import refusal as refused

ME = "mlflow-postgres"
CHECK, SERVER = f"{ME}-postgres-settings", f"{ME}-postgres-server"
CHOSEN = {"work_mem": "24MB", "log_line_prefix": "it's %m "}

NAME = "the name of a setting is lower-case letters, digits and _; an extension's has a point in it"
VALUE = "a value is text, a number, true or false"
LINE = "a value is one line of text"


def refusal(**chosen: Any) -> tuple[str, dict[str, str]]:
    """What is said, and the settings that were refused."""
    changes = {"postgresSettings": json.dumps({"work_mem": "24MB", **chosen})}
    return refused(changes), changes


@pytest.mark.parametrize("name", ["Work_Mem", "work-mem", "1st", "", "a.", ".b", "a..b", "work_mem ", "läufe", "a\nb"])
def test_an_invalid_name_of_a_setting_is_refused_with_its_remedy(name: str) -> None:
    message, changes = refusal(**{name: "64MB"})
    assert f" is '64MB': {NAME}. Mend it with: bin/pulumi config rm --path " in message
    assert json.loads(mended(changes, message)["postgresSettings"]) == {"work_mem": "24MB"}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reserved_setting_is_refused_with_the_reason(name: str) -> None:
    message, changes = refusal(**{name: "1"})
    assert message == (
        f"postgresSettings.{name} is '1': {REFUSED[name]}. "
        f"Mend it with: bin/pulumi config rm --path postgresSettings.{name}"
    )
    load(mended(changes, message))


def test_settings_that_risk_data_are_refused() -> None:
    assert {"fsync", "full_page_writes", "synchronous_commit", "wal_sync_method", "zero_damaged_pages"} <= set(REFUSED)


@pytest.mark.parametrize("name", ["hba_file", "listen_addresses", "password_encryption", "ssl"])
def test_settings_that_open_the_database_are_refused(name: str) -> None:
    assert name in REFUSED


@pytest.mark.parametrize("value", [None, [], ["64MB"], {"b": 1}])
def test_a_nested_value_is_refused(value: object) -> None:
    message, changes = refusal(a=value)
    assert message.startswith(f"postgresSettings.a is {value!r}: {VALUE}. Mend it with: ")
    load(mended(changes, message))


@pytest.mark.parametrize("value", ["a\nb", "\n", "a\0b"])
def test_a_value_of_several_lines_is_refused(value: str) -> None:
    message, changes = refusal(**{"a.b": value})
    assert message.startswith(f'postgresSettings["a.b"] is {value!r}: {LINE}. Mend it with: ')
    load(mended(changes, message))


@pytest.mark.parametrize("chosen", ["[]", '"work_mem=64MB"', "7"])
def test_settings_that_are_no_mapping_are_refused(chosen: str) -> None:
    changes = {"postgresSettings": chosen}
    said = refused(changes)
    assert re.match(r"postgresSettings is .*: it is names and their values\. ", said)
    load(mended(changes, said))


def test_invalid_json_is_refused_by_its_name() -> None:
    with pytest.raises(pulumi.ConfigTypeError, match=r"'mlflow-postgres:postgresSettings'.*'work_mem'"):
        load({"postgresSettings": "work_mem"})


def test_values_have_postgresqls_spelling() -> None:
    chosen = {"jit": True, "autovacuum": False, "a.b": "x y", "geqo_threshold": 12, "seq_page_cost": 1.5, "c": ""}
    found = load({"postgresSettings": json.dumps(chosen)}).postgres.settings
    assert {name: managed.setting(value) for name, value in found.items()} == {
        **{"jit": "on", "autovacuum": "off", "a.b": "x y"},
        **{"geqo_threshold": "12", "seq_page_cost": "1.5", "c": ""},
    }


def with_chosen(engine: FakeEngine | None = None) -> FakeEngine:
    return run_platform(engine or FakeEngine(), postgres=PostgresOptions(settings=CHOSEN))


def options(server: Registration) -> list[str]:
    """The settings of the server's command."""
    program, *rest = server.inputs["command"]
    assert program == "postgres"
    assert set(rest[::2]) == {"-c"}
    return list(rest[1::2])


def test_computed_settings_have_a_stable_order() -> None:
    told = options(deploy().container("postgres"))
    assert "shared_buffers=512MB" in told
    assert told == sorted(told), "another order is a change of the plan"


def test_chosen_settings_override_computed_ones() -> None:
    told = options(with_chosen().container("postgres"))
    assert [each for each in told if each.startswith("work_mem=")] == ["work_mem=24MB"]
    assert "shared_buffers=512MB" in told, "the others stay"
    assert [each.partition("=")[0] for each in told] == sorted({each.partition("=")[0] for each in told})


def test_the_number_of_processors_decides_about_parallel_workers() -> None:
    engine = run_platform(FakeEngine(), postgres=load({"postgresCpus": "2"}).postgres)
    assert "max_parallel_workers=2" in options(engine.container("postgres"))


def test_chosen_settings_are_tried_without_data_or_network() -> None:
    engine = with_chosen()
    check, server = engine.registered[CHECK], engine.registered[SERVER]
    assert check.labels["mlflow-postgres.kind"] == "task"
    assert check.inputs["image"] == server.inputs["image"]
    assert check.inputs["user"] == server.inputs["user"]
    assert check.inputs["memory"] == server.inputs["memory"], "what does not fit there would not fit here"
    assert check.inputs["shmSize"] == server.inputs["shmSize"]
    assert check.mounted == {}, "the volume is the running server's"
    assert (check.inputs["networkMode"], check.joined) == ("none", set())
    (tried,) = check.inputs["command"]
    assert shlex.split(tried)[-len(server.inputs["command"]) + 1 :] == server.inputs["command"][1:]


def test_the_server_waits_for_the_trial() -> None:
    server = with_chosen().registered[SERVER]
    assert CHECK in server.waits_for
    assert CHECK not in server.made_of, "the engine would delete the server before it tries anything"


def test_rejected_settings_stop_the_program_before_the_server_is_touched() -> None:
    engine = FakeEngine(job_ends=(1, 'FATAL:  invalid value for parameter "work_mem": "lots"\n'))
    with pytest.raises(pulumi.RunError, match=r'^settings ended with exit code 1: FATAL: .*"work_mem": "lots"$'):
        with_chosen(engine)
    assert SERVER not in engine.registered


def test_without_chosen_settings_there_is_no_trial() -> None:
    assert CHECK not in deploy().registered


def test_a_preview_shows_the_trial() -> None:
    preview = with_chosen(FakeEngine(preview=True))
    assert set(preview.registered) == set(with_chosen().registered)
    assert CHECK in preview.registered[SERVER].waits_for
