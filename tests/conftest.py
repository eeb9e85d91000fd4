"""What every test can ask for."""

import os

from hypothesis import settings

pytest_plugins = ["tests.support.fixtures"]

# No example may fail for being slow: the machine may be busy with something else. In CI the same commit gets
# the same examples, so that a finding belongs to the change that brought it; elsewhere each run has its own.
settings.register_profile("weir", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("weir")
