"""ADS: reads the symbols of a TwinCAT controller by notification and never writes them."""

from isthmus.field.connectors.ads.connector import AdsConnector
from isthmus.field.connectors.ads.spec import AdsSource

__all__ = ["AdsConnector", "AdsSource"]
