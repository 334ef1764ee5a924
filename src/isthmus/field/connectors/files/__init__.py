"""Files: takes the rows of what machines drop into a folder, each file once."""

from isthmus.field.connectors.files.connector import FilesConnector
from isthmus.field.connectors.files.spec import FilesSource

__all__ = ["FilesConnector", "FilesSource"]
