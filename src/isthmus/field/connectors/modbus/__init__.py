"""Modbus over TCP: polls registers and coils of one device or gateway and never writes them."""

from isthmus.field.connectors.modbus.connector import ModbusConnector
from isthmus.field.connectors.modbus.spec import ModbusSource

__all__ = ["ModbusConnector", "ModbusSource"]
