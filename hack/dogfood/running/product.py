"""Which product a run is of: what the programs are that PRODUCT_PATH put first, and whether they stayed the same."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from hack.common import files


def digests(folder: str | None) -> dict[str, str]:
    """sha256 of every executable file in the folder, by its path; none where there is no folder; raises OSError."""
    if folder is None:
        return {}
    found = (path for path in sorted(Path(folder).iterdir()) if path.is_file() and os.access(path, os.X_OK))
    return {str(path): files.sha256(path.read_bytes()) for path in found}


def replaced(known: Mapping[str, str], started: str, ended: str) -> list[str]:
    """Those of the programs that others took the place of between two UTC ISO 8601 times, as far as can be told."""
    first, last = (datetime.fromisoformat(time).timestamp() for time in (started, ended))
    return [path for path, digest in known.items() if _changed(path, first, last) and _digest(path) != digest]


def _changed(path: str, first: float, last: float) -> bool:
    try:
        return first <= os.stat(path).st_ctime <= last
    except OSError:  # gone: who asked for it has said so
        return False


def _digest(path: str) -> str:
    return files.sha256(Path(path).read_bytes())
