"""The package in MLflow's image, its tests, and what builds it."""
