"""What it takes that bytes survive a power cut: files and folders are synced by name."""

import os
import shutil
from pathlib import Path


def free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


def sync(path: Path) -> None:
    """Sync one file or folder; a folder's entries are lost without this."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder with its parents so that it is still there after a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync(path.parent)


def replace_text(file: Path, text: str, *, mode: int = 0o666) -> None:
    """Replace a small file whole: a reader sees the old or the new text, never half of one."""
    beside = file.with_name(f"{file.name}.{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    sync(file.parent)
