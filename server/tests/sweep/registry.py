"""Calls about registered models and prompts, the AI gateway, webhooks, and users."""

from __future__ import annotations

from .calls import V2, V3, delete, get, patch, post

REGISTRY = [
    post(
        f"{V2}/registered-models/create",
        {"name": "reg{pass}", "description": "d", "tags": [{"key": "a", "value": "b"}]},
    ),
    post(f"{V2}/registered-models/create", {"name": "reg{pass}"}),
    *[
        post(
            f"{V2}/model-versions/create",
            {
                "name": "reg{pass}",
                "source": "runs:/{run}/m",
                "run_id": "{run}",
                "description": "d",
                "tags": [{"key": "t", "value": "v"}],
            },
        )
        for _ in range(3)
    ],
    post(f"{V2}/model-versions/create", {"name": "reg{pass}", "source": "models:/reg{pass}/1"}),
    get(f"{V2}/model-versions/get", name="reg{pass}", version="1"),
    patch(f"{V2}/model-versions/update", {"name": "reg{pass}", "version": "1", "description": "new"}),
    post(f"{V2}/model-versions/transition-stage", {"name": "reg{pass}", "version": "1", "stage": "Production"}),
    post(
        f"{V2}/model-versions/transition-stage",
        {"name": "reg{pass}", "version": "2", "stage": "Production", "archive_existing_versions": True},
    ),
    post(f"{V2}/registered-models/get-latest-versions", {"name": "reg{pass}", "stages": ["Production"]}),
    post(f"{V2}/registered-models/set-tag", {"name": "reg{pass}", "key": "k", "value": "v"}),
    post(f"{V2}/model-versions/set-tag", {"name": "reg{pass}", "version": "2", "key": "k", "value": "v"}),
    post(f"{V2}/registered-models/alias", {"name": "reg{pass}", "alias": "best", "version": "2"}),
    get(f"{V2}/registered-models/alias", name="reg{pass}", alias="best"),
    get(f"{V2}/registered-models/get", name="reg{pass}"),
    get(
        f"{V2}/registered-models/search",
        filter="name ILIKE 'RE%' AND tags.k = 'v'",
        max_results="200",
        order_by="name DESC",
    ),
    get(
        f"{V2}/model-versions/search",
        filter="name = 'reg{pass}' AND tags.k = 'v'",
        max_results="200",
        order_by="version_number DESC",
    ),
    get(f"{V2}/model-versions/search", filter="run_id = 'x'", max_results="200"),
    get(f"{V2}/model-versions/get-download-uri", name="reg{pass}", version="1"),
    delete(f"{V2}/registered-models/delete-tag", name="reg{pass}", key="k"),
    delete(f"{V2}/model-versions/delete-tag", name="reg{pass}", version="2", key="k"),
    delete(f"{V2}/registered-models/alias", name="reg{pass}", alias="best"),
    delete(f"{V2}/model-versions/delete", name="reg{pass}", version="3"),
    post(f"{V2}/registered-models/rename", {"name": "reg{pass}", "new_name": "reg2{pass}"}),
    post(f"{V2}/registered-models/rename", {"name": "reg2{pass}", "new_name": "reg{pass}"}),
    patch(f"{V2}/registered-models/update", {"name": "reg{pass}", "description": "other"}),
    # A prompt is a registered model with a tag.
    post(
        f"{V2}/registered-models/create",
        {"name": "prompt{pass}", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
    ),
    post(
        f"{V2}/model-versions/create",
        {
            "name": "prompt{pass}",
            "source": "prompt-template",
            "tags": [
                {"key": "mlflow.prompt.is_prompt", "value": "true"},
                {"key": "mlflow.prompt.text", "value": "Say {{{{x}}}}"},
            ],
        },
    ),
]
GATEWAY = [
    post(
        f"{V3}/gateway/secrets/create",
        {"secret_name": "key{pass}", "secret_value": [{"key": "api_key", "value": "sk-1"}], "provider": "openai"},
        secret="secret.secret_id",
    ),
    post(
        f"{V3}/gateway/secrets/create",
        {"secret_name": "key{pass}", "secret_value": [{"key": "api_key", "value": "sk-1"}], "provider": "openai"},
    ),
    get(f"{V3}/gateway/secrets/get", secret_id="{secret}"),
    get(f"{V3}/gateway/secrets/list", provider="openai"),
    post(
        f"{V3}/gateway/model-definitions/create",
        {"name": "def{pass}", "secret_id": "{secret}", "provider": "openai", "model_name": "gpt"},
        definition="model_definition.model_definition_id",
    ),
    get(f"{V3}/gateway/model-definitions/get", model_definition_id="{definition}"),
    get(f"{V3}/gateway/model-definitions/list", provider="openai"),
    post(f"{V3}/gateway/model-definitions/update", {"model_definition_id": "{definition}", "model_name": "gpt2"}),
    post(
        f"{V3}/gateway/endpoints/create",
        {
            "name": "end{pass}",
            "model_configs": [{"model_definition_id": "{definition}", "linkage_type": "PRIMARY", "weight": 1}],
            "created_by": "me",
        },
        endpoint="endpoint.endpoint_id",
    ),
    get(f"{V3}/gateway/endpoints/get", endpoint_id="{endpoint}"),
    get(f"{V3}/gateway/endpoints/list", provider="openai"),
    post(f"{V3}/gateway/endpoints/update", {"endpoint_id": "{endpoint}", "name": "end2{pass}"}),
    post(f"{V3}/gateway/endpoints/set-tag", {"endpoint_id": "{endpoint}", "key": "k", "value": "v"}),
    delete(f"{V3}/gateway/endpoints/delete-tag", endpoint_id="{endpoint}", key="k"),
    post(
        f"{V3}/gateway/endpoints/bindings/create",
        {"endpoint_id": "{endpoint}", "resource_type": "scorer", "resource_id": "x", "created_by": "me"},
    ),
    get(f"{V3}/gateway/endpoints/bindings/list", endpoint_id="{endpoint}"),
    delete(
        f"{V3}/gateway/endpoints/bindings/delete", endpoint_id="{endpoint}", resource_type="scorer", resource_id="x"
    ),
    delete(f"{V3}/gateway/endpoints/delete", endpoint_id="{endpoint}"),
    delete(f"{V3}/gateway/model-definitions/delete", model_definition_id="{definition}"),
    delete(f"{V3}/gateway/secrets/delete", secret_id="{secret}"),
    post(
        f"{V3}/gateway/budgets/create",
        {
            "budget_unit": "USD",
            "budget_amount": 5.5,
            "duration": {"unit": "DAYS", "value": 1},
            "target_scope": "GLOBAL",
            "budget_action": "ALERT",
            "created_by": "me",
        },
        budget="budget_policy.budget_policy_id",
    ),
    get(f"{V3}/gateway/budgets/get", budget_policy_id="{budget}"),
    post(f"{V3}/gateway/budgets/update", {"budget_policy_id": "{budget}", "budget_amount": 7.5}),
    get(f"{V3}/gateway/budgets/list", max_results="200"),
    delete(f"{V3}/gateway/budgets/delete", budget_policy_id="{budget}"),
    get(f"{V3}/gateway/guardrails/list", max_results="200"),
    get(f"{V3}/gateway/guardrails/get", guardrail_id="x"),
    post(
        f"{V3}/gateway/guardrails/create",
        {"name": "g", "scorer_id": "x", "scorer_version": 1, "stage": "BEFORE", "action": "VALIDATION"},
    ),
    post(
        f"{V2}/webhooks",
        {
            "name": "hook",
            "url": "https://93.184.216.34/x",
            "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
            "description": "d",
        },
        webhook="webhook.webhook_id",
    ),
    get(f"{V2}/webhooks/{{webhook}}"),
    get(f"{V2}/webhooks", max_results="200"),
    patch(f"{V2}/webhooks/{{webhook}}", {"webhook_id": "{webhook}", "name": "hook2", "status": "DISABLED"}),
    delete(f"{V2}/webhooks/{{webhook}}"),
]
USERS = [
    post(f"{V2}/users/create", {"username": "anna{pass}", "password": "a-password-of-anna"}),
    post(f"{V2}/users/create", {"username": "anna{pass}", "password": "a-password-of-anna"}),
    get(f"{V2}/users/get", username="anna{pass}"),
    get(f"{V2}/users/list"),
    get(f"{V2}/users/current"),
    patch(f"{V2}/users/update-password", {"username": "anna{pass}", "password": "another-password"}),
    patch(f"{V2}/users/update-admin", {"username": "anna{pass}", "is_admin": False}),
    post(
        f"{V3}/users/permissions/grant",
        {"username": "anna{pass}", "resource_type": "experiment", "resource_id": "{experiment}", "permission": "READ"},
    ),
    get(f"{V3}/users/permissions/list", username="anna{pass}"),
    post(f"{V3}/roles/create", {"name": "role{pass}", "description": "d", "workspace": "default"}, role="role.id"),
    post(f"{V3}/roles/create", {"name": "role{pass}", "description": "d", "workspace": "default"}),
    get(f"{V3}/roles/get", role_id="{role}"),
    get(f"{V3}/roles/list"),
    post(
        f"{V3}/roles/permissions/add",
        {"role_id": "{role}", "resource_type": "experiment", "resource_pattern": "*", "permission": "READ"},
    ),
    post(f"{V3}/roles/assign", {"username": "anna{pass}", "role_id": "{role}"}),
    get(f"{V3}/users/roles/list", username="anna{pass}"),
    delete(f"{V3}/roles/delete", role_id="{role}"),
    delete(f"{V2}/users/delete", username="anna{pass}"),
]
