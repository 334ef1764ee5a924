"""EtherNet/IP: polls the tags of a Logix controller by name and never writes them."""

from isthmus.field.connectors.ethernetip.connector import EthernetIpConnector
from isthmus.field.connectors.ethernetip.spec import EthernetIpSource

__all__ = ["EthernetIpConnector", "EthernetIpSource"]
