"""MLflow's stores on PostgreSQL: subclasses of them, and SQLAlchemy's dialect."""
