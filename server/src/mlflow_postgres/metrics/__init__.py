"""The server's figures for Prometheus."""
