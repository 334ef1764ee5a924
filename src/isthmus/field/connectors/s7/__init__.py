"""SIMATIC S7: polls data blocks, markers, inputs and outputs of one CPU and never writes them."""

from isthmus.field.connectors.s7.connector import S7Connector
from isthmus.field.connectors.s7.spec import S7Source

__all__ = ["S7Connector", "S7Source"]
