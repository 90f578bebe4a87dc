"""The names and JSON formats that the host's code and the images' code share. Uses only the standard library."""
