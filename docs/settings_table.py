"""Generates the settings table of the README from `Pulumi.yaml`.

python docs/settings_table.py README.md          writes the table
python docs/settings_table.py --check README.md  fails if the table is out of date
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

BEGIN = "<!-- settings: made by docs/settings_table.py -->"
END = "<!-- /settings -->"


def table(project: Path) -> str:
    """The table, with the key, the default and the meaning of each setting."""
    declared = yaml.safe_load(project.read_text())["config"]
    rows = [f"| `{key}` | {_format(each['default'])} | {each['description']} |" for key, each in declared.items()]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows])


def _format(value: object) -> str:
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{shown}`" if shown else ""


def main(arguments: list[str]) -> int:
    """Write or check the table. Returns exit code 1 if it is out of date."""
    page = Path(arguments[-1])
    text = page.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    updated = f"{head}{BEGIN}\n{table(page.parent / 'Pulumi.yaml')}\n{END}{tail}"
    if "--check" not in arguments:
        page.write_text(updated)
    elif text != updated:
        print(f"{page}: the settings table differs from Pulumi.yaml. Mend it with: make fix", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
