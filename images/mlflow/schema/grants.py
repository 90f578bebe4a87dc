"""Who may do what with the tables, besides their owner; credentials and their hashes are not for the read-only role."""

from __future__ import annotations

from typing import Any

import psycopg

# users: password hashes. secrets: the gateway's keys, wrapped. webhooks: encrypted signing keys. jobs: token hashes,
# and parameters that may hold anything.
PRIVATE = ("users", "secrets", "webhooks", "jobs")


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def statements(server_role: str, readonly_role: str) -> list[str]:
    """SQL, to be run in one transaction, that gives both roles what they need and takes the rest."""
    server, readonly = quoted(server_role), quoted(readonly_role)
    private = ", ".join(f"'{name}'" for name in PRIVATE)
    return [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {server}",
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {server}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {readonly}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {server}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {server}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {readonly}",
        "DO $$ DECLARE name text; BEGIN"
        f" FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename IN ({private}) LOOP"
        f" EXECUTE format('REVOKE ALL ON public.%I FROM %I', name, {_literal(readonly_role)}); END LOOP; END $$",
    ]


def grant(connection: psycopg.Connection[Any], server_role: str, readonly_role: str) -> None:
    """Give both roles their rights, all at once: no reader sees a private table in between."""
    with connection.transaction():
        for statement in statements(server_role, readonly_role):
            connection.execute(statement.encode())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
