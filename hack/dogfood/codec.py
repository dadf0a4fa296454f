"""The model's values as JSON and back: defaults left out, so that a job file stays small and readable."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hack.dogfood.model import (
    Capability,
    Chain,
    Expect,
    Feature,
    FileCheck,
    Gate,
    Invariant,
    Job,
    Journey,
    Step,
    TextCheck,
)

Made = TypeVar('Made')


def encode(value: Any) -> Any:
    """Named tuples become objects without the fields that have their default."""
    if hasattr(value, '_fields'):
        defaults = value._field_defaults
        return {
            name: encode(item)
            for name, item in zip(value._fields, value, strict=True)
            if name not in defaults or item != defaults[name]
        }
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def job(said: Mapping[str, Any]) -> Job:
    """Raises KeyError or TypeError where a field is missing or unknown."""
    return Job(
        shard=said['shard'],
        chains=tuple(_tuples(Chain, chain) for chain in said['chains']),
        numbers=said['numbers'],
        journeys={name: journey(value) for name, value in said['journeys'].items()},
        features={path: feature(value) for path, value in said['features'].items()},
        capabilities={token: Capability(**value) for token, value in said['capabilities'].items()},
        gates=tuple(Gate(**gate) for gate in said['gates']),
    )


def journey(said: Mapping[str, Any]) -> Journey:
    return _tuples(Journey, {**said, 'steps': [_step(step) for step in said['steps']]})


def feature(said: Mapping[str, Any]) -> Feature:
    return _tuples(Feature, {**said, 'invariants': [Invariant(**value) for value in said.get('invariants', ())]})


def _step(said: Mapping[str, Any]) -> Step:
    return Step(**{**said, 'expect': _expect(said['expect'])}) if 'expect' in said else Step(**said)


def _expect(said: Mapping[str, Any]) -> Expect:
    values = dict(said)
    for stream in ('stdout', 'stderr'):
        if stream in values:
            values[stream] = _text(values[stream])
    if 'files' in values:
        values['files'] = [
            FileCheck(**({**check, 'text': _text(check['text'])} if 'text' in check else check))
            for check in values['files']
        ]
    return _tuples(Expect, values)


def _text(said: Mapping[str, Any]) -> TextCheck:
    values = {**said, 'json': [tuple(pair) for pair in said['json']]} if 'json' in said else said
    return _tuples(TextCheck, values)


def _tuples(kind: Callable[..., Made], said: Mapping[str, Any]) -> Made:
    """`kind` built from `said`, lists as tuples."""
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in said.items()})
