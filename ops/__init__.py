"""Commands on a running stack: `python -m ops <command>`."""
