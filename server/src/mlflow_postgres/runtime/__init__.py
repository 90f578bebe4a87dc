"""The start of the server's processes: secret files, forked workers, preloaded modules and the health check."""
