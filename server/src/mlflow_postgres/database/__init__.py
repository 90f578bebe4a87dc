"""MLflow's store on PostgreSQL: SQLAlchemy's dialect, sessions, statements and searches."""
