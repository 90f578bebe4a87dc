"""`ready`: succeed if the server answers a call that reads the database. /health answers 200 without a database."""

from __future__ import annotations

import base64
import os
import sys
import urllib.error
import urllib.request

from contract import environment, ports

# This address is also the Host header, which `mlflow server --allowed-hosts` must name: any other gets 403.
URL = f"http://127.0.0.1:{ports.MLFLOW}/api/2.0/mlflow/experiments/search?max_results=1"


def main() -> None:
    request = urllib.request.Request(URL)
    sign_in = bool(os.environ.get(environment.AUTH_CONFIG_PATH))
    if sign_in:
        # This user does not exist. MLflow reads the table of users and answers 401 without hashing, which is slow.
        request.add_header("Authorization", "Basic " + base64.b64encode(b"probe:probe").decode())
    try:
        with urllib.request.urlopen(request, timeout=8) as response:
            response.read()
    except urllib.error.HTTPError as error:
        if not (sign_in and error.code == 401):
            sys.exit(f"not ready: {error}")
    except OSError as error:
        sys.exit(f"not ready: {error}")
