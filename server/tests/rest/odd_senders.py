"""What somebody sends who wants more than is permitted: one request that may be read as two."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode

from .sides import Request

GET = "/api/2.0/mlflow/runs/get"
UPDATE = "/api/2.0/mlflow/runs/update"
SEARCH = "/api/2.0/mlflow/runs/search"
EXPORT = "/v1/traces"
Headers = list[tuple[str, str]]


def bodies(own: str, other: str) -> list[bytes]:
    """For `runs/update`: the sender may update the first run, and not the second one."""
    plain = json.dumps({"run_id": own, "status": "FAILED"})
    found = [
        f'{{"run_id": "{first}", "{name}": "{second}", "status": "FAILED"}}'.encode()
        for first, second in ((own, other), (other, own), (own, own))
        for name in ("run_id", "run\\u005fid", "run_uuid", "runId", "Run_id", "run_id ")
    ]
    found += [f'{{"runId": "{other}", "run_id": "{own}"}}'.encode(), f'{{"run_uuid": "{own}"}}'.encode()]
    found += [f'{{"run_id": {value}, "status": "FAILED"}}'.encode() for value in (1, "null", f'["{own}"]', "{}")]
    found += [plain.encode(each) for each in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be")]
    found += [json.dumps(plain).encode(), f"[{plain}]".encode(), plain.encode() + b"\0", plain.encode() * 2, b"\0", b""]
    found += [
        plain.replace("FAILED", each).encode("utf-8", "surrogatepass") for each in ("\ud800", "\\ud800", "\\u0000")
    ]
    found += [f'{{"run_id": "{own}", "run": {{"run_id": "{other}"}}, "status": "FAILED"}}'.encode()]
    return found


def searches(own: str, other: str) -> list[bytes]:
    """For `runs/search`: the sender may read the first experiment, and not the second one."""
    lists: tuple[object, ...] = (
        *([own, own], [own, other, own], [int(own)], [other], [f"0{own}"], [f" {own}"], [own, ""], [own, None], own),
        *({own: other}, [[own]], [True], [f"{own}.0"], [float(own)], ["999999999"], ["9999999999"], [f"-{own}"], []),
    )
    found = [json.dumps({"experiment_ids": each}).encode() for each in lists]
    for first, second in ((own, other), (other, own)):
        for name in ("experiment_ids", "experimentIds"):
            found.append(f'{{"experiment_ids": ["{first}"], "{name}": ["{second}"]}}'.encode())
    return found


def span() -> dict[str, object]:
    """For an export in JSON."""
    ids = {"traceId": "1a" * 16, "spanId": "2b" * 8}
    span = {**ids, "name": "s", "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000001000000000"}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def senders(name: str, password: str, other: str) -> list[Headers]:
    """Headers of somebody who is a user, of other people, or of both."""

    def basic(name: str, encoding: str = "utf-8") -> str:
        return "Basic " + b64encode(f"{name}:{password}".encode(encoding)).decode()

    right, wrong = basic(name), basic(other)
    encoded = right.removeprefix("Basic ")
    values = [
        *(right, right.lower(), f"basic {encoded}", f"BASIC  {encoded} ", f"Basic\t{encoded}", f"Basic {encoded}=="),
        *(f"Basic {encoded.rstrip('=')}", f"Basic {encoded[:-4]}", f"Basic {encoded[:8]} {encoded[8:]}", "Basic"),
        *(f"{right}, {wrong}", f"{wrong}, {right}", f"{right},", f"Bearer {encoded}", f"Basic {right}", encoded),
        "Basic " + urlsafe_b64encode(f"{name}:{password}?>~".encode()).decode(),
        'Basic username="alice", password="x"',
        *(
            basic(each)
            for each in (name.upper(), f"{name} ", f" {name}", f"{name}\0", f"{name}\n", f"{name}:", f":{name}")
        ),
        *(basic(each, "latin-1") for each in ("j\u00fcrgen", name)),
        *(basic(each) for each in ("j\u00fcrgen", "ju\u0308rgen", "\U0001f600", "")),
    ]
    found: list[Headers] = [[("authorization", value)] for value in values]
    for pair in ((right, wrong), (wrong, right), (right, right)):
        found.append([("authorization", value) for value in pair])
    others = (("x_mlflow_workspace", "other"), ("x-mlflow-workspace", "default"), ("x-mlflow-workspace", ""))
    more = (("cookie", f"session={encoded}"), ("x-mlflow-authorization", wrong), ("x-forwarded-user", other))
    found += [[("authorization", right), each] for each in (*others, *more, ("content-type", "application/json"))]
    return [*found, [], [("cookie", f"session={encoded}")], [("x-mlflow-authorization", right)]]


def places(own: str, other: str) -> list[Request]:
    """For `runs/get`: the sender may read the first run, and not the second one."""
    found = [
        Request("GET", path, query={"run_id": run_id})
        for path in (GET + "/", GET.replace("/runs/", "//runs/"), GET.replace("/runs/", "/runs%2F"))
        for run_id in (own, other)
    ]
    found += [
        Request("GET", path, query={"run_id": other})
        for path in (GET.upper(), GET + "%20", GET + ";x", GET + "%00", "/static/.." + GET, "/health/.." + GET)
    ]
    found += [Request(method, GET, query={"run_id": other}) for method in ("HEAD", "OPTIONS", "POST", "PUT", "PATCH")]
    for first, second in ((own, other), (other, own)):
        found += [
            Request("GET", GET, query=[("run_id", first), ("run_id", second)]),
            Request("GET", GET, query=[("run_id", first), ("run_uuid", second)]),
            Request("GET", GET, query=[("run_uuid", first), ("run_id", second)]),
            Request("GET", GET, query=f"run_id={first}&run%5Fid={second}"),
            Request("GET", GET, query=f"run_id={first};run_id={second}"),
            Request("GET", GET, {"run_id": second}, {"run_id": first}),
            Request("GET", GET, {"run_id": second}),
            Request("POST", UPDATE, {"run_id": second, "status": "FAILED"}, {"run_id": first}),
            Request("POST", SEARCH, {"experiment_ids": ["0"]}, {"run_id": first}),
        ]
    return found
