"""HTTP: asks the endpoints of a REST interface for JSON; it sends nothing but queries."""

from isthmus.field.connectors.http.connector import HttpConnector
from isthmus.field.connectors.http.spec import HttpSource

__all__ = ["HttpConnector", "HttpSource"]
