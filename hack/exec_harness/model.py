"""What the other modules speak about: scenarios, requests, and what a run came to, as plain values.

Durations are seconds. Loaders build these once; nobody changes them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from hack.common.process import End

DEFAULT_TIMEOUT: Final = 180.0  # of a turn

Sandbox = Literal['read-only', 'workspace-write', 'danger-full-access']
FaultKind = Literal['reset', 'stall', 'malformed', 'truncate']
Scope = Literal['body', 'input', 'instructions']
Verdict = Literal['passed', 'failed', 'infra', 'skipped']
FindingKind = Literal[
    'exit',
    'timeout',
    'crash',
    'stdout',
    'stderr',
    'events',
    'assistant',
    'commands',
    'requests',
    'replies',
    'golden',
    'workspace',
    'gh',
    'egress',
    'determinism',
]

# -- what a scenario says ------------------------------------------------------------------


class Turn(NamedTuple):
    prompt: str


class Copy(NamedTuple):
    source: Path  # exists
    target: str  # below the workspace


class When(NamedTuple):
    """What a request must be for a reply that carries this; everything given must hold."""

    method: str | None = None
    path: str | None = None  # without the query, as in /v1/responses
    header: Mapping[str, str] = {}  # lower-case name: a text its value contains
    json: Mapping[str, Any] = {}  # a path, as in input[-1].type: its value
    text: tuple[str, ...] = ()  # all stand in the body
    tool_output: str | bool | None = None  # call id of a tool output in the input; any (True), none (False)


class Fault(NamedTuple):
    kind: FaultKind
    after: int | None = None  # events sent whole before it; None: all of the scenario's, the closing one not


class Chunk(NamedTuple):
    bytes: int
    seconds: float  # between two


class Event(NamedTuple):
    """One server-sent event: its name and its JSON data."""

    name: str
    data: Mapping[str, Any]


class Reply(NamedTuple):
    name: str  # 'responses[2]', or its own
    when: When | None = None
    times: int | None = 1  # None: any number, none too
    status: int = 200
    headers: Mapping[str, str] = {}
    body: Any = None  # a JSON answer, where has_body
    has_body: bool = False
    sse: str | None = None  # the raw stream; wins over the events
    events: tuple[Event, ...] = ()
    completed: bool = True  # whether response.completed is appended
    response_id: str = ''
    usage: Mapping[str, int] = {}  # input_tokens, output_tokens, …, as the schema lists them
    delay: float = 0.0  # before the first byte
    chunk: Chunk | None = None
    fault: Fault | None = None


class Api(NamedTuple):
    responses: tuple[Reply, ...] = ()
    websocket: int = 426  # the status that answers an upgrade
    models: tuple[Any, ...] = ()  # what GET /v1/models lists: ids or whole objects


class GhMatch(NamedTuple):
    """How a command line of gh, without `gh`, is told: everything given must hold. Words are joined by spaces."""

    exact: str | None = None
    prefix: str | None = None
    contains: str | None = None
    regex: str | None = None


class GhReply(NamedTuple):
    match: GhMatch = GhMatch()
    stdout: str = ''
    stderr: str = ''
    exit_code: int = 0


class Gh(NamedTuple):
    repo: str = 'owner/repo'
    default_branch: str = 'main'
    next_issue: int | None = None  # None: one more than the highest of `issues`
    issues: tuple[Mapping[str, Any], ...] = ()
    responses: tuple[GhReply, ...] = ()
    default_response: GhReply | None = None


class FileExpect(NamedTuple):
    path: str  # below the workspace
    exists: bool = True
    equals: str | None = None
    contains_all: tuple[str, ...] = ()  # `contains` is its first
    not_contains: tuple[str, ...] = ()


class StatusExpect(NamedTuple):
    """Of `git status --porcelain` in the workspace."""

    equals: str | None = None
    contains_all: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()


class CommandExpect(NamedTuple):
    """One command that the agent ran must satisfy all of it."""

    command_contains: tuple[str, ...] = ()
    output_contains: tuple[str, ...] = ()
    status_any: tuple[str, ...] = ()  # `status` is its only one
    exit_code: int | None = None


class RequestExpect(NamedTuple):
    """Of one request to the model; negative numbers count from the last."""

    request: int = 0
    scope: Scope = 'body'
    contains_all: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    counts: Mapping[str, int] = {}  # `count`: how often each text stands there
    image_payload_bytes: int | None = None
    in_order: tuple[str, ...] = ()  # each stands there after the one before


class OutputExpect(NamedTuple):
    """Of a tool's output that the agent sent back; None: in any request, of any call."""

    request: int | None = None
    call_id: str | None = None
    contains_all: tuple[str, ...] = ()
    contains_any: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()


