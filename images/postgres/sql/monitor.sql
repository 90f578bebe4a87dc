-- The role that watches: it reads the server's statistics and no rows. When nobody watches, it is shut out.
-- Variables: database, monitor (names); monitor_connections (a number, 0 when nobody watches).

SELECT :monitor_connections > 0 AS watched \gset
BEGIN;
\if :watched
SELECT format('CREATE ROLE %I', :'monitor') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'monitor') \gexec
ALTER ROLE :"monitor" WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT :monitor_connections VALID UNTIL 'infinity';
ALTER ROLE :"monitor" RESET ALL;
ALTER ROLE :"monitor" IN DATABASE :"database" RESET ALL;
-- Who looks must not be in the way of who works, nor wait for them.
ALTER ROLE :"monitor" SET statement_timeout = '10s';
ALTER ROLE :"monitor" SET lock_timeout = '2s';
ALTER ROLE :"monitor" SET idle_in_transaction_session_timeout = '1min';
ALTER ROLE :"monitor" SET default_transaction_read_only = on;
\else
SELECT format('ALTER ROLE %I WITH NOLOGIN PASSWORD NULL', rolname) FROM pg_roles WHERE rolname = :'monitor' \gexec
\endif

-- As for the other roles in roles.sql: what it was made a member of, and what it was given, does not stay.
SELECT format('REVOKE %I FROM %I', pg_get_userbyid(roleid), pg_get_userbyid(member))
       || coalesce(' GRANTED BY ' || quote_ident(rolname), '') || ' CASCADE'
  FROM pg_auth_members LEFT JOIN pg_roles ON pg_roles.oid = grantor
 WHERE pg_get_userbyid(member) = :'monitor' \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM %I', datname, rolname)
  FROM pg_database, pg_roles WHERE rolname = :'monitor' \gexec
\if :watched
GRANT CONNECT ON DATABASE :"database" TO :"monitor";
GRANT pg_monitor TO :"monitor";
\endif
COMMIT;
