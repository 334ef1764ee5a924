"""SHDR: listens to an MTConnect adapter's socket, as an agent would."""

from isthmus.field.connectors.shdr.connector import ShdrConnector
from isthmus.field.connectors.shdr.spec import ShdrSource

__all__ = ["ShdrConnector", "ShdrSource"]
