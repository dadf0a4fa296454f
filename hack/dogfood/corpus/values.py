"""Builds the model's values from what the schema let pass: defaults filled in, texts as tuples, times as seconds.

What the schema found wrong was left out before, so that even what is required may be absent.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hack.common.source import Table
from hack.dogfood.model import (
    DEFAULT_TIMEOUT,
    Capability,
    Expect,
    Feature,
    FileCheck,
    Invariant,
    Journey,
    Step,
    TextCheck,
)

_UNITS: Final = {'ms': 0.001, 's': 1.0, 'm': 60.0, 'h': 3600.0}


def feature(raw: Table, path: str) -> Feature:
    product, markers = raw.get('product', {}), raw.get('crash_markers', {})
    return Feature(
        name=_line(raw.get('feature', '')),
        path=path,
        needs=_tuple(product.get('needs', ())),
        packages=dict(product.get('packages', {})),
        version=product.get('version'),
        env=_texts(raw.get('env', {})),
        invariants=tuple(Invariant(_line(each['name']), each['run']) for each in raw.get('invariants', ())),
        crash_markers=_tuple(markers.get('add', ())),
        crash_allowed=_tuple(markers.get('allow', ())),
    )


def journey(raw: Table, of: Feature, line: int) -> Journey:
    get = raw.get
    return Journey(
        id=get('id', ''),
        promise=_line(get('promise', '')),
        feature=of.name,
        path=of.path,
        line=line,
        steps=_steps(get('steps', ())),
        tier=get('tier', 'core'),
        gating=get('gating', False),
        establishes=_tuple(get('establishes', ())),
        requires=_tuple(get('requires', ())),
        sandboxes=_tuple(get('sandboxes', ())),
        needs=_tuple(get('needs', ())),
        env=_texts(get('env', {})),
        env_pass=_tuple(get('env_pass', ())),
        files=dict(get('files', {})),
        timeout=seconds(get('timeout', DEFAULT_TIMEOUT)),
        retries=int(raw['retries']) if 'retries' in raw else None,
        sandbox=get('sandbox'),
        teardown=_tuple(get('teardown', ())),
        source=_texts(get('source', {})),
    )


def capability(token: str, raw: Table, path: str) -> Capability:
    return Capability(token, _line(raw.get('says', '')), raw.get('probe'), path)


def _steps(entries: Sequence[Table]) -> tuple[Step, ...]:
    none_marked = not any(raw.get('core') for raw in entries)
    last = len(entries) - 1
    return tuple(_step(raw, none_marked and number == last) for number, raw in enumerate(entries))


def _step(raw: Table, is_decisive: bool) -> Step:
    return Step(
        run=raw['run'],
        intent=_line(raw.get('intent', '')),
        expect=_expect(raw['expect']) if 'expect' in raw else Expect(),
        core=raw.get('core', False) or is_decisive,
        timeout=_optional_seconds(raw, 'timeout'),
        files=dict(raw.get('files', {})),
    )


def _expect(raw: Table) -> Expect:
    wanted = raw.get('exit', 0)
    return Expect(
        exit=wanted if wanted == 'nonzero' else int(wanted),
        stdout=_text_check(raw['stdout']) if 'stdout' in raw else None,
        stderr=_text_check(raw['stderr']) if 'stderr' in raw else None,
        files=_file_checks(raw['files']) if 'files' in raw else (),
        latency=_optional_seconds(raw, 'latency'),
        within=_optional_seconds(raw, 'within'),
    )


def _file_checks(raw: Table | list[Table]) -> tuple[FileCheck, ...]:
    checks = raw.items() if isinstance(raw, Table) else [(check['path'], check) for check in raw]
    return tuple(FileCheck(path, check.get('exists'), _text_check(check)) for path, check in checks)


def _text_check(raw: Table) -> TextCheck:
    return TextCheck(
        equals=raw.get('equals'),
        contains=_tuple(raw.get('contains', ())),
        not_contains=_tuple(raw.get('not_contains', ())),
        matches=raw.get('matches'),
        json=tuple(raw.get('json', {}).items()),
    )


def _line(text: str) -> str:
    """The text on one line, as reports show it."""
    return ' '.join(text.split())


def _tuple(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _texts(raw: Mapping[str, str | int]) -> dict[str, str]:
    return {key: str(value) for key, value in raw.items()}


def _optional_seconds(raw: Table, key: str) -> float | None:
    return seconds(raw[key]) if key in raw else None


def seconds(value: float | str) -> float:
    """A duration as the schema allows it: a number of seconds, or a text like `500ms` or `2m`."""
    if isinstance(value, str):
        unit = value.lstrip('0123456789.')
        return float(value.removesuffix(unit)) * _UNITS[unit or 's']
    return float(value)
