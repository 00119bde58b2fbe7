"""Makes the layer check a fixture of this folder's tests."""

from conftest_models import check_layer  # noqa: F401
