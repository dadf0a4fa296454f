"""What the other modules speak about: corpora, plans and records, as plain values.

Durations are seconds, times UTC ISO 8601. Loaders build these once; nobody changes them.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypedDict

Json = Mapping[str, Any]  # what a file of a run holds, as it was read

TIERS: Final = ('smoke', 'core', 'deep')
DEFAULT_TIMEOUT: Final = 60.0

Verdict = Literal['passed', 'failed', 'blocked', 'deferred', 'skipped', 'infra']
VERDICTS: Final[tuple[Verdict, ...]] = ('passed', 'failed', 'blocked', 'deferred', 'skipped', 'infra')
FINAL_VERDICTS: Final[frozenset[Verdict]] = frozenset(('passed', 'failed', 'skipped'))

DECISIONS: Final = ('real', 'intended', 'self-inflicted', 'discoverability')  # of reviewers, about causes

FindingKind = Literal[
    'exit',
    'stdout',
    'stderr',
    'files',
    'latency',
    'crash',
    'invariant',
    'timeout',
    'leak',
    'capability-lost',
    'harness',
]


class TextCheck(NamedTuple):
    """What a stream or a file must hold. `json` pairs a path (`a.b[0]`) with its value."""

    equals: str | None = None
    contains: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    matches: str | None = None
    json: tuple[tuple[str, Any], ...] = ()


class FileCheck(NamedTuple):
    """What must be true of one path, taken from the journey's work folder."""

    path: str
    exists: bool | None = None
    text: TextCheck = TextCheck()


class Expect(NamedTuple):
    """A step's expectation. `within`: repeat the step until it holds or the seconds are up."""

    exit: int | Literal['nonzero'] = 0
    stdout: TextCheck | None = None
    stderr: TextCheck | None = None
    files: tuple[FileCheck, ...] = ()
    latency: float | None = None
    within: float | None = None


class Step(NamedTuple):
    run: str
    intent: str = ''
    expect: Expect = Expect()
    core: bool = False  # decisive; the loader marks the last step where none is marked
    timeout: float | None = None  # its own; else what is left of the journey's
    files: Mapping[str, str] = {}


class Capability(NamedTuple):
    token: str
    says: str = ''
    probe: str | None = None
    feature: str = ''  # whose environment the probe runs in


class Invariant(NamedTuple):
    name: str
    run: str


class Feature(NamedTuple):
    """One file of a corpus."""

    name: str
    path: str
    needs: tuple[str, ...] = ()
    packages: Mapping[str, str] = {}  # Debian package of a needed command, where its name differs
    version: str | None = None
    env: Mapping[str, str] = {}
    invariants: tuple[Invariant, ...] = ()
    crash_markers: tuple[str, ...] = ()  # regular expressions, beside the built-in ones
    crash_allowed: tuple[str, ...] = ()  # regular expressions; a line that matches is no crash


class Journey(NamedTuple):
    id: str
    promise: str
    feature: str
    path: str  # of its file, as given
    line: int  # 1-based
    steps: tuple[Step, ...]
    tier: str = 'core'
    gating: bool = False
    establishes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    sandboxes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    env_pass: tuple[str, ...] = ()
    files: Mapping[str, str] = {}
    timeout: float = DEFAULT_TIMEOUT
    retries: int | None = None  # None: the run's own number
    sandbox: str | None = None  # 'strict': only inside a real sandbox
    teardown: tuple[str, ...] = ()
    source: Mapping[str, str] = {}


class CorpusFile(NamedTuple):
    path: str
    sha256: str


class Corpus(NamedTuple):
    """A checked corpus: every id and token unique, every requirement established, no cycle."""

    files: tuple[CorpusFile, ...]
    features: Mapping[str, Feature]
    capabilities: Mapping[str, Capability]  # by token; also those without a declaration of their own
    journeys: Mapping[str, Journey]  # by id, in order of path, then line
    warnings: tuple[str, ...] = ()  # `path:line:column: what (what to do)`


class Chain(NamedTuple):
    """Journeys that must share a shard, by tier, then topologically, then by id."""

    name: str  # its first journey
    journeys: tuple[str, ...]
    seconds: float  # predicted
    tokens: tuple[str, ...] = ()  # that hold it together


class Gate(NamedTuple):
    """A gating journey, as the other shards know it."""

    journey: str
    tier: str
    shard: int  # 1-based


class Job(NamedTuple):
    """All that one shard needs, so that it reads neither the corpus nor the other shards' work."""

    shard: int  # 1-based
    chains: tuple[Chain, ...]
    numbers: Mapping[str, int]  # of each chain, unique in the run
    journeys: Mapping[str, Journey]
    features: Mapping[str, Feature]  # by path
    capabilities: Mapping[str, Capability]
    gates: tuple[Gate, ...]  # of the whole run


class Options(NamedTuple):
    """What a run was asked for."""

    retries: int = 0
    deadline_seconds: float | None = None
    keep: str = 'failed'  # chain folders: 'failed', 'all' or 'none'
    require_all: bool = False
    report_only: bool = False
    product_path: str | None = None
    sandbox: str | None = None  # 'bwrap'
    apart: bool = False  # shards run on machines of their own: the merge applies the gates
    known: str | None = None  # 'allow': what reviewers decided to be no defect of the product's does not fail the run
    in_part: bool = False  # not all of the corpus was asked for


class Plan(NamedTuple):
    shards: tuple[tuple[Chain, ...], ...]  # never an empty shard
    makespan: float  # predicted seconds of the longest shard
    lower_bound: float  # max of mean load and longest chain, seconds
    advice: tuple[str, ...] = ()  # what sets the ceiling, where one chain does
    microseconds: Mapping[str, int] = {}  # predicted, by journey


class StepRecord(TypedDict):
    intent: str
    run: str
    exit: int | None  # None: it was signalled or never ended by itself
    signal: NotRequired[str]
    duration_seconds: float
    stdout: str
    stderr: str
    evidence: NotRequired[list[str]]  # files with what was too long, from the run directory
    cut_bytes: NotRequired[int]  # dropped between head and tail
    samples: NotRequired[int]  # how often a `within` step ran, if more than once: this is the last run,
    first: NotRequired['StepRecord']  # and this the first


class Finding(TypedDict):
    kind: FindingKind
    step: int | None  # 1-based; None: not in a step
    expected: str
    observed: str
    evidence: str | None
    attempt: NotRequired[int]  # of the journey, where it was tried more than once


class Record(TypedDict):
    """What a journey came to: one line of results.jsonl, one entry of the bundle."""

    id: str
    feature: str
    tier: str
    chain: str
    shard: int  # 1-based
    verdict: Verdict
    cause: str  # one sentence; empty if passed
    root: str | None  # of a blocked or deferred one
    flaky: bool
    attempts: int
    started: str | None
    duration_seconds: float
    strength: str | None  # 'checked' or 'exit-only'; None where nothing was verified
    steps: list[StepRecord]
    findings: list[Finding]
