"""Who may do what in the database: the SQL of PostgreSQL's image and the grants of the schema job, on a bare server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy
from mlflow.store.db import utils
from psycopg import sql

from mlflow_postgres.migration.grants import grant
from mlflow_postgres.migration.job import Job, job_of

from . import CHECKOUT
from .postgresql import Server

DENIED = psycopg.errors.InsufficientPrivilege
SCRIPTS = [CHECKOUT / "images" / "postgres" / "sql" / f"{name}.sql" for name in ("roles", "monitor", "database")]
"""What `prepare-database` of PostgreSQL's image runs at each start."""
NAMES = {"database": "mlflow", "server": "mlflow", "owner": "mlflow_owner", "readonly": "mlflow_readonly"}
PRIVATE = "users,secrets,webhooks,jobs"
VARIABLES = {
    **NAMES,
    **{"server_connections": "20", "owner_connections": "5", "readonly_connections": "20"},
    **{"monitor": "mlflow_monitor", "monitor_connections": "0", "private": PRIVATE},
}


@pytest.fixture(scope="module", params=["the start of PostgreSQL", "the schema job"])
def granted(request: pytest.FixtureRequest, postgresql: Server, schema: str) -> Iterator[Server]:
    """A server with the roles and the database of a stack, whose tables were granted by one of the two who do so."""
    if request.param == "the schema job":
        prepare(postgresql)
        migrate(postgresql)
    else:
        postgresql.create("mlflow", schema)
        prepare(postgresql)
    yield postgresql
    postgresql.drop("mlflow")


def prepare(postgresql: Server) -> None:
    postgresql.run_scripts(SCRIPTS, VARIABLES)


def migrate(postgresql: Server) -> None:
    """Make the tables as their owner, as the schema job does."""
    engine = sqlalchemy.create_engine(postgresql.store_uri("mlflow", NAMES["owner"]))
    utils._initialize_tables(engine)
    engine.dispose()
    with psycopg.connect(postgresql.uri("mlflow", NAMES["owner"]), autocommit=True) as connection:
        grant(connection, job(postgresql))


def job(postgresql: Server) -> Job:
    environment = {
        "MLFLOW_BACKEND_STORE_URI": postgresql.store_uri("mlflow", NAMES["owner"]),
        "MLFLOW_POSTGRES_USER": NAMES["server"],
        "MLFLOW_POSTGRES_PRIVATE_TABLES": PRIVATE,
        **{"CREDENTIALS_VERSION": "1", "SIGN_IN": "false", "BACKUPS_VOLUME": "backups"},
    }
    return job_of(environment, "3.17.2")


@pytest.fixture
def server(granted: Server) -> Iterator[psycopg.Connection]:
    """A session of the role that MLflow's server has."""
    with psycopg.connect(granted.uri("mlflow", NAMES["server"])) as connection:
        yield connection


@pytest.fixture
def reader(granted: Server) -> Iterator[psycopg.Connection]:
    """A session of the role that people and dashboards have."""
    with psycopg.connect(granted.uri("mlflow", NAMES["readonly"])) as connection:
        yield connection


