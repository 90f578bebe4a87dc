"""A stack's pages in Chromium: the tests look at them, and the pictures are taken of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import HttpCredentials, Page, Route, sync_playwright

HERE = "127.0.0.1"
WIDTH, HEIGHT = 1280, 720
PATIENCE = 90
"""Seconds that a page may take for each step: several stacks may be up on one machine."""
DRAWN = ".scatterlayer path.js-line"
"""A line in a chart."""


@contextmanager
def browser(user: HttpCredentials | None = None) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet; the user signs in where a server asks for it.

    It reaches no host but this one. Raises AssertionError at the end if a page has asked for another,
    FileNotFoundError without Chromium. An error in the block is given notes: the path of a picture of the page, its
    address, what it wrote to the console, and the requests that failed.
    """
    program = shutil.which("chromium")
    if not program:
        raise FileNotFoundError("there is no chromium on PATH. Mend it with: make browser")
    strangers: set[str] = set()
    events: list[str] = []

    def fetch(route: Route) -> None:
        """Send a request from Playwright instead of Chromium.

        Chromium drops all its requests (ERR_NETWORK_CHANGED) when any container on this machine starts or stops, for
        an interface comes or goes with it. A page that has lost a part of its program stays empty.
        """
        host = urlsplit(route.request.url).hostname or HERE
        if host != HERE:
            strangers.add(host)
            route.abort()
        else:
            route.fulfill(response=route.fetch(timeout=PATIENCE * 1000))

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program,
            args=["--disable-gpu", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        try:
            context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, http_credentials=user)
            context.set_default_timeout(PATIENCE * 1000)
            context.route("**/*", fetch)
            context.on("console", lambda message: events.append(f"console {message.type}: {message.text}"))
            context.on("requestfailed", lambda request: events.append(f"failed: {request.url} ({request.failure})"))
            # Otherwise MLflow opens its assistant over the first page that is seen.
            context.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
            page = context.new_page()
            try:
                yield page
            except Exception as error:
                _describe(page, events, error)
                raise
            context.unroute_all(behavior="ignoreErrors")
        finally:
            chromium.close()
    assert not strangers, f"a page asks other hosts: {sorted(strangers)}"


def _describe(page: Page, events: list[str], error: Exception) -> None:
    """Add to an error what the page looks like and what went wrong in it."""
    with tempfile.NamedTemporaryFile(prefix="mlflow-postgres-page-", suffix=".png", delete=False) as picture:
        picture.write(page.screenshot())
    error.add_note(f"the page was at {page.url}; its picture is in {picture.name}")
    for event in events[-20:]:
        error.add_note(event)


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
