"""How the server's processes start: secret files, forked workers, what is imported before the fork, and the probe."""