@pytest.fixture
def superuser(granted: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(granted.uri("mlflow")) as connection:
        yield connection


@pytest.mark.parametrize("order", [
    "CREATE TABLE stranger (id int)",
    "CREATE SCHEMA stranger",
    "CREATE TEMP TABLE stranger (id int)",
    "CREATE FUNCTION stranger() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE DATABASE stranger",
    "CREATE ROLE stranger",
    "DROP TABLE runs",
    "DROP TABLE runs CASCADE",
    "DROP SCHEMA public CASCADE",
    "ALTER TABLE runs ADD COLUMN stranger int",
    "CREATE INDEX stranger ON runs (name)",
    "TRUNCATE runs",
    "COPY runs TO PROGRAM 'cat > /tmp/stranger'",
    "COPY runs FROM PROGRAM 'id'",
    "COPY runs TO '/tmp/stranger'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SET ROLE mlflow_owner",
    "ALTER ROLE mlflow SUPERUSER",
    "ALTER SYSTEM SET fsync = off",
])  # fmt: skip
def test_the_servers_role_is_refused(server: psycopg.Connection, order: str) -> None:
    server.autocommit = True
    with pytest.raises(DENIED):
        server.execute(order.encode())


@pytest.mark.parametrize("role", ["mlflow", "mlflow_readonly"])
@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_roles_open_no_other_database(granted: Server, database: str, role: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(granted.uri(database, role)).close()


def test_the_servers_role_works_with_the_rows_of_every_table(server: psycopg.Connection) -> None:
    assert server.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    server.execute("INSERT INTO experiments (name, artifact_location, lifecycle_stage) VALUES ('a', 'b', 'active')")
    server.execute("UPDATE experiments SET name = 'b' WHERE name = 'a'")
    server.execute("DELETE FROM experiments WHERE name = 'b'")
    asked = (
        "SELECT relname, wanted FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT has_table_privilege(oid, wanted)"
    )
    assert server.execute(asked).fetchall() == []
    server.rollback()


@pytest.mark.parametrize("order", [
    "INSERT INTO tags (key, value, run_uuid) VALUES ('a', 'b', 'c')",
    "UPDATE experiments SET name = 'stranger'",
    "DELETE FROM metrics",
    "TRUNCATE metrics",
    "CREATE TABLE stranger (id int)",
    "SELECT nextval('experiments_experiment_id_seq')",
])  # fmt: skip
def test_the_readers_role_writes_nothing_even_when_it_says_that_it_will(reader: psycopg.Connection, order: str) -> None:
    reader.autocommit = True
    with pytest.raises((psycopg.errors.ReadOnlySqlTransaction, DENIED)):
        reader.execute(order.encode())
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(DENIED):
        reader.execute(order.encode())


def test_the_readers_role_reads_the_runs_and_no_credentials(reader: psycopg.Connection) -> None:
    reader.autocommit = True
    for table in ("experiments", "runs", "metrics", "params", "tags", "registered_models", "trace_info"):
        reader.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
    for table in ("secrets", "webhooks", "jobs"):
        with pytest.raises(DENIED):
            reader.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))


def test_what_a_migration_makes_is_readers_to_read_and_the_servers_to_write(superuser: psycopg.Connection) -> None:
    rights = ("mlflow_readonly", "SELECT"), ("mlflow_readonly", "INSERT"), ("mlflow", "INSERT"), ("mlflow", "TRUNCATE")
    superuser.execute("SET ROLE mlflow_owner")
    superuser.execute("CREATE TABLE later (id int)")
    found = [
        superuser.execute("SELECT has_table_privilege(%s, 'later', %s)", each).fetchone() == (True,) for each in rights
    ]
    superuser.rollback()
    assert found == [True, False, True, False]


def test_every_role_is_cut_off_when_it_holds_others_up(superuser: psycopg.Connection) -> None:
    asked = (
        "SELECT rolname, array_agg(split_part(setting, '=', 1) ORDER BY setting) "
        "FROM pg_roles, unnest(rolconfig) AS setting WHERE rolname = ANY (%s) GROUP BY rolname"
    )
    limits = ["idle_in_transaction_session_timeout", "lock_timeout"]
    assert dict(superuser.execute(asked, (list(NAMES.values()),)).fetchall()) == {
        "mlflow": [*limits, "statement_timeout"],
        "mlflow_owner": limits,
        "mlflow_readonly": ["default_transaction_read_only", *limits, "statement_timeout"],
    }


def test_a_role_has_no_more_sessions_than_it_was_given(superuser: psycopg.Connection) -> None:
    asked = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname = ANY (%s)"
    limits = {role: limit for role, limit in superuser.execute(asked, (list(NAMES.values()),))}
    assert limits == {"mlflow": 20, "mlflow_owner": 5, "mlflow_readonly": 20}


def test_what_a_role_was_given_beside_is_taken_back_at_the_next_start(granted: Server) -> None:
    with psycopg.connect(granted.uri("mlflow"), autocommit=True) as superuser:
        superuser.execute("ALTER ROLE mlflow CREATEDB")
        superuser.execute("GRANT pg_read_server_files TO mlflow_readonly")
        superuser.execute("GRANT CREATE ON SCHEMA public TO mlflow")
        superuser.execute("GRANT INSERT ON runs TO mlflow_readonly")
        superuser.execute("GRANT SELECT ON secrets TO mlflow_readonly")
        prepare(granted)
        asked = (
            "SELECT rolcreatedb, pg_has_role('mlflow_readonly', 'pg_read_server_files', 'MEMBER'),"
            " has_schema_privilege('mlflow', 'public', 'CREATE'),"
            " has_table_privilege('mlflow_readonly', 'runs', 'INSERT'),"
            " has_table_privilege('mlflow_readonly', 'secrets', 'SELECT')"
            " FROM pg_roles WHERE rolname = 'mlflow'"
        )
        assert superuser.execute(asked).fetchone() == (False,) * 5
