"""What a person sees of the sign-in, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import HttpCredentials, expect

from docs.browser import PATIENCE, browser

from .harness import Deployment

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def closed(import_stack: Deployment) -> Deployment:
    """The stack with sign-in, as test_import_users.py leaves it."""
    if not import_stack.settings.get("signIn"):
        import_stack.configure(signIn=True)
        import_stack.up()
    return import_stack


def test_who_signs_in_is_let_in_and_named(closed: Deployment) -> None:
    outputs = closed.outputs()
    user = HttpCredentials(username=outputs["admin_username"], password=outputs["admin_password"])
    with browser(user) as page:
        page.goto(outputs["tracking_url"])
        expect(page.get_by_role("heading", name="Welcome to MLflow")).to_be_visible()
        expect(page.get_by_text(user["username"], exact=True)).to_be_visible()


def test_nobody_signs_in_with_another_password(closed: Deployment) -> None:
    outputs = closed.outputs()
    with browser(HttpCredentials(username=outputs["admin_username"], password="another")) as page:
        answer = page.goto(outputs["tracking_url"])
        assert answer is not None
        assert answer.status == 401
        expect(page.get_by_text("You are not authenticated")).to_be_visible()
