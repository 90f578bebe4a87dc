"""What the host's side and the images' side of a container must agree on. Uses the standard library alone."""
