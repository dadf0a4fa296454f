"""Capability markers: that a token was established in a chain of this run, said once and checked before use.

One file a token in a folder that all shards share. Only the shard that ran the establisher writes
it, only after the establisher passed; whoever is about to rely on it looks again. A marker is
sealed with the run's key, so that one that was cut short, edited or brought from another run is
told from a true one. It is not synced: after a power cut the machine has another boot id, and no
chain of an earlier boot goes on (the marker would not be relied on).
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import NamedTuple

from hack.common.files import write_atomic


class Marker(NamedTuple):
    token: str
    journey: str  # the establisher
    chain: str
    chain_attempt: int
    shard: int
    time: str
    run: str
    boot: str


class Expected(NamedTuple):
    """What a marker must say to be relied on."""

    chain: str
    chain_attempt: int
    run: str
    boot: str


def write(folder: Path, marker: Marker, key: str) -> None:
    """Replace the token's marker as a whole; raises OSError."""
    write_atomic(_path(folder, marker.token), _text(marker, key))


def read(folder: Path, token: str, key: str) -> Marker | str:
    """The marker, or what is wrong with it in a few words."""
    try:
        data = _path(folder, token).read_bytes()
        said = json.loads(data)
    except FileNotFoundError:
        return 'it is gone'
    except (OSError, ValueError, RecursionError) as error:
        return f'it cannot be read ({error})'
    try:
        del said['seal']
        marker = Marker(**said)
    except (KeyError, TypeError):
        return 'it is not a marker'
    if not hmac.compare_digest(_text(marker, key), data) or marker.token != token:
        return 'its seal is not the one of this run'
    return marker


def fault(marker: Marker | str, expected: Expected) -> str | None:
    """Why the marker cannot be relied on; None where it can."""
    if isinstance(marker, str):
        return marker
    for name, wanted in expected._asdict().items():
        said = getattr(marker, name)
        if said != wanted:
            return f'it says {name.replace("_", " ")} {said}, not {wanted}'
    return None


def _path(folder: Path, token: str) -> Path:
    return folder / f'{token}.json'


def _text(marker: Marker, key: str) -> bytes:
    """The file, sealed; a true one has these bytes and no others."""
    seal = hmac.new(key.encode(), json.dumps(marker).encode(), hashlib.sha256).hexdigest()
    return json.dumps({**marker._asdict(), 'seal': seal}, indent=1).encode() + b'\n'
