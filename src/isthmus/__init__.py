"""Isthmus joins machines and business systems; see ARCHITECTURE.md for the house."""

import os

__version__ = "0.1.0"

# Before anything imports Arrow, which reads it then. With an allocator of its own freed memory is
# kept twice: a hundred megabytes with 100,000 tags, and no faster (bench field_memory, ingest).
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
