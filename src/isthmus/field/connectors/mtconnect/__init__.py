"""MTConnect: follows the stream of one agent."""

from isthmus.field.connectors.mtconnect.connector import MtconnectConnector
from isthmus.field.connectors.mtconnect.spec import MtconnectSource

__all__ = ["MtconnectConnector", "MtconnectSource"]
