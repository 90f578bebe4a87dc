-- What is in the database: all of it is the owner's, the server reads and writes rows, the third role reads.
-- Variables: as roles.sql has them.
\connect :"database"
BEGIN;

-- In stacks of a former version the server's role owned everything. This reaches functions, types and schemas too,
-- and other databases of its.
REASSIGN OWNED BY :"server", :"readonly" TO :"owner";
-- After another postgresUser was chosen: what the owner of then has made, such as the schema job's own schema.
SELECT format('REASSIGN OWNED BY %I TO %I', rolname, :'owner')
  FROM pg_roles
 WHERE oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'mlflow_postgres')
   AND NOT rolsuper AND rolname <> :'owner' \gexec
ALTER SCHEMA public OWNER TO :"owner";

-- What others made here, such as a tutorial's superuser. A sequence of a column goes with its table, and what
-- belongs to an extension stays with it.
SELECT format('ALTER TABLE public.%I OWNER TO %I', relname, :'owner')
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND pg_get_userbyid(relowner) <> :'owner'
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                      AND (deptype = 'e' OR relkind = 'S' AND refobjsubid > 0 AND deptype IN ('a', 'i'))) \gexec

REVOKE ALL ON SCHEMA public FROM PUBLIC, :"server", :"readonly";
GRANT USAGE ON SCHEMA public TO :"server", :"readonly";

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, :"server", :"readonly";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, :"server", :"readonly";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"server";
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO :"server";
GRANT SELECT ON ALL TABLES IN SCHEMA public TO :"readonly";

-- For what a migration will make.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"server";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"server";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT ON TABLES TO :"readonly";

-- Tables of MLflow with what is nobody's but the server's: hashes of sign-in passwords, keys of model providers,
-- secrets of webhooks, hashes of the tokens of remote jobs. The job that migrates takes back the same ones.
SELECT format('REVOKE ALL ON TABLE public.%I FROM %I', relname, :'readonly')
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
   AND relname = ANY (string_to_array(:'private', ',')) \gexec

COMMIT;
