"""Requests past those of MLflow's middlewares that do nothing for them.

Each takes a request apart and puts it together again, with a task, two streams and a cancel scope: a quarter of a
millisecond, also where all it does is to pass on what came.
"""

import importlib
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType

import mlflow
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from ..replacement import replace

READ = {"3.17.2"}
"""Versions of MLflow whose middlewares have been found to do nothing there. No other's are passed by."""


def install() -> None:
    if mlflow.__version__ not in READ:
        return
    # MLflow 3.6.0 has no workspaces.
    from mlflow.utils.workspace_utils import WORKSPACE_HEADER_NAME

    workspaces = importlib.import_module("mlflow.environment_variables").MLFLOW_ENABLE_WORKSPACES
    original: Callable[[BaseHTTPMiddleware, Scope, Receive, Send], Awaitable[None]] = BaseHTTPMiddleware.__call__
    header = WORKSPACE_HEADER_NAME.lower().encode()

    def names_no_workspace(scope: Scope) -> bool:
        return not workspaces.get() and all(name != header for name, _ in scope["headers"])

    # By the names of MLflow's functions; one by another name is passed through as ever.
    idle: dict[str, Callable[[Scope], bool]] = {
        "fastapi_permission_middleware": is_asked_elsewhere,
        "gateway_timing_middleware": lambda scope: "/gateway/" not in scope["path"],
        "workspace_context_middleware": names_no_workspace,
    }

    async def call(self: BaseHTTPMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
        is_idle = idle.get(getattr(self.dispatch_func, "__name__", ""))
        if is_idle and scope["type"] == "http" and is_idle(scope):
            await self.app(scope, receive, send)
        else:
            await original(self, scope, receive, send)

    replace(BaseHTTPMiddleware, __call__=call)


def is_asked_elsewhere(scope: Scope) -> bool:
    """Whether it is Flask's part of MLflow that asks who a request is from: this middleware then passes it on at once,
    by the same two questions as here."""
    # There whenever its middleware is.
    auth: ModuleType = sys.modules["mlflow.server.auth"]
    path = auth.get_routed_asgi_path(Request(scope))
    return auth._find_fastapi_validator(path, scope["method"]) is None and not auth.MLFLOW_BASIC_AUTH_FAIL_CLOSED.get()
