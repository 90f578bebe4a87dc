"""What is asked: every filter in an order, every order with a few filters and views, and pages of every size."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from .odd_runs import BEGINNING, KEY, LONG, LONG_TAG

ACTIVE, DELETED, ALL = 1, 2, 3
"""The view types, by MLflow's numbers."""
DEFAULT = 7
"""Runs of a page where nothing else is asked for."""


@dataclass(frozen=True)
class Question:
    filter: str = ""
    order: tuple[str, ...] = ()
    view: int = ACTIVE
    most: int | None = DEFAULT
    """Runs of a page. MLflow decides if None."""

    experiments: tuple[str, ...] = ("odd", "other")
    token: str | None = None
    """What a page begins at, as MLflow writes it."""


NOWHERE = (
    *("params.p = 'nowhere'", "params.p = 'x' and params.p = 'y'", "tags.nothing = 'soon'", "tags.nothing LIKE '%'"),
    *("params.p LIKE '50\\%y'", "params.p = '4_'", "params.nope LIKE '4%'", "metrics.never = 0", "metrics.never > -1"),
    *(f"params.p = '{BEGINNING}x'", f"params.p LIKE '{BEGINNING}x%'", f"params.p = '{LONG[:129]}'"),
    *("tags.nothing IS NULL", "params.p IS NULL"),
    *(f"params.p LIKE '{BEGINNING[:127]}_q'", "params.p LIKE '5_'", "params.long = 'x'", "tags.`名前` = '名'"),
)
"""Filters that nothing fits."""


def token(text: str) -> str:
    """A page's token that holds what MLflow never wrote."""
    return base64.b64encode(text.encode()).decode()


REFUSED = (
    *(Question("", ("metrics.m",), token=each) for each in ("é", token("5"), token('{"offset": [1]}'))),
    Question("", ("metrics.m",), token=token('{"offset": Infinity}')),
    Question("nonsense.p = '4'", ("metrics.m",), token=token("5")),
    Question("", ('metrics.`a"b`',)),
    Question("", ('metrics.`a"b`',), most=-1),
    Question("params.p > '4'"),
    Question("metrics.m IS NOT NULL and metrics.m <= 3", ("metrics.m DESC",)),
    Question("attributes.run_name IN ('run-1', 'run-2')", ("metrics.m",)),
    Question("nonsense.p = '4'", ("metrics.m",)),
    Question("params.p = '42'", ("nonsense.m DESC",)),
    Question("params.p = 42", ("metrics.m DESC", "metrics.m ASC")),
    Question("", ("metrics.m DESC", "metrics.m ASC")),
    Question("nonsense.p = '4'", ("metrics.m SIDEWAYS",), most=-1),
    Question("", ("metrics.m",), most=0),
    Question("", (), most=50_001),
    Question("", ("metrics.m DESC",), most=50_001),
)
"""Questions that MLflow does not answer."""

