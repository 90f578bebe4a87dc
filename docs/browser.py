"""A stack's pages in Chromium: the tests look at them, and the pictures are taken of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import HttpCredentials, Page, sync_playwright

HERE = "127.0.0.1"
WIDTH, HEIGHT = 1280, 720
DRAWN = ".scatterlayer path.js-line"
"""A line in a chart."""


@contextmanager
def browser(user: HttpCredentials | None = None) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet; the user signs in where a server asks for it.

    It finds no host but this one. Raises AssertionError at the end if a page has asked for another,
    FileNotFoundError without Chromium.
    """
    program = shutil.which("chromium")
    if not program:
        raise FileNotFoundError("there is no chromium on PATH. Mend it with: make browser")
    strangers: set[str] = set()
    alone = f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HERE}"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--disable-gpu", "--disable-background-networking", alone]
        )
        try:
            context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, http_credentials=user)
            context.on("request", lambda request: strangers.add(urlsplit(request.url).hostname or HERE))
            # Otherwise MLflow opens its assistant over the first page that is seen.
            context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
            yield context.new_page()
        finally:
            chromium.close()
    assert strangers <= {HERE}, f"a page asks other hosts: {sorted(strangers - {HERE})}"


def open_runs(page: Page, url: str, experiment: str) -> None:
    """Open the table of an experiment's runs as somebody does who trains models."""
    page.goto(f"{url}/#/experiments/{experiment}/runs")
    page.get_by_role("button", name="Model training").click()


def compare_runs(page: Page) -> None:
    """From the table of runs to the charts of all of them."""
    page.locator("label:has(input[value=CHART])").click()
    page.locator(DRAWN).first.wait_for()


def open_run(page: Page, name: str, tab: str) -> None:
    """From the table of runs to one run's page."""
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("tab", name=tab).click()


def open_tables(page: Page, url: str, password: str) -> None:
    """Sign in to Adminer, where all but the password is filled in."""
    page.goto(url)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Login").click()
