"""How long journeys took when they last passed: what the next plan reckons with."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common.files import locked, read_json, write_atomic

FORMAT: Final = 1
KEPT: Final = 5

Durations = Mapping[str, tuple[float, ...]]  # by journey id: seconds of the last passed runs, newest last


class Timings(NamedTuple):
    journeys: Durations
    warning: str = ''  # one line: why nothing is known


def read(path: Path | str) -> Timings:
    """What is recorded; an absent or useless file is no error, only a plan that knows less."""
    try:
        value = read_json(path)
    except FileNotFoundError:
        return Timings({}, f'{path}: no timings yet (durations are estimated)')
    except (OSError, ValueError) as error:
        return Timings({}, f'{path}: unreadable timings, durations are estimated: {error} (the next run renews it)')
    if not isinstance(value, dict) or value.get('format') != FORMAT or not isinstance(value.get('journeys'), dict):
        return Timings({}, f'{path}: not timings of format {FORMAT}, durations are estimated (the next run renews it)')
    return Timings({name: kept for name, said in value['journeys'].items() if (kept := _durations(said))})


def _durations(said: Any) -> tuple[float, ...]:
    if not isinstance(said, list):
        return ()
    return tuple(float(seconds) for seconds in said[-KEPT:] if _is_duration(seconds))


def _is_duration(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def updated(old: Durations, records: Iterable[Mapping[str, Any]]) -> Durations:
    """`old` and what this run's passed journeys took."""
    new = {
        record['id']: (*old.get(record['id'], ()), record['duration_seconds'])[-KEPT:]
        for record in records
        if record['verdict'] == 'passed'
    }
    return {**old, **new}


def write(path: Path | str, records: Iterable[Mapping[str, Any]]) -> None:
    """Add this run's durations to the file, under a lock: of two runs that end at once, neither is lost."""
    with locked(path):
        journeys = updated(read(path).journeys, records)
        write_atomic(path, json.dumps({'format': FORMAT, 'journeys': journeys}, sort_keys=True) + '\n')
