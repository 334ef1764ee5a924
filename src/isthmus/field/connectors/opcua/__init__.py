"""OPC UA: subscribes to the nodes of one server and never writes to them."""

from isthmus.field.connectors.opcua.connector import OpcuaConnector
from isthmus.field.connectors.opcua.spec import OpcuaSource

__all__ = ["OpcuaConnector", "OpcuaSource"]
