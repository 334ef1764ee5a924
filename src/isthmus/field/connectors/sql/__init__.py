"""SQL: reads the new rows of a table or query, by a watermark, and sends nothing but SELECT."""

from isthmus.field.connectors.sql.connector import SqlConnector
from isthmus.field.connectors.sql.spec import SqlSource

__all__ = ["SqlConnector", "SqlSource"]
