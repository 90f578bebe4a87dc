"""docs/errors.md has every error message that the project raises, and none that it does not."""

from __future__ import annotations

import re

from .deploy import CHECKOUT
from .messages import messages

PAGE = "docs/errors.md"


def test_every_error_message_has_its_entry() -> None:
    """The cure for a new one is a line with its cause and its remedy; the message is here as the page must have it."""
    ours, others = (CHECKOUT / PAGE).read_text().split("\n## From others\n")
    entries = re.findall(r"^\| (?!it says|---)(.+?) \| .*\|$", ours, re.MULTILINE)
    assert others
    assert len(entries) == len(set(entries))
    assert sorted(messages() - set(entries)) == [], f"not in {PAGE}"
    assert sorted(set(entries) - messages()) == [], f"said by nobody any more, and still in {PAGE}"
