-- What belongs to the cluster: the three roles, but for their passwords, and who may open which database.
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

-- A query of the server's answers a request that nobody waits for much longer, and a forgotten transaction keeps
-- vacuum from cleaning up. The owner dumps and migrates, which takes as long as it takes, but must not queue up
-- behind a lock while everybody else queues up behind it.
ALTER ROLE :"server" SET statement_timeout = '5min';
ALTER ROLE :"server" SET lock_timeout = '30s';
ALTER ROLE :"server" SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE :"readonly" SET statement_timeout = '5min';
ALTER ROLE :"readonly" SET lock_timeout = '30s';
ALTER ROLE :"readonly" SET idle_in_transaction_session_timeout = '5min';
ALTER ROLE :"readonly" SET default_transaction_read_only = on;
ALTER ROLE :"owner" SET lock_timeout = '1min';
ALTER ROLE :"owner" SET idle_in_transaction_session_timeout = '1h';

-- Whatever a role is a member of, such as pg_execute_server_program, it may do as well. The word of the grantor is
-- needed since 16; before, the grantor may be a role that is gone.
SELECT format('REVOKE %I FROM %I', pg_get_userbyid(roleid), pg_get_userbyid(member))
       || coalesce(' GRANTED BY ' || quote_ident(rolname), '') || ' CASCADE'
  FROM pg_auth_members LEFT JOIN pg_roles ON pg_roles.oid = grantor
 WHERE pg_get_userbyid(member) IN (:'owner', :'server', :'readonly') \gexec

-- A superuser, and who owned the database until now (a former role of ours, or a tutorial's), would be another way in.
SELECT format('ALTER ROLE %I WITH PASSWORD NULL', rolname) FROM pg_authid
 WHERE rolpassword IS NOT NULL
   AND (rolsuper OR oid IN (SELECT datdba FROM pg_database WHERE datname = :'database')) \gexec

COMMIT;

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

-- Everybody may open every database, and fill it with temporary tables, until it is taken back.
BEGIN;
ALTER DATABASE :"database" OWNER TO :"owner";
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I, %I, %I', datname, :'owner', :'server', :'readonly')
  FROM pg_database \gexec
GRANT ALL ON DATABASE :"database" TO :"owner";
GRANT CONNECT ON DATABASE :"database" TO :"server", :"readonly";
-- What was set for a role in this database alone would count before what is set above.
ALTER ROLE :"owner" IN DATABASE :"database" RESET ALL;
ALTER ROLE :"server" IN DATABASE :"database" RESET ALL;
ALTER ROLE :"readonly" IN DATABASE :"database" RESET ALL;
COMMIT;
