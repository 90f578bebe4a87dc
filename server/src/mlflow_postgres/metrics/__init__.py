"""The server's metrics for Prometheus."""
