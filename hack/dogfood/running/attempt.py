"""One attempt of one journey: its steps, invariants and probes, really run, and what they came to."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hack.common import files, limits, machine
from hack.common.machine import Memory
from hack.common.process import PATIENCE, Captured, End, Ran, Scan, Supervisor, which
from hack.dogfood.corpus import masks
from hack.dogfood.judging import oracles, verdicts
from hack.dogfood.judging.oracles import FileSeen, Seen, Text
from hack.dogfood.judging.secrets import Mask
from hack.dogfood.judging.verdicts import Judgement, Note, StepSeen
from hack.dogfood.model import Capability, Expect, Feature, FileCheck, Finding, Journey, Step, StepRecord
from hack.dogfood.running import workspace
from hack.dogfood.running.sandbox import Sandbox
from hack.dogfood.running.workspace import Workspace

INLINE_BYTES: Final = 8192  # of a stream that stand in the record itself; more goes to an evidence file
_FILE_BYTES: Final = 1 << 20  # of a file that are looked at, head and tail
_PROBE_SECONDS: Final = 30.0
_MATCH_SECONDS: Final = 5.0  # of processor time, for all the expectations of a step
_SETTLE_SECONDS: Final = (0.02, 0.5)  # between two samples of a `within` step: first and longest
_TOLD_TO_STOP: Final = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_WORD_SECONDS: Final = 0.5  # that word of an interrupt may take to come to us too
_PIPE: Final = re.compile(r'(?<![|>])\|(?!\|)')
_UNREAD: Final = rb'^%b: -c: line \d+: (?:syntax error|unexpected EOF).*'
_BROKEN_PIPE: Final = re.compile(rb'broken ?pipe|\bEPIPE\b', re.I)
# Programs that run another one, as they say that they cannot find it.
_RUNNERS: Final = re.compile(
    rb'^(env|flock|ionice|nice|nohup|setsid|stdbuf|taskset|timeout|unshare|xargs): '
    rb'(?:failed to (?:run command|execute) )?(?:\xe2\x80\x98|\')?([^\s/\']+?)(?:\xe2\x80\x99|\')?: '
    rb'No such file or directory$',
    re.M,
)


class Shell(NamedTuple):
    """What a chain's programs run with."""

    supervisor: Supervisor
    bash: str
    workspace: Workspace
    environment: Mapping[str, str]  # the chain's, without any corpus's variables
    deadline: float  # of the run, time.monotonic()
    run_dir: Path
    mask: Mask  # of all that any journey of the shard is passed on: those of a chain read each other's files
    memory: Memory  # of the machine
    sandbox: Sandbox | None = None  # that all of them are run in
    sent: Collection[signal.Signals] = ()  # by the chain's steps themselves: who dies of them has not crashed


class Outcome(NamedTuple):
    judgement: Judgement
    steps: list[StepRecord]
    findings: list[Finding]


class _Run(NamedTuple):
    """A journey's surroundings during one attempt."""

    shell: Shell
    journey: Journey
    feature: Feature
    attempt: int
    environment: Mapping[str, str]
    feature_environment: Mapping[str, str]
    cwd: str
    require_all: bool

    @property
    def mask(self) -> Mask:
        return self.shell.mask


def perform(
    shell: Shell,
    journey: Journey,
    feature: Feature,
    attempt: int,
    passed_on: Mapping[str, str],
    probes: Sequence[tuple[Capability, Feature]],
    require_all: bool = False,
) -> Outcome:
    """Run the journey's steps in its work folder, then the probes of what it establishes, until one of them decides.

    `passed_on`: the variables of `env_pass` with their values.
    """
    feature_environment = workspace.with_variables(shell.environment, feature.env)
    environment = workspace.with_variables({**feature_environment, **passed_on}, journey.env)
    cwd = shell.workspace.work(journey.id, attempt)
    run = _Run(shell, journey, feature, attempt, environment, feature_environment, cwd, require_all)
    records: list[StepRecord] = []
    findings: list[Finding] = []
    judgement = _steps(run, records, findings)
    if judgement is None:
        judgement = _first(probe(shell, capability, of, cwd, relied_on=False) for capability, of in probes)
    judgement = judgement or verdicts.PASSED
    if judgement.finding:
        findings.append(judgement.finding)
    judgement = judgement._replace(cause=shell.mask.text(judgement.cause))
    return Outcome(judgement, shell.mask.value(records), shell.mask.value(findings))


