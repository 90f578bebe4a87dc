"""MLflow's REST API: the calls that the application answers itself, each with one SQL statement."""
