"""From a checked document to the plain values of the model; nothing here can find anything wrong any more."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from hack.exec_harness.model import (
    DEFAULT_TIMEOUT,
    Api,
    Chunk,
    CommandExpect,
    Copy,
    Event,
    Expect,
    Fault,
    FileExpect,
    Gh,
    GhMatch,
    GhReply,
    OutputExpect,
    Reply,
    RequestExpect,
    Scenario,
    StatusExpect,
    Turn,
    When,
)

ITEM_DONE: Final = 'response.output_item.done'
_PAUSE_SECONDS: Final = 0.01
_AS_THEY_ARE: Final = (
    'claim',
    'files',
    'git_init',
    'config_toml',
    'env',
    'model',
    'sandbox',
    'max_seconds',
    'include_plan_tool',
    'auto_review',
    'inherit_auth',
    'inherit_gh_auth',
)

Raw = Mapping[str, Any]
Find = Callable[[str], Path]


def scenario(raw: Raw, path: str, line: int, find: Find) -> Scenario:
    """`find`: where a file or folder is that the scenario names."""
    return Scenario(
        name=raw.get('name', Path(path).stem),
        path=path,
        line=line,
        turns=tuple(_turn(turn) for turn in raw.get('turns', [raw.get('prompt', '')])),
        copy=tuple(Copy(find(entry['source']), entry['target']) for entry in raw.get('copy', ())),
        skill_roots=tuple(map(find, raw.get('skill_roots', ()))),
        config_overrides=tuple(raw.get('config_overrides', ())),
        timeout_seconds=float(raw.get('timeout_seconds', DEFAULT_TIMEOUT)),
        responses_api=_api(raw['responses_api']) if 'responses_api' in raw else None,
        gh=_gh(raw['gh']) if 'gh' in raw else None,
        expect=_expect(raw.get('expect', {}), Path(path).parent),
        **_some(raw, *_AS_THEY_ARE),
    )


def _some(raw: Raw, *keys: str) -> dict[str, Any]:
    return {key: raw[key] for key in keys if key in raw}


def _turn(raw: Any) -> Turn:
    return Turn(raw if isinstance(raw, str) else raw['prompt'])


def _texts(value: Any) -> tuple[str, ...]:
    """A text or a list of them."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _all(raw: Raw) -> tuple[str, ...]:
    return (*_texts(raw.get('contains')), *raw.get('contains_all', ()))


def _none(raw: Raw) -> tuple[str, ...]:
    return _texts(raw.get('not_contains'))


# -- the fakes -----------------------------------------------------------------------------


def _api(raw: Raw) -> Api:
    return Api(
        responses=tuple(_reply(reply, number) for number, reply in enumerate(raw.get('responses', ()))),
        models=tuple(raw.get('models', ())),
        **_some(raw, 'websocket'),
    )


def _reply(raw: Raw, number: int) -> Reply:
    times = raw.get('times', 1)
    return Reply(
        name=raw.get('name', f'responses[{number}]'),
        when=_when(raw['when']) if 'when' in raw else None,
        times=None if times == 'any' else times,
        has_body='body' in raw,
        events=tuple(map(_event, raw.get('events', ()))),
        response_id=raw.get('response_id', f'resp-{number + 1}'),
        chunk=_chunk(raw['chunk']) if 'chunk' in raw else None,
        fault=_fault(raw['fault']) if 'fault' in raw else None,
        **_some(raw, 'status', 'headers', 'body', 'sse', 'completed', 'usage', 'delay'),
    )


def _when(raw: Raw) -> When:
    return When(
        header={name.lower(): part for name, part in raw.get('header', {}).items()},
        text=_texts(raw.get('text')),
        **_some(raw, 'method', 'path', 'json', 'tool_output'),
    )


def _event(raw: Raw) -> Event:
    if 'item' in raw:
        return Event(ITEM_DONE, {'type': ITEM_DONE, 'item': raw['item']})
    name = event_name(raw)
    return Event(name, {'type': name, **raw['payload']})


