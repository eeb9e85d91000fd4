"""Programs that use a vendor's or a framework's client as people do, each in an environment of its own.

`sdk_*.py` is run with the base URL in front of the client as its argument, and prints what the client made of
the answers. The environments are installed from `deploy/locks` once and kept in `.venv-clients`.
"""

from tests.support.clients.environment import locked_python
from tests.support.clients.running import node_modules, run_command, run_node_client, run_sdk

__all__ = ["locked_python", "node_modules", "run_command", "run_node_client", "run_sdk"]
