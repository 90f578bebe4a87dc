"""Every call of the REST API is asked of MLflow alone and of our application, and everything is compared."""

import pytest

# So that a difference is shown and not only that there is one.
pytest.register_assert_rewrite(f"{__name__}.sides")
