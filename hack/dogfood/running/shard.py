"""One shard's work: its chains, tier by tier, each journey to a verdict that is on disk before the next begins."""

import contextlib
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from hack.common import files
from hack.common.errors import Exit
from hack.common.files import JsonLines
from hack.common.machine import Memory
from hack.common.process import Supervisor, which
from hack.dogfood import rundir
from hack.dogfood.corpus import strength
from hack.dogfood.judging import oracles, verdicts
from hack.dogfood.judging.secrets import Mask
from hack.dogfood.judging.verdicts import Judgement, Standing
from hack.dogfood.model import (
    TIERS,
    Capability,
    Chain,
    Feature,
    Finding,
    Job,
    Journey,
    Record,
    Verdict,
)
from hack.dogfood.rundir import Run, RunDir
from hack.dogfood.running import attempt, markers, progress, sandbox, tenants, workspace
from hack.dogfood.running.attempt import Outcome, Shell
from hack.dogfood.running.gates import Gates
from hack.dogfood.running.lodging import Lodging
from hack.dogfood.running.markers import Marker
from hack.dogfood.running.progress import ChainProgress
from hack.dogfood.running.sandbox import Sandbox
from hack.dogfood.running.workspace import Workspace

NOT_STARTED_SECONDS: Final = 60.0  # all shards start at once: one that has not by then never will
_DONE: Final = frozenset(('passed', 'skipped'))  # of a chain with no other verdicts nobody needs the folder
_TEARDOWN_SECONDS: Final = 20.0  # for all of a chain's teardown once the run is interrupted or past its deadline


def run(
    run_dir: RunDir,
    number: int,
    supervisor: Supervisor,
    environment: Mapping[str, str],
    tell: Callable[[Record], None],
    patience: float = NOT_STARTED_SECONDS,
) -> int:
    """Work off shard `number`; `tell` hears each record once it is written.

    `patience`: how long another shard, on whose gates this one depends, may take to start.
    Returns an exit status: 0 all its journeys have a record, 3 it had to stop, 130 interrupted.
    Raises UserError where there is no such shard or another process runs it.
    """
    # The lock comes first: one that is there and free tells those who wait that this shard will not come.
    with tenants.shard_lock(run_dir, number):
        job = rundir.read_job(run_dir, number)
        its_run = rundir.read_run(run_dir)
        return Shard(run_dir, its_run, job, supervisor, environment, tell, patience).work()


class _ChainRun:
    """A chain while its shard works on it. Its folder is made when the first journey needs it."""

    def __init__(self, chain: Chain, number: int, before: ChainProgress | None) -> None:
        self.chain = chain
        self.number = number
        self.before = before
        self.attempt = before.attempt if before else 0  # 0: not begun
        self.finals: dict[str, Record] = dict(before.finals) if before else {}
        self.standing: dict[str, Standing] = {}
        self.left = list(chain.journeys)
        self.shell: Shell | None = None
        self.entered: dict[str, str] = {}  # journeys whose steps began, with the work folder of the last attempt
        self.build_again: set[str] = set()
        self.not_built: dict[str, str] = {}  # journeys that passed before and did not when built up again: why
        self.goes_on = False  # in its folder, where an earlier turn of the shard was stopped

    @property
    def is_judged(self) -> bool:
        return all(name in self.finals for name in self.chain.journeys)


