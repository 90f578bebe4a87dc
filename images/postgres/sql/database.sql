-- The objects in the database. The owner owns all of them, the server reads and writes rows, the third role reads.
-- Variables: those of roles.sql.
\connect :"database"
BEGIN;

-- In old versions the server's role owned everything. REASSIGN includes functions, types and schemas, and databases.
REASSIGN OWNED BY :"server", :"readonly" TO :"owner";
-- After a change of postgresUser: the objects of the former owner, such as the schema job's schema.
SELECT format('REASSIGN OWNED BY %I TO %I', rolname, :'owner')
  FROM pg_roles
 WHERE oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'mlflow_postgres')
   AND NOT rolsuper AND rolname <> :'owner' \gexec
ALTER SCHEMA public OWNER TO :"owner";

-- The objects of other roles, such as a tutorial's superuser. The owner of a table also owns the sequences of its
-- columns. Objects of extensions are left alone.
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

-- For the tables that a migration will create.
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"server";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO :"server";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT ON TABLES TO :"readonly";

-- Tables of MLflow with credentials, for the server only: hashes of sign-in passwords, keys of model providers, secrets
-- of webhooks, hashes of the tokens of remote jobs. The schema job revokes the same ones (grants.py).
SELECT format('REVOKE ALL ON TABLE public.%I FROM %I', relname, :'readonly')
  FROM pg_class
 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
   AND relname = ANY (string_to_array(:'private', ',')) \gexec

COMMIT;
