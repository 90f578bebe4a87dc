"""The privileges of the server's role and the read-only role. The latter cannot read tables with credentials."""

from __future__ import annotations

import psycopg

from .job import Job


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def statements(job: Job) -> list[str]:
    """Statements that grant both roles their privileges and revoke all others. Run them in one transaction."""
    server, readonly = quoted(job.server_role), quoted(job.readonly_role)
    private = ", ".join(_literal(name) for name in job.private_tables)
    return [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {server}",
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {server}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {readonly}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {server}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {server}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {readonly}",
        "DO $$ DECLARE name text; BEGIN"
        f" FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename IN ({private}) LOOP"
        f" EXECUTE format('REVOKE ALL ON public.%I FROM %I', name, {_literal(job.readonly_role)}); END LOOP; END $$",
    ]


def grant(connection: psycopg.Connection, job: Job) -> None:
    """Grant both roles their privileges. In one transaction, so that no reader sees a private table in between."""
    with connection.transaction():
        for statement in statements(job):
            connection.execute(statement.encode())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