FILTERS = (
    *("", "params.p = '42'", "params.p = ''", "params.p = '42 '", "params.p != '42'", "params.p = 'Ä'"),
    *("params.p = '50%'", "params.p = '50_'", "params.p = 'a\\b'", "params.p = '名前'", "params.p = '😀'"),
    *('params.p = "x\'y"', "params.p = 'a\"b'", "params.p = 'é'", "params.p = 'line\nbreak'"),
    *(f"{at} = '{'😀' * count}'" for at in ("params.p", "tags.t") for count in (127, 128, 129)),
    *(f"params.p = '{BEGINNING[:127]}{end}'" for end in ("", "%", BEGINNING[127], f"{BEGINNING[127]}y")),
    *(f"tags.t = '{value}'" for value in (BEGINNING, BEGINNING[:127], BEGINNING + "z", LONG)),
    *(f"params.p LIKE '{BEGINNING}{end}'" for end in ("", "%", "y", "y%", "_", "%z", "%%")),
    *(f"params.p LIKE '{BEGINNING[:127]}{end}'" for end in ("", "%", "_", "_%", "\\%", "\\%%")),
    *(f"tags.t LIKE '{BEGINNING[:126]}{end}'" for end in ("%", "__%")),
    *(f"params.p LIKE '{LONG[: LONG.index('%', 128)]}%'", f"params.p = '{LONG}'", f"params.p != '{LONG}'"),
    *(f"params.p LIKE '{value}'" for value in ("4%", "42%", "%2", "42", "%", "%%", "_", "__", "5_%", "50\\%", "50\\_")),
    *(f"params.p LIKE '{value}'" for value in ("a\\\\b", "a\\\\%", "a\\%b", "a\\_b", "a_b", "a%b", "\\4%", "4\\2%")),
    *(f"params.p LIKE '{value}'" for value in ("", "😀%", "名_", "Ä%", "a%", "line%", "e_", "%\\\\%")),
    *("params.p ILIKE 'a%'", "params.p ILIKE 'Ä'", "tags.t ILIKE '4%'", f"params.p ILIKE '{BEGINNING.lower()}%'"),
    *("tags.t = '42'", "tags.t LIKE '4%'", "tags.t != 'x'", f"tags.{KEY} = ''", f"tags.{KEY} LIKE 'x%'"),
    *("tags.nothing IS NOT NULL", "params.long IS NOT NULL", "params.long IS NULL"),
    *("tags.`名前` = '名前'", "tags.`名前` LIKE '名%'", f"params.{KEY} = '42'", f"params.{KEY} LIKE '4%'"),
    *(f"tags.long = '{LONG_TAG}'", f"tags.long LIKE '{LONG_TAG[:300]}%'", f"params.long = '{LONG}'"),
    *(f"params.longest = '{LONG_TAG}'", f"params.longest LIKE '{LONG_TAG[:128]}%'"),
    *("params.p LIKE '4%' and params.q = '1'", "params.p = '42' and tags.t LIKE '%' and metrics.m > 0"),
    *("params.q = '1' and params.q LIKE '1%'", "params.q LIKE '1%' and tags.t != ''"),
    *("metrics.m > 0", "metrics.m != 1.5", "metrics.m = 0", "metrics.never != 0", "metrics.`名前` <= 3"),
    *(f"metrics.{KEY} = 2", "metrics.m > 1e300", "metrics.m < -1e300"),
    *("metrics.m >= -1 and metrics.m < 3", "metric.m <= 3 and metrics.m != 1.5", "metrics.m > -1 and metrics.m > 1"),
    *("metrics.sparse > 0", "metrics.sparse != 3", "metrics.sparse <= 5 and metrics.m > -1 and params.q = '1'"),
    *("attributes.run_name = 'run-7'", "attributes.run_name LIKE 'run-1%'", "attributes.run_name != 'run-7'"),
    *("attributes.run_name ILIKE 'RUN-3_'", "run_name LIKE 'run-2_'"),
    *("attributes.status = 'FAILED'", "attributes.start_time > 1700000000010", "attributes.status LIKE 'F%'"),
    *(
        "dataset.name = 'train'",
        "dataset.name LIKE 't%'",
        "dataset.context = 'testing'",
        "dataset.digest != 'digest-1'",
    ),
    *("dataset.name IN ('train')", "dataset.name = 'train' and params.q = '1' and metrics.m > -1"),
    *("dataset.name LIKE 't%' and dataset.context LIKE '%ing'", "tags.t LIKE '5%' and dataset.name = 'test'"),
)
ORDERS = (
    *((), ("metrics.m DESC",), ("metrics.m ASC",), ("metrics.m",), ("metrics.sparse DESC",), ("metrics.sparse ASC",)),
    *(("metrics.never DESC",), ("metrics.nope ASC",), (f"metrics.`{KEY}` DESC",), ("metrics.`名前` ASC",)),
    *(("metrics.m DESC", "metrics.sparse ASC"), ("metrics.sparse", "metrics.m DESC"), ("metrics.nope", "metrics.m")),
    *(("params.p ASC",), ("params.p DESC", "metrics.m DESC"), ("metrics.m ASC", "params.p DESC", "tags.t ASC")),
    *(("tags.nothing",), ("metrics.m DESC", "tags.nothing DESC"), ("metrics.m DESC", "attributes.start_time ASC")),
    *(("start_time ASC",), ("attributes.run_name DESC",), ("metrics.m", "attributes.status ASC", "end_time DESC")),
    *(("metrics.m DESC", "metrics.never ASC", "metrics.`名前` DESC"),),
)


def questions() -> list[Question]:
    """All that are asked: any two of a filter's kind, an order, a view and a size meet in one of them."""
    short, long = ("metrics.m DESC",), ("metrics.sparse ASC", "params.q DESC")
    usual = ((), short, long)
    asked = []
    for number, each in enumerate((*FILTERS, *NOWHERE)):
        # A metric's bounds are taken out of the filter where its values are read in order; any other filter is not.
        orders = usual if "metric" in each else [usual[number % 3]]
        asked += [Question(each, order) for order in orders]
    narrow = ("", "params.q = '1'", "metrics.m > 0 and params.p LIKE '4%'", "dataset.name LIKE 't%'", "tags.t != '42'")
    views = (ALL, ACTIVE, DELETED)
    for place, order in enumerate(ORDERS):
        asked += [Question(each, order, views[(place + number) % 3], 8) for number, each in enumerate(narrow)]
    # Eighteen active runs of the experiment have the metric: a page that they do not fill, fill, and overflow.
    sizes = (1, 6, 9, 17, 18, 19, 50_000)
    asked += [Question("", ("metrics.sparse DESC",), ACTIVE, most, ("odd",)) for most in sizes]
    asked += [Question("", ("metrics.m",), ALL, most) for most in (2, None)]
    asked += [Question("", ("metrics.m",), token=token(f'{{"offset": {offset}}}')) for offset in (3, 49_990, 10**18)]
    asked += [Question("params.q = '1'", order, ALL, 10, ("empty",)) for order in usual]
    asked += [Question("", short, ALL, 10, ("empty", "odd")), Question("", short, ALL, 10, ())]
    return [*asked, *REFUSED]
