"""A run's JSON, as columns of a statement over `runs AS run`."""

from __future__ import annotations

from typing import Final, LiteralString

# MLflow looks for a name that is missing among the tags.
INFO: Final[LiteralString] = """
json_strip_nulls(json_build_object(
  'run_id', run.run_uuid,
  'run_uuid', run.run_uuid,
  'run_name', coalesce(
    nullif(run.name, ''),
    (SELECT nullif(value, '') FROM tags WHERE run_uuid = run.run_uuid AND key = 'mlflow.runName'),
    run.name),
  'experiment_id', run.experiment_id::text,
  'user_id', run.user_id,
  'status', run.status,
  'start_time', run.start_time,
  'end_time', nullif(run.end_time, 0),
  'artifact_uri', nullif(run.artifact_uri, ''),
  'lifecycle_stage', run.lifecycle_stage))
"""

DATA: Final[LiteralString] = """
(SELECT json_agg(each) FROM (
   SELECT key, CASE WHEN is_nan THEN 'NaN' ELSE value END AS value, timestamp, step
     FROM latest_metrics WHERE run_uuid = run.run_uuid) AS each) AS metrics,
(SELECT json_agg(each) FROM (SELECT key, value FROM params WHERE run_uuid = run.run_uuid) AS each) AS params,
(SELECT json_agg(each) FROM (SELECT key, value FROM tags WHERE run_uuid = run.run_uuid) AS each) AS tags
"""

# MLflow fails on a run that lacks one of these columns.
IS_WHOLE: Final[LiteralString] = """
(run.user_id IS NOT NULL AND run.start_time IS NOT NULL AND run.experiment_id IS NOT NULL
 AND run.status IS NOT NULL AND run.lifecycle_stage IS NOT NULL)
"""

# MLflow writes a dataset once, with the tags of all inputs that name it.
DATASETS: Final[LiteralString] = """
(SELECT json_agg(json_strip_nulls(json_build_object(
     'tags', (SELECT json_agg(json_build_object('key', tag.name, 'value', tag.value))
                FROM inputs JOIN input_tags AS tag USING (input_uuid)
               WHERE destination_type = 'RUN' AND destination_id = run.run_uuid AND source_id = dataset_uuid),
     'dataset', json_build_object(
       'name', name, 'digest', digest, 'source_type', dataset_source_type, 'source', dataset_source,
       'schema', nullif(dataset_schema, ''), 'profile', nullif(dataset_profile, '')))))
   FROM datasets WHERE dataset_uuid IN (
     SELECT source_id FROM inputs WHERE destination_type = 'RUN' AND destination_id = run.run_uuid)) AS datasets
"""

MODEL_INPUTS: Final[LiteralString] = """
(SELECT json_agg(json_build_object('model_id', destination_id)) FROM inputs
  WHERE source_type = 'RUN_INPUT' AND source_id = run.run_uuid AND destination_type = 'MODEL_INPUT') AS model_inputs
"""

MODEL_OUTPUTS: Final[LiteralString] = """
(SELECT json_agg(json_build_object('model_id', destination_id, 'step', step)) FROM inputs
  WHERE source_type = 'RUN_OUTPUT' AND source_id = run.run_uuid AND destination_type = 'MODEL_OUTPUT') AS model_outputs
"""
