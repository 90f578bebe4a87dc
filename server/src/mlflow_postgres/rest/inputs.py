"""Inputs of runs: log-inputs for datasets."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final, LiteralString

from mlflow.utils import validation

from . import answers, arrays
from .arguments import Arguments, RunId, check
from .database import Database
from .errors import NotServed

# An input that the run has already keeps its tags.
# A dataset that another client logs meanwhile violates the primary key, which undoes the whole statement.
_LOG: Final[LiteralString] = """
WITH run AS (
  SELECT run_uuid, experiment_id FROM runs
   WHERE run_uuid = %(run_id)s::varchar AND lifecycle_stage = 'active' AND experiment_id IS NOT NULL
), new AS (
  SELECT new.*, old.dataset_uuid AS old_uuid
    FROM run CROSS JOIN unnest(
           %(dataset_ids)s::varchar[], %(input_ids)s::varchar[], %(names)s::varchar[], %(digests)s::varchar[],
           %(source_types)s::varchar[], %(sources)s::text[], %(schemas)s::text[], %(profiles)s::text[])
         AS new (dataset_uuid, input_uuid, name, digest, source_type, source, schema, profile)
    LEFT JOIN datasets AS old USING (experiment_id, name, digest)
), new_datasets AS (
  INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source,
                        dataset_schema, dataset_profile)
  SELECT dataset_uuid, experiment_id, name, digest, source_type, source, schema, profile
    FROM new, run WHERE old_uuid IS NULL ORDER BY name, digest
), new_inputs AS (
  INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id)
  SELECT input_uuid, 'DATASET', coalesce(old_uuid, dataset_uuid), 'RUN', run_uuid
    FROM new, run
   WHERE NOT EXISTS (SELECT FROM inputs WHERE source_type = 'DATASET' AND source_id = old_uuid
                        AND destination_type = 'RUN' AND destination_id = run_uuid)
  RETURNING input_uuid
), new_tags AS (
  INSERT INTO input_tags (input_uuid, name, value)
  SELECT input_uuid, name, value
    FROM unnest(%(tag_inputs)s::varchar[], %(tag_names)s::varchar[], %(tag_values)s::varchar[])
         AS tag (input_uuid, name, value)
    JOIN new_inputs USING (input_uuid)
)
SELECT FROM run
"""


class Tag(Arguments):
    key: str
    value: str


class Dataset(Arguments):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Arguments):
    dataset: Dataset
    tags: Sequence[Tag] = ()


class LogInputs(Arguments):
    run_id: RunId
    datasets: Sequence[DatasetInput]


async def log_inputs(database: Database, arguments: LogInputs) -> bytes:
    check(validation._validate_dataset_inputs, arguments.datasets)
    # The first one of each is logged.
    inputs = {(each.dataset.name, each.dataset.digest): each for each in reversed(arguments.datasets)}
    # In this order MLflow makes the ids.
    found = [(each.dataset, each.tags) for each in reversed(inputs.values())]
    dataset_ids = [uuid.uuid4().hex for _ in found]
    input_ids = [uuid.uuid4().hex for _ in found]
    tags = [
        (input_id, tag.key, tag.value) for input_id, (_, given) in zip(input_ids, found, strict=True) for tag in given
    ]
    if len({(input_id, key) for input_id, key, _ in tags}) != len(tags):
        raise NotServed
    values = {
        "run_id": arguments.run_id,
        "dataset_ids": arrays.of_texts(dataset_ids),
        "input_ids": arrays.of_texts(input_ids),
        "names": arrays.of_texts([dataset.name for dataset, _ in found]),
        "digests": arrays.of_texts([dataset.digest for dataset, _ in found]),
        "source_types": arrays.of_texts([dataset.source_type for dataset, _ in found]),
        "sources": arrays.of_texts([dataset.source for dataset, _ in found]),
        "schemas": arrays.of_texts([dataset.schema for dataset, _ in found]),
        "profiles": arrays.of_texts([dataset.profile for dataset, _ in found]),
        "tag_inputs": arrays.of_texts([input_id for input_id, _, _ in tags]),
        "tag_names": arrays.of_texts([key for _, key, _ in tags]),
        "tag_values": arrays.of_texts([value for _, _, value in tags]),
    }
    await database.write(_LOG, values)
    return answers.EMPTY
