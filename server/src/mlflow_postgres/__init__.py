"""What this project adds to MLflow inside its image. Each room is named after what it does."""
