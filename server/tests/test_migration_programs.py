"""What the schema job says of a program that did not succeed."""

from __future__ import annotations

from mlflow_postgres.migration.connections import session_options
from mlflow_postgres.migration.programs import Outcome

TRACEBACK = """Traceback (most recent call last):
psycopg.errors.DuplicateTable: relation "issues" already exists
The above exception was the direct cause of the following exception:
sqlalchemy.exc.ProgrammingError: (psycopg.errors.DuplicateTable) relation "issues" already exists
[SQL: CREATE TABLE issues ()]
(Background on this error at: https://sqlalche.me/e/21/f405)
"""


def test_the_reason_is_the_error_and_not_what_is_printed_after_it() -> None:
    assert Outcome(False, "", TRACEBACK).reason == (
        'sqlalchemy.exc.ProgrammingError: (psycopg.errors.DuplicateTable) relation "issues" already exists'
    )


def test_a_program_without_a_traceback_is_quoted_with_its_last_line() -> None:
    said = "pg_dump: hint\npg_dump: error: could not write to output file: No space left on device\n"
    assert Outcome(False, "", said).reason == "pg_dump: error: could not write to output file: No space left on device"
    assert Outcome(False, "", "").reason == "it printed no error"


def test_an_old_server_is_not_sent_a_setting_that_it_does_not_know() -> None:
    assert "client_connection_check_interval" not in session_options(130014)
    assert "client_connection_check_interval" in session_options(170012)
