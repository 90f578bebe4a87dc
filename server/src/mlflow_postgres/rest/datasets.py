"""Datasets of experiments: search-datasets, which the run table asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, LiteralString

import msgspec

from . import answers, arrays
from .arguments import Arguments, ExperimentId
from .database import Database

# Which of more than 1,000 are found is by chance, for MLflow as well.
_SEARCH: Final[LiteralString] = """
SELECT string_agg(json_strip_nulls(json_build_object(
         'experiment_id', experiment_id::text, 'name', name, 'digest', digest,
         'context', nullif(context, '')))::text, ',')
  FROM (SELECT DISTINCT experiment_id, datasets.name, digest, tag.value AS context
          FROM datasets
          JOIN inputs ON source_id = dataset_uuid
          LEFT JOIN input_tags AS tag ON tag.input_uuid = inputs.input_uuid AND tag.name = 'mlflow.data.context'
         WHERE experiment_id = ANY(%(experiments)s::integer[])
         LIMIT 1000) AS found
"""


class Search(Arguments):
    experiment_ids: Annotated[Sequence[ExperimentId], msgspec.Meta(min_length=1, max_length=20)]


async def search(database: Database, arguments: Search) -> bytes:
    ((found,),) = await database.read(_SEARCH, {"experiments": arrays.of_texts(arguments.experiment_ids)})
    return answers.ascii_json(b'{"dataset_summaries":[%b]}' % found) if found else answers.EMPTY
