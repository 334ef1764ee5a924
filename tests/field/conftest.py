import pytest

pytest.register_assert_rewrite("isthmus.testing.connector_suite")
