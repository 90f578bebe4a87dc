"""Runs with all that is odd in a search, the questions about them, and the script that asks them both ways."""
