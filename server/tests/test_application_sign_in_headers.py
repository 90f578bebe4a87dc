"""An Authorization header without a name is removed. MLflow judges one that may name somebody."""

from __future__ import annotations

import base64

import flask
import pytest

from mlflow_postgres.application.sign_in_headers import forget_what_names_nobody


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


@pytest.mark.parametrize(
    ("header", "stays"),
    [
        (None, False),
        ("Bearer x", False),
        ('Digest username="admin"', False),
        ("Basic", False),
        ("Basic !", False),
        (basic(""), False),
        (basic("admin"), True),
        (basic(":password"), False),
        (basic("ad\0min:password"), False),
        (basic("ad\ud800min:password"), False),
        (basic("admin:"), True),
        (basic("admin:pass\0word"), True),
        (basic("jürgen:password"), True),
    ],
)
def test_only_a_header_with_a_name_and_a_password_stays(header: str | None, stays: bool) -> None:
    application = flask.Flask(__name__)
    application.before_request(forget_what_names_nobody)

    @application.get("/")
    def seen() -> dict[str, str | None]:
        return {"header": flask.request.headers.get("Authorization")}

    response = application.test_client().get("/", headers={"Authorization": header} if header else {})
    assert response.get_json() == {"header": header if stays else None}
