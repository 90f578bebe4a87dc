"""MLflow's application: what it takes from a request and gives as a response."""
