#!/bin/sh
# The official image runs this once, on the temporary server of a cluster that was just made.
exec prepare-database