class Expect(NamedTuple):
    returncode: int = 0  # of the last turn that ran
    assistant_contains: tuple[str, ...] = ()
    command_contains: tuple[str, ...] = ()
    gh_contains: tuple[str, ...] = ()
    error_contains: tuple[str, ...] = ()
    stderr_contains: tuple[str, ...] = ()
    session_count: int | None = None  # different ones that the turns named
    responses_request_count: int | None = None
    workspace_files: tuple[FileExpect, ...] = ()
    workspace_git_status: tuple[StatusExpect, ...] = ()
    command_events: tuple[CommandExpect, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()  # fragments
    event_count: Mapping[str, tuple[int, ...]] = {}  # each of its kinds occurs one of these many times
    event_count_any: tuple[Mapping[str, tuple[int, ...]], ...] = ()  # all of at least one of these holds
    responses: tuple[RequestExpect, ...] = ()
    function_call_outputs: tuple[OutputExpect, ...] = ()
    requests_match: str | None = None  # the path of the golden file, which may name the agent
    egress: tuple[str, ...] = ()  # each is reached for, and nothing else is; skipped where that cannot be seen


class Scenario(NamedTuple):
    name: str
    path: str  # of its file, as given
    line: int  # 1-based, of its name
    turns: tuple[Turn, ...]
    claim: str = ''  # what it proves, in one sentence
    files: Mapping[str, str] = {}
    copy: tuple[Copy, ...] = ()
    git_init: bool = False
    skill_roots: tuple[Path, ...] = ()  # exist: with SKILL.md, or with children that have it
    config_toml: str = ''
    config_overrides: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    model: str | None = None
    sandbox: Sandbox | None = None
    max_seconds: int | None = None
    include_plan_tool: bool = False
    auto_review: bool = False
    timeout_seconds: float = DEFAULT_TIMEOUT
    inherit_auth: bool = False
    inherit_gh_auth: bool = False
    responses_api: Api | None = None
    gh: Gh | None = None
    expect: Expect = Expect()


# -- what a run came to --------------------------------------------------------------------


class Request(NamedTuple):
    """One request as it arrived at the fake API, secrets masked."""

    number: int  # from 0, in order of arrival, of all requests
    method: str
    path: str  # without the query
    query: str
    headers: tuple[tuple[str, str], ...]  # lower-case names
    body: bytes  # uncompressed
    json: Any  # None where the body is no JSON
    seconds: float  # since the API started
    asks_model: bool  # counts as a request of expect.responses…
    status: int = 0  # of the answer
    reply: str | None = None  # the name of the reply that was sent
    problem: str = ''  # why it was refused: nothing in the scenario answers it


class Served(NamedTuple):
    """All that the fake API saw."""

    requests: tuple[Request, ...] = ()
    unused_replies: tuple[str, ...] = ()
    crash: str = ''  # of the API itself: then nothing of the above can be relied on


class TurnRun(NamedTuple):
    command: tuple[str, ...]
    end: End
    returncode: int | None  # 128 + n after signal n; None where it was ended or did not start
    seconds: float
    stdout: bytes
    stderr: bytes
    dropped: int = 0  # bytes of stdout that were too many to keep


class Observed(NamedTuple):
    turns: tuple[TurnRun, ...]
    events: tuple[Mapping[str, Any], ...]  # of all turns
    workspace: Path
    turns_asked: int = 1
    bad_lines: tuple[str, ...] = ()  # of standard output, that hold no JSON object
    requests: tuple[Request, ...] = ()
    unused_replies: tuple[str, ...] = ()
    gh_calls: tuple[Mapping[str, Any], ...] = ()  # {'argv': […], 'exit_code': n, …}
    gh_state: Mapping[str, Any] = {}
    git_status: str | None = None  # None: there is none
    no_git_status: str = 'the workspace is no repository'  # why, then
    egress: tuple[str, ...] | None = None  # hosts and addresses; None: not checked
    masks: Mapping[str, str] = {}  # a path of this run: what stands for it in what is compared


class Finding(NamedTuple):
    """One observed violation. All are texts for people; `nearest` may have several lines."""

    kind: FindingKind
    claim: str  # the expectation, as in expect.responses[1].count
    expected: str
    observed: str
    nearest: str = ''  # the candidate that came closest, or the difference


class Result(NamedTuple):
    name: str
    path: str
    line: int
    verdict: Verdict
    cause: str = ''  # one sentence
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    agent_seconds: float = 0.0  # of these, spent by the agent itself
    folder: str = ''
    returncode: int | None = None  # of the last turn that ran
    claim: str = ''  # of the scenario
