"""Settings that all tests share."""

import os

from hypothesis import settings

# A shared machine is slow now and then: a property is judged by its truth, not by its time.
settings.register_profile("ced", deadline=None)
settings.load_profile("ced")

# Nothing of the user's own set-up may reach a test.
for name in ("CED_STORE", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
    os.environ.pop(name, None)
