-- The objects of the cluster: the three roles, without their passwords, and the privileges on databases.
-- Variables: database, server, owner, readonly (names); {server,owner,readonly}_connections (numbers).

BEGIN;

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY[:'owner', :'server', :'readonly']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT format('ALTER ROLE %I WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
              ' CONNECTION LIMIT %s VALID UNTIL ''infinity''', name, connections),
       format('ALTER ROLE %I RESET ALL', name)
  FROM (VALUES (:'owner', :owner_connections),
               (:'server', :server_connections),
               (:'readonly', :readonly_connections)) AS roles (name, connections) \gexec

-- No client waits longer than this for a query of the server, and an idle transaction keeps vacuum from removing dead
-- rows. The owner dumps and migrates without a limit. But it must not wait long for a lock, because all later queries
-- of that table wait behind it.
ALTER ROLE :"server" SET statement_timeout = '5min';
ALTER ROLE :"server" SET lock_timeout = '30s';
ALTER ROLE :"server" SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE :"readonly" SET statement_timeout = '5min';
ALTER ROLE :"readonly" SET lock_timeout = '30s';
ALTER ROLE :"readonly" SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE :"readonly" SET default_transaction_read_only = on;
ALTER ROLE :"owner" SET lock_timeout = '1min';
ALTER ROLE :"owner" SET idle_in_transaction_session_timeout = '1h';

-- Revoke all memberships: a member of a role, such as pg_execute_server_program, has its privileges. GRANTED BY is
-- required since 16. Before 16, the grantor may be a role that no longer exists.
SELECT format('REVOKE %I FROM %I', pg_get_userbyid(roleid), pg_get_userbyid(member))
       || coalesce(' GRANTED BY ' || quote_ident(rolname), '') || ' CASCADE'
  FROM pg_auth_members LEFT JOIN pg_roles ON pg_roles.oid = grantor
 WHERE pg_get_userbyid(member) IN (:'owner', :'server', :'readonly') \gexec

-- Nobody may sign in as a superuser, nor as the former owner of the database (an old role of ours, or a tutorial's).
SELECT format('ALTER ROLE %I WITH PASSWORD NULL', rolname) FROM pg_authid
 WHERE rolpassword IS NOT NULL
   AND (rolsuper OR oid IN (SELECT datdba FROM pg_database WHERE datname = :'database')) \gexec

COMMIT;

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

-- By default every role may connect to every database, and create temporary tables in it.
BEGIN;
ALTER DATABASE :"database" OWNER TO :"owner";
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I, %I, %I', datname, :'owner', :'server', :'readonly')
  FROM pg_database \gexec
GRANT ALL ON DATABASE :"database" TO :"owner";
GRANT CONNECT ON DATABASE :"database" TO :"server", :"readonly";
-- Settings of a role in one database would override the settings above.
ALTER ROLE :"owner" IN DATABASE :"database" RESET ALL;
ALTER ROLE :"server" IN DATABASE :"database" RESET ALL;
ALTER ROLE :"readonly" IN DATABASE :"database" RESET ALL;
COMMIT;
