"""Calls about evaluation datasets, scorers, issues, labels and reviews."""

from __future__ import annotations

from .calls import V3, delete, get, patch, post

EVALUATION = [
    post(
        f"{V3}/datasets/create",
        {"name": "data", "experiment_ids": ["{experiment}"], "source": "s", "tags": '{"a": "b"}', "created_by": "me"},
        dataset="dataset.dataset_id",
    ),
    get(f"{V3}/datasets/{{dataset}}"),
    post(f"{V3}/datasets/{{dataset}}/add-experiments", {"experiment_ids": ["{second}"]}),
    get(f"{V3}/datasets/{{dataset}}/experiment-ids"),
    post(
        f"{V3}/datasets/{{dataset}}/records",
        {"records": '[{"inputs": {"q": "x"}, "expectations": {"e": 1}, "tags": {"t": "v"}}]', "updated_by": "me"},
    ),
    get(f"{V3}/datasets/{{dataset}}/records", max_results="200"),
    patch(f"{V3}/datasets/{{dataset}}/tags", {"tags": '{"c": "d"}'}),
    delete(f"{V3}/datasets/{{dataset}}/tags/c"),
    post(
        f"{V3}/datasets/search",
        {
            "experiment_ids": ["{experiment}"],
            "filter_string": "name = 'data'",
            "max_results": 200,
            "order_by": ["name"],
        },
    ),
    delete(f"{V3}/datasets/{{dataset}}/records", dataset_record_ids=["dr-x"]),
    post(f"{V3}/datasets/{{dataset}}/remove-experiments", {"experiment_ids": ["{second}"]}),
    delete(f"{V3}/datasets/{{dataset}}"),
    post(
        f"{V3}/scorers/register", {"experiment_id": "{experiment}", "name": "s", "serialized_scorer": '{"name": "s"}'}
    ),
    get(f"{V3}/scorers/list", experiment_id="{experiment}"),
    get(f"{V3}/scorers/versions", experiment_id="{experiment}", name="s"),
    get(f"{V3}/scorers/get", experiment_id="{experiment}", name="s", version="1"),
    delete(f"{V3}/scorers/delete", experiment_id="{experiment}", name="s", version=1),
    post(
        f"{V3}/issues",
        {"experiment_id": "{experiment}", "name": "i", "description": "d", "root_causes": ["r"], "categories": ["c"]},
        issue="issue.issue_id",
    ),
    get(f"{V3}/issues/{{issue}}"),
    patch(f"{V3}/issues/{{issue}}", {"issue_id": "{issue}", "name": "i2", "description": "d2"}),
    post(
        f"{V3}/issues/search", {"experiment_id": "{experiment}", "filter_string": "status = 'open'", "max_results": 200}
    ),
    post(
        f"{V3}/label-schemas/create",
        {
            "experiment_id": "{experiment}",
            "name": "schema",
            "type": "FEEDBACK",
            "input": {"text": {"max_length": 5}},
            "instruction": "do",
        },
        schema="label_schema.schema_id",
    ),
    get(f"{V3}/label-schemas/get", schema_id="{schema}"),
    get(f"{V3}/label-schemas/get-by-name", experiment_id="{experiment}", name="schema"),
    get(f"{V3}/label-schemas/list", experiment_id="{experiment}", max_results="200"),
    patch(f"{V3}/label-schemas/update", {"schema_id": "{schema}", "name": "schema2", "instruction": "x"}),
    post(
        f"{V3}/review-queues/create",
        {
            "experiment_id": "{experiment}",
            "name": "queue",
            "queue_type": "CUSTOM",
            "created_by": "me",
            "users": ["me"],
            "schema_ids": ["{schema}"],
        },
        queue="review_queue.queue_id",
    ),
    post(f"{V3}/review-queues/get-or-create-user", {"experiment_id": "{experiment}", "user": "me", "created_by": "me"}),
    get(f"{V3}/review-queues/get", queue_id="{queue}"),
    get(f"{V3}/review-queues/get-by-name", experiment_id="{experiment}", name="queue"),
    get(f"{V3}/review-queues/list", experiment_id="{experiment}", user="me", max_results="200"),
    post(f"{V3}/review-queues/items/add", {"queue_id": "{queue}", "item_type": "TRACE", "item_ids": ["{trace}"]}),
    get(f"{V3}/review-queues/items/list", queue_id="{queue}", max_results="200"),
    post(
        f"{V3}/review-queues/items/set-status",
        {"queue_id": "{queue}", "item_id": "{trace}", "status": "COMPLETE", "completed_by": "me"},
    ),
    post(f"{V3}/review-queues/items/remove", {"queue_id": "{queue}", "item_ids": ["{trace}"]}),
    post(
        f"{V3}/review-queues/update", {"queue_id": "{queue}", "name": "queue2", "update_users": True, "users": ["you"]}
    ),
    post(f"{V3}/review-queues/delete", {"queue_id": "{queue}"}),
    delete(f"{V3}/label-schemas/delete", schema_id="{schema}"),
]
