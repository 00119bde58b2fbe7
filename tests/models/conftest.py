"""What the tests of this folder share, as fixtures."""

from conftest_models import check_layer  # noqa: F401
from conftest_training import place  # noqa: F401
from conftest_transformed import spec, transformed  # noqa: F401
