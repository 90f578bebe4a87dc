"""Replaces the database's contents by a dump, in one transaction."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress

import psycopg

from ..errors import Failed
from . import dump
from .grants import statements
from .job import Job
from .programs import environment, without_rows

# Drops only objects of the owner. Extensions belong to a superuser and stay. DROP TABLE drops the sequences of its
# columns.
_DROP_ALL = """
SET client_min_messages = error;
DROP SCHEMA IF EXISTS mlflow_postgres CASCADE;
DO $$
DECLARE item record;
BEGIN
  FOR item IN
    SELECT relname, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                                 WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind
      FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
       AND pg_get_userbyid(relowner) = current_user
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                                               AND (deptype = 'e' OR deptype IN ('a', 'i') AND relkind = 'S'))
  LOOP
    EXECUTE format('DROP %s IF EXISTS public.%I CASCADE', item.kind, item.relname);
  END LOOP;
  -- MLflow has a trigger, and with it a function.
  FOR item IN
    SELECT oid::regprocedure AS signature
      FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) = current_user
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                                               AND deptype = 'e')
  LOOP
    EXECUTE format('DROP ROUTINE %s CASCADE', item.signature);
  END LOOP;
  FOR item IN
    SELECT oid::regtype AS name FROM pg_type
     WHERE typnamespace = 'public'::regnamespace AND typtype = 'e' AND pg_get_userbyid(typowner) = current_user
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = pg_type.oid
                                               AND deptype = 'e')
  LOOP
    EXECUTE format('DROP TYPE %s CASCADE', item.name);
  END LOOP;
END $$;
"""


def restored_entries(contents: Iterable[str]) -> list[str]:
    """The entries of an archive's table of contents to restore: all but the schema public, which still exists."""
    public = (" SCHEMA - public ", " - SCHEMA public ")
    return [line for line in contents if line and not line.startswith(";") and not any(part in line for part in public)]


def restore(connection: psycopg.Connection, job: Job, name: str) -> None:
    """Replace all of MLflow's tables by those of the dump. Raises `Failed` if that fails; the database is unchanged."""
    server_version = connection.info.server_version
    archive, contents = dump.verify(name, server_version)
    with tempfile.NamedTemporaryFile("w", suffix=".list") as use_list, tempfile.TemporaryFile("w+") as stderr:
        use_list.write("\n".join(restored_entries(contents)) + "\n")
        use_list.flush()
        psql = subprocess.Popen(
            [
                *("psql", "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1"),
                *("--output=/dev/null", f"--dbname={job.database_uri}", "--file=-"),
            ],
            env=environment(server_version),
            stdin=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        assert psql.stdin is not None
        reader = None
        try:
            psql.stdin.write("BEGIN;\n" + _DROP_ALL)
            psql.stdin.flush()
            reader = subprocess.run(
                [
                    *("pg_restore", "--no-owner", "--no-privileges", f"--use-list={use_list.name}", "--file=-"),
                    str(archive),
                ],
                stdout=psql.stdin,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if reader.returncode == 0:
                # Not psql's --single-transaction: it would commit what a killed pg_restore has sent so far.
                psql.stdin.write("\n" + ";\n".join(statements(job)) + ";\nCOMMIT;\n")
        except BrokenPipeError:
            # psql has ended with an error, which is read below.
            pass
        # close() flushes the buffer, which fails again if psql has ended.
        with suppress(BrokenPipeError):
            psql.stdin.close()
        ended = psql.wait()
        stderr.seek(0)
        errors = [line.strip() for line in stderr if line.strip()]
    if reader is None or ended != 0 or reader.returncode != 0:
        # A killed program prints nothing.
        words = errors or (reader.stderr.strip().splitlines()[-1:] if reader else [])
        reason = without_rows(words[0]) if words else f"psql ended with exit code {ended} and printed no error"
        raise Failed(
            "dump-not-restored",
            f"the dump {name} was not restored ({reason}); the database is unchanged",
            rule="stop everything that still uses the database",
            remedy="make rollback",
        )
    connection.execute("ANALYZE")
