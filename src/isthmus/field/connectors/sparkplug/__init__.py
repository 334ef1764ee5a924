"""Sparkplug B 3.0: a host application that reads edge nodes and their devices through a broker."""

from isthmus.field.connectors.sparkplug.connector import SparkplugConnector
from isthmus.field.connectors.sparkplug.spec import SparkplugSource

__all__ = ["SparkplugConnector", "SparkplugSource"]