def event_name(raw: Raw) -> str:
    """Of an event with a payload; '' where nothing names it."""
    return str(raw.get('event') or raw.get('type') or raw['payload'].get('type') or '')


def _chunk(raw: Any) -> Chunk:
    return (
        Chunk(raw, _PAUSE_SECONDS) if isinstance(raw, int) else Chunk(raw['bytes'], raw.get('seconds', _PAUSE_SECONDS))
    )


def _fault(raw: Any) -> Fault:
    return Fault(raw, None) if isinstance(raw, str) else Fault(raw['kind'], raw.get('after'))  # type: ignore[arg-type]


def _gh(raw: Raw) -> Gh:
    default = raw.get('default_response')
    return Gh(
        issues=tuple(raw.get('issues', ())),
        responses=tuple(_gh_reply(reply) for reply in raw.get('responses', ())),
        default_response=None if default is None else _gh_reply(default),
        **_some(raw, 'repo', 'default_branch', 'next_issue'),
    )


def _gh_reply(raw: Raw) -> GhReply:
    return GhReply(GhMatch(**raw.get('match', {})), **_some(raw, 'stdout', 'stderr', 'exit_code'))


# -- what is expected ----------------------------------------------------------------------


def _expect(raw: Raw, folder: Path) -> Expect:
    return Expect(
        assistant_contains=_texts(raw.get('assistant_contains')),
        command_contains=_texts(raw.get('command_contains')),
        gh_contains=_texts(raw.get('gh_contains')),
        error_contains=_texts(raw.get('error_contains')),
        stderr_contains=_texts(raw.get('stderr_contains')),
        workspace_files=tuple(map(_file, raw.get('workspace_files', ()))),
        workspace_git_status=tuple(map(_status, raw.get('workspace_git_status', ()))),
        command_events=tuple(map(_command, raw.get('command_events', ()))),
        events=tuple(raw.get('events', ())),
        event_count=_counts(raw.get('event_count', {})),
        event_count_any=_any_counts(raw.get('event_count_any', ())),
        responses=tuple(map(_request, raw.get('responses', ()))),
        function_call_outputs=tuple(map(_output, raw.get('function_call_outputs', ()))),
        egress=_texts(raw.get('egress')),
        requests_match=str(folder / raw['requests_match']) if 'requests_match' in raw else None,
        **_some(raw, 'returncode', 'responses_request_count', 'session_count'),
    )


def _file(raw: Raw) -> FileExpect:
    return FileExpect(contains_all=_all(raw), not_contains=_none(raw), **_some(raw, 'path', 'exists', 'equals'))


def _status(raw: Raw) -> StatusExpect:
    return StatusExpect(raw.get('equals'), _all(raw), _none(raw))


def _command(raw: Raw) -> CommandExpect:
    return CommandExpect(
        command_contains=_texts(raw.get('command_contains')),
        output_contains=_texts(raw.get('output_contains')),
        status_any=(*_texts(raw.get('status')), *raw.get('status_any', ())),
        exit_code=raw.get('exit_code'),
    )


def _counts(raw: Raw) -> dict[str, tuple[int, ...]]:
    return {kind: (count,) if isinstance(count, int) else tuple(count) for kind, count in raw.items()}


def _any_counts(raw: Any) -> tuple[Mapping[str, tuple[int, ...]], ...]:
    if isinstance(raw, Mapping):
        return tuple({kind: counts} for kind, counts in _counts(raw).items())
    return tuple(map(_counts, raw))


def _request(raw: Raw) -> RequestExpect:
    return RequestExpect(
        contains_all=_all(raw),
        not_contains=_none(raw),
        counts=raw.get('count', {}),
        in_order=_texts(raw.get('in_order')),
        **_some(raw, 'request', 'scope', 'image_payload_bytes'),
    )


def _output(raw: Raw) -> OutputExpect:
    return OutputExpect(
        contains_all=_all(raw),
        contains_any=tuple(raw.get('contains_any', ())),
        not_contains=_none(raw),
        **_some(raw, 'request', 'call_id'),
    )
