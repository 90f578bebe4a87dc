"""FastTrackML, a server in Go: MLflow's REST API for runs, with tables of its own, and no traces or models."""

from __future__ import annotations

from bench.run_data import Row, Rows, Value

_CONTEXT = 1
"""The context of every metric that has none, which the server creates with its tables."""


def command(store: str) -> list[str]:
    """The server's command, with only the necessary options."""
    return ["fml", "server", "--database-uri", store, "--listen-address", "0.0.0.0:5000"]


def own_rows(rows: Rows) -> Rows:
    """The same rows for the tables of FastTrackML. Those of traces and models have none."""
    made: Rows = {}
    for table, (columns, values) in rows.items():
        if table == "runs":
            made[table] = ((*columns, "row_num"), [_own_run(dict(zip(columns, run, strict=True))) for run in values])
        elif table in ("metrics", "latest_metrics"):
            more = "iter" if table == "metrics" else "last_iter"
            step = columns.index("step")
            made[table] = (
                (*columns, more, "context_id"),
                [(*value, int(str(value[step])) + 1, _CONTEXT) for value in values],
            )
        elif table == "params":
            made[table] = (tuple("value_str" if name == "value" else name for name in columns), values)
        elif table == "tags":
            made[table] = (columns, values)
    return made


def _own_run(run: dict[str, Value]) -> Row:
    """A run whose artifacts are in a folder of the server's, and whose number among all follows from its start."""
    run["artifact_uri"] = f"file:///data/artifacts/{run['experiment_id']}/{run['run_uuid']}/artifacts"
    return (*run.values(), int(str(run["start_time"])) // 60_000)
