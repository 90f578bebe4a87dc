"""The Python code that this project adds to MLflow's image. Each package is named after its task."""