def probe(shell: Shell, capability: Capability, feature: Feature, cwd: str, relied_on: bool) -> Judgement | None:
    """Run a capability's probe in `cwd`; None where it holds, or where there is none."""
    if capability.probe is None:
        return None
    environment = workspace.with_variables(shell.environment, feature.env)
    seen = _command(shell, capability.probe, environment, cwd, _PROBE_SECONDS)
    return verdicts.of_probe(capability.token, seen, relied_on)


def teardown(shell: Shell, journey: Journey, feature: Feature, cwd: str, passed_on: Mapping[str, str]) -> list[str]:
    """Run the journey's teardown; returns a line for each command that did not exit 0. It changes no verdict."""
    environment = workspace.with_variables(shell.environment, {**feature.env, **passed_on, **journey.env})
    lines = []
    for command in journey.teardown:
        ran = _bash(shell, command, environment, cwd if os.path.isdir(cwd) else shell.workspace.data, journey.timeout)
        _take_notes(shell.workspace.notes)
        if ran.status != 0:
            said = _text(ran.err).join().strip() or ran.why
            lines.append(shell.mask.text(f'teardown of {journey.id}: {command!r}: {_ending(ran)}: {said}'))
    return lines


def version(shell: Shell, feature: Feature) -> str | None:
    """The first line that the feature's version command says, masked; None where there is none or it fails."""
    if feature.version is None:
        return None
    environment = workspace.with_variables(shell.environment, feature.env)
    ran = _bash(shell, feature.version, environment, shell.workspace.data, _PROBE_SECONDS)
    _take_notes(shell.workspace.notes)
    lines = shell.mask.text(_text(ran.out).join()).splitlines()
    return lines[0] if ran.status == 0 and lines else None


# -- steps ---------------------------------------------------------------------------------


def _steps(run: _Run, records: list[StepRecord], findings: list[Finding]) -> Judgement | None:
    try:
        workspace.write_files(run.cwd, run.journey.files)
    except OSError as error:
        return Judgement('infra', f"the journey's files could not be written: {error}")
    left = run.journey.timeout
    for number, step in enumerate(run.journey.steps, 1):
        try:
            workspace.write_files(run.cwd, step.files)
        except OSError as error:
            return Judgement('infra', f'step {number}: its files could not be written: {error}')
        limit = left if step.timeout is None else step.timeout
        samples = _sampled(run, step, limit)
        if step.timeout is None:
            left = max(0.0, left - samples.seconds)
        judgement = _judged(run, number, limit, samples, records, findings)
        if judgement is None:
            judgement = _first(_invariant(run, number, name, command) for name, command in run.feature.invariants)
        if judgement:
            return judgement
    return None


class _Sample(NamedTuple):
    """One run of a step, and what is wrong with it."""

    ran: Ran
    notes: list[Note]
    found: list[Finding]

    def decides(self) -> bool:
        """Whether time cannot change it: it held, it said why it did not, it was ended, or the product crashed."""
        ended = self.ran.end not in (End.EXITED, End.SIGNALLED)
        return not self.found or bool(self.notes) or ended or any(entry['kind'] == 'crash' for entry in self.found)


class _Samples(NamedTuple):
    """All runs of a step: one, or as many as a `within` step needed."""

    first: _Sample
    last: _Sample
    number: int
    seconds: float  # that its program took; not those that the machine took from it


def _sampled(run: _Run, step: Step, seconds: float) -> _Samples:
    crashes = oracles.crash_scan(run.feature.crash_markers)
    is_over = _window(step.expect.within or 0.0)
    pause, longest = _SETTLE_SECONDS
    was_over, first = is_over(), _sample(run, step, seconds, crashes)
    last, number, took = first, 1, _charged(first.ran)
    while not last.decides() and not was_over:  # the last sample is one of a time when the window was over
        run.shell.supervisor.idle(pause)
        pause = min(2 * pause, longest)
        was_over, last = is_over(), _sample(run, step, seconds, crashes)
        number, took = number + 1, took + _charged(last.ran)
    return _Samples(first, last, number, took)


