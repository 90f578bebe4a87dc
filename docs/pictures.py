"""Takes the screenshots in `docs/pictures`: `make pictures STACK=pictures`.

The stack must run with `signIn` and `adminer`. The script logs an experiment to it, so use a throw-away stack.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from playwright.sync_api import HttpCredentials, Locator, Page

from ops.stack import outputs, pulumi

from . import picture_runs
from .browser import CHART_LINE, browser, compare_runs, open_run, open_runs, open_tables

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """Log the experiment, then take every screenshot. Raises Playwright's errors if a page has changed."""
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description=__doc__)
    parser.add_argument("--stack", required=True, help="the stack's name")
    stack: str = parser.parse_args().stack
    values = outputs(stack)
    for output, setting in {"admin_username": "signIn", "adminer_url": "adminer"}.items():
        if output not in values:
            mend = f"bin/pulumi config set {setting} true --stack {stack} && make up STACK={stack}"
            parser.error(f"the stack {stack} has no {output}. Mend it with: {mend}")
    user = HttpCredentials(username=values["admin_username"], password=_secret("admin_password", stack))
    os.environ |= {"MLFLOW_TRACKING_USERNAME": user["username"], "MLFLOW_TRACKING_PASSWORD": user["password"]}
    url: str = values["tracking_url"]
    experiment = picture_runs.log(url)
    with browser(user) as page:
        _mlflow_pages(page, url, experiment)
        page.goto(values["adminer_url"])
        _screenshot("adminer-login", page.get_by_role("button", name="Login"))
        open_tables(page, values["adminer_url"], _secret("postgres_password", stack))
        # Adminer loads the sizes after the names.
        _screenshot("adminer-tables", page.get_by_role("cell", name="table", exact=True).first)


def _mlflow_pages(page: Page, url: str, experiment: str) -> None:
    page.goto(url)
    # A note about usage data, which this project's server does not send.
    page.get_by_role("button", name="Close").click()
    _screenshot("signed-in", page.get_by_role("link", name=picture_runs.EXPERIMENT))
    open_runs(page, url, experiment)
    _screenshot("runs", page.get_by_role("link", name=picture_runs.BEST, exact=True))
    compare_runs(page)
    _screenshot("chart", page.locator(CHART_LINE).nth(len(picture_runs.MODELS) - 1))
    open_run(page, picture_runs.BEST, "Artifacts")
    page.get_by_text(picture_runs.REPORT, exact=True).click()
    _screenshot("artifact", page.get_by_role("heading", name=picture_runs.BEST).nth(1))
    page.goto(f"{url}/#/experiments/{experiment}/traces")
    page.get_by_role("button", name="Got it").click()
    _screenshot("traces", page.get_by_text(picture_runs.QUESTION).first)


def _screenshot(name: str, visible: Locator) -> None:
    """Take a screenshot once an element is visible."""
    visible.wait_for()
    visible.page.screenshot(path=FOLDER / f"{name}.png")


def _secret(output: str, stack: str) -> str:
    return pulumi("stack", "output", output, "--show-secrets", "--stack", stack).strip()


if __name__ == "__main__":
    main()
