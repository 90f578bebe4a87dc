"""What the schema job decides before it touches anything: what is due, which keys are needed, what is refused."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_postgres.errors import Refused
from mlflow_postgres.migration import administrator, grants, keys, revisions
from mlflow_postgres.migration.job import Administrator, job_of
from mlflow_postgres.migration.programs import without_rows
from mlflow_postgres.migration.revisions import MAIN_TABLES, Due

ENVIRONMENT = {
    "MLFLOW_BACKEND_STORE_URI": "postgresql+mlflow://mlflow_owner@postgres:5432/mlflow",
    "MLFLOW_POSTGRES_USER": "mlflow",
    "MLFLOW_POSTGRES_PRIVATE_TABLES": "users,secrets",
    "CREDENTIALS_VERSION": "1",
    "SIGN_IN": "true",
    "SIGN_IN_REMEMBERED": "60",
    "BACKUPS_VOLUME": "backups-of-a-test",
    "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
    "MLFLOW_AUTH_ADMIN_PASSWORD_FILE": "/run/secrets/admin-password",
}


def due(current: str | None, found: Set[str]) -> Due:
    return revisions.decide(current=current, head="new", found=found, expected=MAIN_TABLES)


def test_an_empty_database_is_made_an_older_one_migrated_and_the_right_one_left_alone() -> None:
    assert due(None, set()) is Due.CREATE
    assert due("old", MAIN_TABLES) is Due.MIGRATE
    assert due("new", MAIN_TABLES) is Due.NOTHING


def test_tables_that_are_older_than_revisions_are_migrated_so_that_they_are_dumped_first() -> None:
    assert due(None, MAIN_TABLES | {"theirs"}) is Due.MIGRATE


def test_a_revision_that_this_mlflow_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "tables", lambda _: MAIN_TABLES | {"alembic_version"})
    monkeypatch.setattr(revisions, "_revision", lambda *_: "newest")
    connection: Any = None
    with pytest.raises(Refused, match=r"the schema newest, which MLflow 3\.17\.2 does not know"):
        revisions.table_sets(connection, sign_in=False, mlflow_version="3.17.2", recorded=None)


def test_an_unknown_revision_is_reported_with_the_version_that_made_it() -> None:
    text = str(revisions.unknown_revision("abc", "3.17.2", "3.19.0"))
    assert text.startswith("the database has the schema abc, which MLflow 3.17.2 does not know")
    assert text.endswith(
        "; nothing was changed. Mend it with: bin/pulumi config set mlflowVersion 3.19.0, or make rollback"
    )
    assert "the one that ran before" in str(revisions.unknown_revision("abc", "3.17.2", None))


def test_a_stranger_s_tables_are_named_and_mlflow_s_own_are_not_strange() -> None:
    assert revisions.foreign_table({"orders", "alembic_version"}) == "orders"
    assert revisions.foreign_table(set()) is None
    assert revisions.foreign_table({"users", "alembic_version_auth"}) is None
    assert revisions.foreign_table(MAIN_TABLES | {"orders"}) is None


def test_the_first_key_is_made_and_rows_of_the_built_in_one_are_wrapped_with_it() -> None:
    assert keys.plan(2, set(), {1}) == keys.Plan(version=2, create=True, rewrap=(1,))


def test_nothing_is_left_to_do_when_every_row_has_the_newest_key() -> None:
    assert keys.plan(3, {2, 3}, {3}) == keys.Plan(version=3, create=False, rewrap=())


def test_a_row_whose_key_is_lost_is_refused_even_when_it_is_the_one_that_would_be_made() -> None:
    with pytest.raises(Refused, match="encrypted with kek-2, which is not in the keys volume"):
        keys.plan(2, set(), {2})


def test_a_credentials_version_that_goes_down_is_refused_with_the_one_to_set() -> None:
    with pytest.raises(
        Refused, match=r"credentialsVersion is 1, and 3 was used before.*config set credentialsVersion 3"
    ):
        keys.plan(2, {2, 4}, set())


def test_a_key_is_whole_or_as_it_was_and_secret_to_others(tmp_path: Path) -> None:
    keys.write_file(tmp_path / "kek-2", "old")
    keys.write_file(tmp_path / "kek-2", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["kek-2"]
    assert (tmp_path / "kek-2").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "kek-2").read_text() == "new"


def test_the_job_is_what_the_environment_says() -> None:
    job = job_of(ENVIRONMENT, "3.17.2")
    assert job.database_uri == "postgresql://mlflow_owner@postgres:5432/mlflow"
    assert (job.readonly_role, job.key_version) == ("mlflow_readonly", 2)
    assert job.administrator == Administrator(name="admin", password_file=Path("/run/secrets/admin-password"))
    assert job_of({**ENVIRONMENT, "SIGN_IN": "false"}, "3.17.2").administrator is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("CREDENTIALS_VERSION", "0", "CREDENTIALS_VERSION is '0': it must be a whole number from 1"),
        ("MLFLOW_BACKEND_STORE_URI", "sqlite:///mlflow.db", "begins with 'sqlite': it must begin with 'postgresql"),
        ("SIGN_IN", "yes", "SIGN_IN is 'yes': it must be true or false"),
        ("MLFLOW_POSTGRES_USER", "", "MLFLOW_POSTGRES_USER is not set"),
    ],
)
def test_an_environment_that_describes_no_job_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        job_of({**ENVIRONMENT, name: value}, "3.17.2")


def test_a_password_that_mlflow_would_not_take_is_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "admin-password"
    file.write_text("short\n")
    with pytest.raises(Refused, match="password is 5 characters long") as error:
        administrator.password_of(Administrator(name="admin", password_file=file))
    assert "short" not in str(error.value)


def test_a_role_s_name_is_quoted_wherever_it_stands() -> None:
    strange = replace(job_of(ENVIRONMENT, "3.17.2"), server_role="it's a\"b", private_tables=("it's", "b"))
    text = "\n".join(grants.statements(strange))
    assert 'TO "it\'s a""b"' in text
    assert "'it''s a\"b_readonly'" in text
    assert "IN ('it''s', 'b')" in text


def test_the_tables_with_credentials_are_taken_back_after_all_tables_were_given() -> None:
    given = grants.statements(job_of(ENVIRONMENT, "3.17.2"))
    assert "REVOKE ALL" in given[-1]
    assert "IN ('users', 'secrets')" in given[-1]


@pytest.mark.parametrize(
    "complaint",
    [
        "(psycopg.errors.LockNotAvailable) canceling [SQL: UPDATE users SET x=%s] [parameters: {'h': 'scrypt:hash'}]",
        "[parameters: {'h': 'scrypt:hash'}]",
        "DETAIL:  Failing row contains (1, admin, scrypt:hash).",
    ],
)
def test_an_error_is_told_without_the_rows_that_it_was_about(complaint: str) -> None:
    assert "scrypt:hash" not in without_rows(complaint), "it ends in a log, in the state and on a screen"
    assert without_rows("plain words") == "plain words"