def _window(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds are over since this was called, not counting what the machine was too busy for."""
    began, pressure = time.monotonic(), machine.cpu_pressure() if seconds else 0.0

    def is_over() -> bool:
        gone = time.monotonic() - began
        return gone >= seconds and gone >= min(seconds + machine.cpu_pressure() - pressure, PATIENCE * seconds)

    return is_over


def _charged(ran: Ran) -> float:
    return max(0.0, ran.seconds - ran.excused_seconds)


def _sample(run: _Run, step: Step, seconds: float, crashes: Scan) -> _Sample:
    pressure = machine.cpu_pressure() if step.expect.latency is not None else 0.0
    ran = _bash(run.shell, step.run, run.environment, run.cwd, seconds, crashes)
    notes = _notes(run.shell, ran, step.run, run.environment['PATH'])
    out, err = run.mask.trim(_text(ran.out)), run.mask.trim(_text(ran.err))
    paths = {check.path: _look_at(run, check) for check in step.expect.files}
    seen = Seen(ran.status, ran.seconds, out, err, paths, ran.end is End.SIGNALLED)
    expect = step.expect if ran.status is not None else Expect()
    found = _findings(run, expect, seen, crashes, ran.out.gave_up or ran.err.gave_up)
    if found:
        ran = _unless_interrupted(run.shell, ran)
    found = [*_of_survivors(run, crashes), *found]
    if late := [entry for entry in found if entry['kind'] == 'latency']:
        waited = machine.most_waited(ran, pressure, bool(run.shell.supervisor.survivors(run.shell.workspace.owner)))
        waited += ran.excused_seconds
        if step.expect.latency is not None and ran.seconds - waited <= step.expect.latency:
            for entry in late:
                entry['kind'] = 'harness'
                entry['observed'] += f', but it may have waited {waited:.3f} s of it for a processor'
    return _Sample(ran, notes, found)


def _of_survivors(run: _Run, crashes: Scan) -> list[Finding]:
    heard = run.shell.supervisor.heard(run.shell.workspace.owner, crashes)
    if any(number is signal.SIGKILL for _, number in heard.died):
        run.shell.memory.lost_one()
    said = [run.mask.trim(_text(captured)) for captured in heard.said]
    return oracles.of_survivors(said, heard.died, run.shell.sent, crashes, run.feature.crash_allowed, run.mask.text)


def _findings(run: _Run, expect: Expect, seen: Seen, crashes: Scan, gave_up: bool) -> list[Finding]:
    """What is wrong with a sample. A pattern of the corpus's that takes too long to tell is not held against it."""

    limit = limits.processor_seconds(_MATCH_SECONDS) if _has_patterns(run.feature, expect) else contextlib.nullcontext()
    if not gave_up:
        with contextlib.suppress(limits.TooLongError), limit:
            allowed = [*run.feature.crash_allowed, *oracles.asked_for(expect, run.shell.sent)]
            return oracles.findings(expect, seen, crashes, allowed, run.mask.text)
    observed = f'one that did not within {_MATCH_SECONDS:g} s (repetitions within repetitions? write it simpler)'
    return [oracles.finding('harness', "the corpus's regular expressions to come to an end", observed)]


def _has_patterns(feature: Feature, expect: Expect) -> bool:
    """Whether regular expressions of the corpus's own take part in the judgement."""
    texts = (expect.stdout, expect.stderr, *(check.text for check in expect.files))
    own = feature.crash_markers or feature.crash_allowed
    return bool(own) or any(text is not None and text.matches is not None for text in texts)


def _judged(
    run: _Run,
    number: int,
    limit: float,
    samples: _Samples,
    records: list[StepRecord],
    findings: list[Finding],
) -> Judgement | None:
    ran, notes, found = samples.last
    step = run.journey.steps[number - 1]
    record = _record(run, step, ran, f'step-{number}')
    if samples.number > 1:
        record['samples'] = samples.number
        record['first'] = _record(run, step, samples.first.ran, f'step-{number}-first')
    records.append(record)
    if ran.end is End.TIMED_OUT:
        late = oracles.finding('timeout', f'to end within {round(limit, 3):g} s', 'it was still running')
        found = [late, *(entry for entry in found if entry['kind'] == 'crash')]
    for entry in found:
        entry['step'], entry['evidence'] = number, _evidence_of(record, entry)
        if samples.number > 1:
            first = _first_sample(samples.first, entry)
            entry['observed'] += f'\n[last of {samples.number} samples; the first: {first}]'
    trouble = _trouble(run.shell, ran, run.cwd) if found else None
    closed_early = _closed_early(step, ran) if found else ''
    seen = StepSeen(number, ran.end, ran.status, ran.seconds, limit, found, notes, ran.why, closed_early, trouble)
    judgement = verdicts.of_step(seen, {*run.journey.needs, *run.feature.needs}, run.require_all)
    if judgement:
        findings += verdicts.kept(judgement.verdict, found)
    return judgement


def _closed_early(step: Step, ran: Ran) -> str:
    """Under pipefail a reader that leaves early (head, grep -q) kills the writer before it, or has it complain."""
    if ran.status == 128 + signal.SIGPIPE and _PIPE.search(step.run):
        return 'exit 141, SIGPIPE'
    said = _BROKEN_PIPE.search(b''.join(ran.err.parts()))
    return f'it said: {said[0].decode()}' if said and masks.closes_early(step.run) else ''


def _first_sample(sample: _Sample, last: Finding) -> str:
    same = [entry for entry in sample.found if entry['expected'] == last['expected']]
    return same[0]['observed'] if same else _ending(sample.ran)


def _evidence_of(record: StepRecord, finding: Finding) -> str | None:
    """The file with the stream the finding is about, or else the other one, where they are too long for a record."""
    paths = record.get('evidence', [])
    return next((path for path in paths if path.endswith(finding['kind'])), paths[0] if paths else None)


def _invariant(run: _Run, number: int, name: str, command: str) -> Judgement | None:
    seen = _command(run.shell, command, run.feature_environment, run.cwd, _PROBE_SECONDS, number)
    return verdicts.of_invariant(name, seen)


def _first(judgements: Iterable[Judgement | None]) -> Judgement | None:
    return next((judgement for judgement in judgements if judgement), None)


# -- programs ------------------------------------------------------------------------------


def _bash(
    shell: Shell,
    command: str,
    environment: Mapping[str, str],
    cwd: str,
    seconds: float,
    scan: Scan | None = None,
) -> Ran:
    argv: Sequence[str] = (shell.bash, '-eo', 'pipefail', '-c', command)
    if shell.sandbox:
        if why := shell.sandbox.ended():
            return Ran(End.NOT_STARTED, None, 0.0, Captured(), Captured(), why)
        argv = shell.sandbox.wrap(argv, cwd)
    left = shell.deadline - time.monotonic()
    ran = shell.supervisor.run(
        argv,
        cwd=cwd,
        env=environment,
        seconds=min(seconds, left),
        owner=shell.workspace.owner,
        scan=scan,
    )
    if ran.end is End.TIMED_OUT and left < seconds:
        return ran._replace(end=End.INTERRUPTED, why="the run's deadline was reached")
    return ran


def _unless_interrupted(shell: Shell, ran: Ran) -> Ran:
    """What ended badly, put down to an interrupt of ours that came with it.

    Who ends a service, a job or a machine tells everything in it to stop: the step, its daemons and us, in any order.
    """
    shell.supervisor.idle(_WORD_SECONDS if ran.status in _TOLD_TO_STOP else _SETTLE_SECONDS[0])
    ended = ran.end in (End.EXITED, End.SIGNALLED)
    return ran._replace(end=End.INTERRUPTED, status=None) if ended and shell.supervisor.interrupted else ran


def _command(
    shell: Shell, command: str, environment: Mapping[str, str], cwd: str, seconds: float, number: int = 0
) -> StepSeen:
    """A probe or an invariant: only its exit status counts."""
    ran = _bash(shell, command, environment, cwd, seconds)
    if ran.status != 0:
        ran = _unless_interrupted(shell, ran)
    notes = _notes(shell, ran, command, environment['PATH'])
    trouble = None if ran.status == 0 else _trouble(shell, ran, cwd)
    return StepSeen(number, ran.end, ran.status, ran.seconds, seconds, (), notes, ran.why, '', trouble)


def _notes(shell: Shell, ran: Ran, script: str, path: str) -> list[Note]:
    """What the step said of itself; what `exec` does not find, and what it cannot read, bash tells of on its own.

    `script` and `path`: what was run, and where it looked for commands.
    """
    notes = _take_notes(shell.workspace.notes)
    said, own = ran.err.parts()[0], _own_name(shell)
    if not said:
        return notes
    if ran.status == 127 and (missing := re.search(rb'^%b: line \d+: exec: ([^\s/]+): not found$' % own, said, re.M)):
        notes.append(Note('command-not-found', os.fsdecode(missing[1])))
    if ran.status == 2 and (unread := re.search(_UNREAD % own, said, re.M)):
        notes.append(Note('infra', f'bash cannot read the step: {unread[0].decode("utf-8", "replace")}'))
    return notes + [Note('command-not-found', name) for name in _not_found_by_runners(said, script, path)]


def _not_found_by_runners(said: bytes, script: str, path: str) -> Iterator[str]:
    """What `timeout 5 gadget`, `env` and their like did not find, where the script itself asked for it."""
    for runner, name in _RUNNERS.findall(said):
        runner, name = os.fsdecode(runner), os.fsdecode(name)
        words = re.findall(r'[^\s;&|(){}<>"\'`$]+', script)
        if runner in words and name in words and which(name, path) is None:
            yield name


def _own_name(shell: Shell) -> bytes:
    """By which the step's own bash speaks of itself, as a regular expression."""
    return re.escape(os.fsencode(shell.bash))


def _take_notes(path: str) -> list[Note]:
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            lines = file.read().splitlines()
        os.unlink(path)
    except OSError:
        return []
    return [Note(*line.split('\t', 1)) for line in lines if '\t' in line]


def _trouble(shell: Shell, ran: Ran, cwd: str) -> str | None:
    """What was wrong with the machine, or with what the step runs in."""
    if not os.path.isdir(cwd):  # the chain's folder may be there again: programs make what they miss
        return f'{cwd}: it is gone'
    folders = [shell.workspace.folder, str(shell.run_dir)]
    if shell.sandbox:
        if why := shell.sandbox.ended():
            return why
        folders.append(shell.sandbox.seen('/tmp'))
    said = b''.join((*ran.out.parts(), *ran.err.parts()))
    return machine.trouble(ran.status, said, folders, shell.memory, _own_name(shell))


# -- what was seen ---------------------------------------------------------------------------


def _text(captured: Captured) -> Text:
    return Text(*captured.parts(), captured.dropped, tuple(captured.hits))


def _look_at(run: _Run, check: FileCheck) -> FileSeen:
    path = os.path.join(run.cwd, workspace.expand(check.path, run.environment))
    if run.shell.sandbox:
        path = run.shell.sandbox.seen(path)
    try:
        if not os.path.exists(path):
            return FileSeen(False, None, 'it is a link that leads nowhere' if os.path.lexists(path) else '')
        if not os.path.isfile(path):
            return FileSeen(True, None, 'it is not a regular file')
        with open(path, 'rb') as file:
            head = file.read(_FILE_BYTES)
            size = os.fstat(file.fileno()).st_size
            tail = b''
            if size > 2 * _FILE_BYTES:
                file.seek(-_FILE_BYTES, os.SEEK_END)
            if size > _FILE_BYTES:
                tail = file.read(_FILE_BYTES)
        dropped = size - len(head) - len(tail)
        return FileSeen(True, run.mask.trim(Text(head, tail, dropped)) if dropped > 0 else Text(head + tail))
    except OSError as error:
        return FileSeen(True, None, str(error.strerror))


def _record(run: _Run, step: Step, ran: Ran, name: str) -> StepRecord:
    """`name`: of its evidence files."""
    record = StepRecord(
        intent=step.intent,
        run=step.run,
        exit=ran.status if ran.end is End.EXITED else None,
        duration_seconds=round(ran.seconds, 4),
        stdout='',
        stderr='',
    )
    if signal_name := oracles.signal_of(ran.status, ran.end is End.SIGNALLED):
        record['signal'] = signal_name
    for stream, captured in (('stdout', ran.out), ('stderr', ran.err)):
        text = run.mask.trim(_text(captured))
        if text.dropped:
            record['cut_bytes'] = record.get('cut_bytes', 0) + text.dropped
        shown = run.mask.text(text.join())  # before it is shortened: half a secret would not be recognised
        if len(shown) > INLINE_BYTES:
            path = _keep_evidence(run, f'{run.shell.workspace.attempt}.{run.attempt}-{name}.{stream}', shown)
            record.setdefault('evidence', []).append(path)
            lost = len(shown) - INLINE_BYTES
            half = INLINE_BYTES // 2
            shown = f'{shown[:half]}\n[… {lost} characters, see {path} …]\n{shown[-half:]}'
        record[stream] = shown  # type: ignore[literal-required]
    return record


def _keep_evidence(run: _Run, name: str, text: str) -> str:
    """Write evidence and return its path from the run directory; one that cannot be written is named as lost."""
    path = f'evidence/{run.journey.id}/{name}'
    try:
        os.makedirs(run.shell.run_dir / 'evidence' / run.journey.id, exist_ok=True)
        files.write_atomic(run.shell.run_dir / path, text)
    except OSError as error:
        return f'{path} (could not be written: {error.strerror})'
    return path


def _ending(ran: Ran) -> str:
    return f'exit {ran.status}' if ran.status is not None else ran.end.value