class Shard:
    """The state of one shard's process."""

    def __init__(
        self,
        run_dir: RunDir,
        its_run: Run,
        job: Job,
        supervisor: Supervisor,
        environment: Mapping[str, str],
        tell: Callable[[Record], None],
        patience: float,
    ) -> None:
        self.run_dir = run_dir
        self.its_run = its_run
        self.options = its_run.options
        self.job = job
        self.supervisor = supervisor
        self.environment = environment
        self.tell = tell
        self.boot = files.boot_id()
        self.path = environment.get('PATH', os.defpath)
        self.bash = which('bash', self.path) or 'bash'
        self.base = workspace.base_environment(self.path, self.options.product_path, self.bash)
        self.establishers: dict[str, list[str]] = {}
        for journey in job.journeys.values():
            for token in journey.establishes:
                self.establishers.setdefault(token, []).append(journey.id)
        self.missing: dict[str, bool] = {}  # by command
        self.deadline = self._deadline()
        self.memory = Memory()
        self.asked: set[str] = set()  # features whose product has said its version
        gates = () if self.options.apart else job.gates  # of shards on machines of their own the merge takes care
        self.gates = Gates(run_dir, gates, job.shard, supervisor, self.deadline, patience)
        self.lodging = Lodging(run_dir, job.shard, its_run.id, environment.get('TMPDIR') or '/tmp', self.options.keep)
        self.mask = Mask(self._passed_on(name for journey in job.journeys.values() for name in journey.env_pass))
        events, damaged = files.heal_jsonl(run_dir.results(job.shard))
        self.is_resumed = bool(events or damaged or os.listdir(run_dir.chains))
        self.before = progress.read(events, self.boot, whole=not damaged)
        self.log = open(run_dir.log(job.shard), 'a', encoding='utf-8', errors='backslashreplace')  # noqa: SIM115 (for life)
        self.results = JsonLines(run_dir.results(job.shard))
        supervisor.beat = self.results.sync_if_due
        if damaged:
            self._note(
                f'{damaged} damaged lines of {run_dir.results(job.shard)} were left out; what they told is unknown'
            )

    def work(self) -> int:
        """All chains, tier by tier; what was begun is ended whatever happens."""
        self.results.append(
            {
                'event': 'shard-start',
                'shard': self.job.shard,
                'pid': os.getpid(),
                'time': files.utc_now(),
                'boot': self.boot,
            }
        )
        chains = [self._chain_run(chain) for chain in self.job.chains]
        status, reason = Exit.GREEN, 'done'
        try:
            self._clear_up(chains)
            for tier in TIERS:
                self._tier(tier, chains)
            if self.supervisor.interrupted:
                status, reason = Exit.INTERRUPTED, 'interrupted'
            elif time.monotonic() >= self.deadline:
                reason = 'deadline'
        finally:
            for chain in chains:
                self._finish(chain)
            self.lodging.close()
        self.results.append({'event': 'shard-end', 'shard': self.job.shard, 'reason': reason, 'time': files.utc_now()})
        self.results.sync()
        return status

    def _clear_up(self, chains: Sequence[_ChainRun]) -> None:
        """Remove what an earlier turn left behind, but what goes on and what is kept for somebody to look at."""
        for chain in chains:
            done = {final['verdict'] for final in chain.finals.values()} <= _DONE
            if chain.before and chain.is_judged and os.path.isdir(chain.before.folder) and self.lodging.is_kept(done):
                self.lodging.point_to(chain.chain.name, chain.before.folder)
        self.lodging.clear({chain.before.folder for chain in chains if chain.before and chain.goes_on})

    # -- order ---------------------------------------------------------------------------

    def _tier(self, tier: str, chains: Sequence[_ChainRun]) -> None:
        of_tier = [
            (chain, name) for chain in chains for name in chain.chain.journeys if self.job.journeys[name].tier == tier
        ]
        if not of_tier:
            return
        gates = self.gates.before(tier)
        for chain, name in of_tier:
            if self.supervisor.interrupted:
                return
            self._journey(chain, self.job.journeys[name], gates)
            chain.left.remove(name)
            if not chain.left:
                self._finish(chain)

    # -- one journey ---------------------------------------------------------------------

    def _journey(self, chain: _ChainRun, journey: Journey, gates: Mapping[str, tuple[str, Verdict]]) -> None:
        final = chain.finals.get(journey.id)
        if final and journey.id not in chain.build_again:
            chain.standing[journey.id] = Standing(final['verdict'], final['root'])
            self.gates.tell(journey, final['verdict'])
            return
        record = self._judged(chain, journey, self._admission(chain, journey, gates))
        alive = (
            [process.name for process in self.supervisor.survivors(chain.shell.workspace.owner)] if chain.shell else []
        )
        event: dict[str, Any] = {'event': 'result', 'chain_attempt': chain.attempt, 'record': record}
        self.results.append({**event, 'alive': alive} if alive else event)
        chain.standing[journey.id] = Standing(record['verdict'], record['root'])
        if final:
            if record['verdict'] != 'passed':
                chain.not_built[journey.id] = record['cause']
        else:
            self.gates.tell(journey, record['verdict'])
        self.tell(record)

    def _admission(
        self, chain: _ChainRun, journey: Journey, gates: Mapping[str, tuple[str, Verdict]]
    ) -> Judgement | None:
        """Why the journey cannot be run; None where it can."""
        if time.monotonic() >= self.deadline:
            return Judgement('infra', "the run's deadline was reached")
        if held := verdicts.deferred(journey.tier, gates):
            return held
        if self.options.sandbox and self.no_sandbox:
            return Judgement('infra', f'the run is to be sandboxed and needs {self.no_sandbox}')
        if absent := verdicts.absent(self._absent(journey), self.options.require_all):
            return absent
        blocked = verdicts.blocked(journey.requires, self.establishers, chain.standing)
        if blocked and blocked.root in chain.not_built:
            why = chain.not_built[blocked.root]
            return Judgement('infra', f'{blocked.root} passed before, but not when its chain was built up again: {why}')
        return blocked

    def _absent(self, journey: Journey) -> list[str]:
        feature = self.job.features[journey.path]
        absent = []
        for command in dict.fromkeys((*feature.needs, *journey.needs)):
            if command not in self.missing:
                self.missing[command] = which(command, self.base['PATH']) is None
            if self.missing[command]:
                absent.append(
                    f'{command}, which is not installed (apt-get install {feature.packages.get(command, command)})'
                )
        if journey.sandbox and self.no_sandbox:
            absent.append(self.no_sandbox)
        return absent

    @functools.cached_property
    def no_sandbox(self) -> str | None:
        """What this machine lacks for a sandbox."""
        return sandbox.unusable(self.supervisor, self.path)

    def _judged(self, chain: _ChainRun, journey: Journey, known: Judgement | None) -> Record:
        """The journey's record: judged beforehand, or run."""
        events: list[dict[str, Any]] = []
        if known is None:
            try:
                events = self._open(chain)
            except OSError as error:
                known = Judgement('infra', f"the chain's folder or sandbox could not be made: {error}")
        if known or chain.shell is None:
            return self._record(chain, journey, Outcome(known or verdicts.PASSED, [], []), 0, None, 0.0)
        started, clock = files.utc_now(), time.monotonic()
        of_chain = {'chain': chain.chain.name, 'chain_attempt': chain.attempt}
        self.results.append(*events, {'event': 'start', 'journey': journey.id, **of_chain, 'time': started})
        outcome, attempts, earlier = self._attempts(chain, chain.shell, journey)
        if outcome.judgement.verdict == 'passed' and (why := self._establish(chain, journey)):
            outcome = Outcome(why, outcome.steps, outcome.findings)
        record = self._record(chain, journey, outcome, attempts, started, time.monotonic() - clock)
        record['flaky'] = attempts > 1 and record['verdict'] == 'passed'
        record['findings'] = earlier + record['findings']
        return record

    def _attempts(self, chain: _ChainRun, shell: Shell, journey: Journey) -> tuple[Outcome, int, list[Finding]]:
        """The outcome that stands, the number of attempts, and the findings of attempts before it."""
        retries = self.options.retries if journey.retries is None else journey.retries
        earlier: list[Finding] = []
        outcome, number = self._attempt(chain, shell, journey, 1), 1
        while outcome.judgement.verdict == 'failed' and number <= retries:
            again, number = self._attempt(chain, shell, journey, number + 1), number + 1
            stands = verdicts.of_retry(outcome.judgement, again.judgement)
            if stands.verdict != again.judgement.verdict:
                return outcome._replace(judgement=stands), number, earlier
            for finding in outcome.findings:
                finding['attempt'] = number - 1
            earlier += outcome.findings
            outcome = again._replace(judgement=stands)
        return outcome, number, earlier

    def _attempt(self, chain: _ChainRun, shell: Shell, journey: Journey, number: int) -> Outcome:
        """One attempt; a fault of ours must neither take the other journeys along nor be blamed on this one."""
        try:
            cwd = workspace.enter(shell.workspace, journey.id, number)
            if lost := self._lost(chain, shell, journey, cwd):
                return lost
            chain.entered[journey.id] = cwd
            return attempt.perform(
                shell,
                journey,
                self.job.features[journey.path],
                number,
                self._passed_on(journey.env_pass),
                self._probes(journey.establishes),
                self.options.require_all,
            )
        except OSError as error:
            return Outcome(Judgement('infra', f'the work folder: {error}'), [], [])
        except Exception as error:
            self._note(traceback.format_exc())
            return Outcome(Judgement('infra', f'the harness failed: {error!r}'), [], [])

    def _passed_on(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.environment[name] for name in names if name in self.environment}

    def _probes(self, tokens: Sequence[str]) -> list[tuple[Capability, Feature]]:
        return [
            (capability, self.job.features[capability.feature])
            for capability in (self.job.capabilities[token] for token in tokens)
            if capability.probe is not None
        ]

    # -- capabilities ----------------------------------------------------------------------

    def _lost(self, chain: _ChainRun, shell: Shell, journey: Journey, cwd: str) -> Outcome | None:
        """Whether something the journey stands on, established before, is not there any more."""
        expected = markers.Expected(chain.chain.name, chain.attempt, self.its_run.id, self.boot)
        for token in journey.requires:
            found = markers.read(self.run_dir.capabilities, token, self.its_run.key)
            if fault := markers.fault(found, expected):
                return Outcome(verdicts.lost_marker(token, fault), [], [])
        for capability, feature in self._probes(journey.requires):
            if judgement := attempt.probe(shell, capability, feature, cwd, relied_on=True):
                return Outcome(judgement, [], [judgement.finding] if judgement.finding else [])
        return None

    def _establish(self, chain: _ChainRun, journey: Journey) -> Judgement | None:
        """Write the markers of what the journey established; says why where that cannot be done."""
        for token in journey.establishes:
            marker = Marker(
                token,
                journey.id,
                chain.chain.name,
                chain.attempt,
                self.job.shard,
                files.utc_now(),
                self.its_run.id,
                self.boot,
            )
            try:
                markers.write(self.run_dir.capabilities, marker, self.its_run.key)
            except OSError as error:
                return Judgement('infra', f'every step passed, but the marker of {token} could not be written: {error}')
        return None

    # -- chains ------------------------------------------------------------------------------

    def _chain_run(self, chain: Chain) -> _ChainRun:
        it = _ChainRun(chain, self.job.numbers[chain.name], self.before.get(chain.name))
        it.goes_on = it.before is not None and not it.is_judged and self._goes_on(chain, it.before)
        if it.before and it.goes_on:
            space = self.lodging.workspace(chain.name, it.number, it.attempt, it.before.folder)
            it.entered = {name: space.work(name, tries) for name, tries in it.before.entered.items()}
        elif it.before:
            it.build_again = progress.to_build_again(chain.journeys, self.job.journeys, it.before.finals)
        return it

    def _goes_on(self, chain: Chain, before: ChainProgress) -> bool:
        # What a sandbox held beside the folder (/tmp, shared memory) went with the shard that kept it.
        return before.at_rest and os.path.isdir(before.folder) and not self._wants_sandbox(chain)

    def _wants_sandbox(self, chain: Chain) -> bool:
        return sandbox.wanted(self.options.sandbox, [self.job.journeys[name] for name in chain.journeys])

    def _sandbox(self, chain: Chain, space: Workspace, environment: Mapping[str, str]) -> Sandbox | None:
        if not self._wants_sandbox(chain) or self.no_sandbox:
            return None
        try:
            return sandbox.start(self.supervisor, space, environment, self.path)
        except OSError:
            workspace.remove_tree(space.folder)
            raise

    def _open(self, chain: _ChainRun) -> list[dict[str, Any]]:
        """Have the chain's folder: the earlier attempt's if it was at rest, else a fresh one; raises OSError.

        Returns the event to record, if it was not open yet.
        """
        if chain.shell:
            return []
        name, before = chain.chain.name, chain.before
        if before and chain.goes_on:
            space = self.lodging.workspace(name, chain.number, chain.attempt, before.folder)
        else:
            if self.is_resumed:
                self.lodging.remove_earlier(name, before.folder if before else None)
            chain.attempt += 1
            space = self.lodging.fresh(name, chain.number, chain.attempt)
        environment = workspace.chain_environment(self.base, space)
        box = self._sandbox(chain.chain, space, environment)
        chain.shell = Shell(
            self.supervisor,
            self.bash,
            space,
            environment,
            self.deadline,
            self.run_dir.path,
            self.mask,
            self.memory,
            box,
            oracles.signals_in(step.run for name in chain.chain.journeys for step in self.job.journeys[name].steps),
        )
        event = {'event': 'chain', 'chain': name, 'chain_attempt': chain.attempt, 'folder': space.folder}
        return [{**event, 'sandbox': 'bwrap'} if box else event]

    def _finish(self, chain: _ChainRun) -> None:
        """Teardown, then the end of all that still runs, then the folder's: once, whatever happened."""
        if chain.goes_on and not chain.shell:  # what an earlier turn began has an end, though nothing was added to it
            with contextlib.suppress(OSError):
                self._open(chain)
        shell, chain.shell, chain.goes_on = chain.shell, None, False
        if shell is None:
            return
        try:
            for line in self._teardown(shell, chain):
                self._note(line)
        except Exception:  # a fault of ours must not keep the rest from being ended
            self._note(traceback.format_exc())
        events = self._versions(shell, chain)
        leaks = [f'{process.name} (pid {process.pid})' for process in self.supervisor.end_owner(shell.workspace.owner)]
        if shell.sandbox:
            shell.sandbox.close()
        end = {'event': 'chain-end', 'chain': chain.chain.name, 'chain_attempt': chain.attempt, 'leaks': leaks}
        done = not chain.left and {seen.verdict for seen in chain.standing.values()} <= _DONE
        try:
            self.lodging.leave(shell.workspace, done)
        except OSError as error:
            self._note(f'{shell.workspace.folder}: {error}')
        try:
            self.results.append(*events, end)
        except OSError as error:
            self._note(f'{self.run_dir.results(self.job.shard)}: {error}')

    def _versions(self, shell: Shell, chain: _ChainRun) -> list[dict[str, Any]]:
        """What was tested, for the record: each feature's product is asked once, when it can disturb no journey."""
        events = []
        for path in dict.fromkeys(self.job.journeys[name].path for name in chain.entered):
            if path not in self.asked and not self.supervisor.interrupted:
                self.asked.add(path)
                if version := attempt.version(shell, self.job.features[path]):
                    events.append({'event': 'product', 'feature': self.job.features[path].name, 'version': version})
        return events

    def _teardown(self, shell: Shell, chain: _ChainRun) -> Iterator[str]:
        """The teardown of every journey that was begun, the last first. An interrupt leaves it a short time."""
        begun = [(self.job.journeys[name], cwd) for name, cwd in reversed(chain.entered.items())]
        tear_down = [(journey, cwd) for journey, cwd in begun if journey.teardown]
        if not tear_down:
            return
        deadline = 0.0 if self.supervisor.interrupted else self.deadline
        shell = shell._replace(deadline=max(deadline, time.monotonic() + _TEARDOWN_SECONDS))
        with self.supervisor.despite_one_interrupt():
            for journey, cwd in tear_down:
                passed_on = self._passed_on(journey.env_pass)
                yield from attempt.teardown(shell, journey, self.job.features[journey.path], cwd, passed_on)

    # -- records -----------------------------------------------------------------------------

    def _record(
        self, chain: _ChainRun, journey: Journey, outcome: Outcome, attempts: int, started: str | None, seconds: float
    ) -> Record:
        judgement = outcome.judgement
        checked = strength.is_checked(journey)
        return Record(
            id=journey.id,
            feature=journey.feature,
            tier=journey.tier,
            chain=chain.chain.name,
            shard=self.job.shard,
            verdict=judgement.verdict,
            cause=judgement.cause,
            root=judgement.root,
            flaky=False,
            attempts=attempts,
            started=started,
            duration_seconds=round(seconds, 4),
            strength=('checked' if checked else 'exit-only') if judgement.verdict == 'passed' else None,
            steps=outcome.steps,
            findings=outcome.findings,
        )

    def _note(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is told by the records that are missing
            self.log.write(f'{files.utc_now()} {self.mask.text(line)}\n')
            self.log.flush()

    def _deadline(self) -> float:
        """On this machine's monotonic clock; a run that moved or rebooted counts from now."""
        seconds = self.options.deadline_seconds
        if seconds is None:
            return float('inf')
        here = self.its_run.boot == self.boot and not self.options.apart
        return (self.its_run.started_monotonic if here else time.monotonic()) + seconds
