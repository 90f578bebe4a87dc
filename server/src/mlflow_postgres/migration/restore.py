"""Put a dump back in place of what is there, in one transaction: all of it or nothing."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress

import psycopg

from . import dump
from .grants import statements
from .job import Failed, Job
from .programs import environment, without_rows

# Objects of the owner alone: what belongs to an extension is its superuser's, and stays. A column's sequence goes with
# its table.
_EMPTY = """
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


def chosen(contents: Iterable[str]) -> list[str]:
    """The lines of an archive's table of contents that are put back: not the schema public, which was never away."""
    public = (" SCHEMA - public ", " - SCHEMA public ")
    return [line for line in contents if line and not line.startswith(";") and not any(part in line for part in public)]


def put_back(connection: psycopg.Connection, job: Job, name: str) -> None:
    """Replace all of MLflow's tables by the dump's; Failed when that did not succeed, and all is as it was."""
    server_version = connection.info.server_version
    archive, contents = dump.verified(name, server_version)
    with tempfile.NamedTemporaryFile("w", suffix=".list") as use, tempfile.TemporaryFile("w+") as complaints:
        use.write("\n".join(chosen(contents)) + "\n")
        use.flush()
        psql = subprocess.Popen(
            [
                *("psql", "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1"),
                *("--output=/dev/null", f"--dbname={job.database_uri}", "--file=-"),
            ],
            env=environment(server_version),
            stdin=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        assert psql.stdin is not None
        reader = None
        try:
            psql.stdin.write("BEGIN;\n" + _EMPTY)
            psql.stdin.flush()
            reader = subprocess.run(
                [
                    *("pg_restore", "--no-owner", "--no-privileges", f"--use-list={use.name}", "--file=-"),
                    str(archive),
                ],
                stdout=psql.stdin,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            if reader.returncode == 0:
                # Not psql's --single-transaction, which commits whatever a killed pg_restore had sent until then.
                psql.stdin.write("\n" + ";\n".join(statements(job)) + ";\nCOMMIT;\n")
        except BrokenPipeError:
            # It has ended at an error, which is read below.
            pass
        # What it has not read yet is tried once more, and then given up.
        with suppress(BrokenPipeError):
            psql.stdin.close()
        ended = psql.wait()
        complaints.seek(0)
        said = [line.strip() for line in complaints if line.strip()]
    if reader is None or ended != 0 or reader.returncode != 0:
        # Who was killed has said nothing.
        words = said or (reader.stderr.strip().splitlines()[-1:] if reader else [])
        reason = without_rows(words[0]) if words else f"psql ended with exit code {ended} and said nothing"
        raise Failed(
            f"the dump {name} was not put back ({reason}); the database is as it was. "
            "Mend it by stopping whatever still works on the database, then: make rollback"
        )
    connection.execute("ANALYZE")
