"""Every call of the REST API is asked of MLflow alone and of our application, and everything is compared."""
