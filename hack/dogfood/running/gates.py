"""Gating journeys across shards: each verdict is told once, and waited for wherever its journey runs."""

import time
from collections.abc import Iterable
from typing import Final

from hack.common import files
from hack.common.process import Supervisor
from hack.dogfood.model import FINAL_VERDICTS, TIERS, Gate, Journey, Verdict
from hack.dogfood.rundir import RunDir

_LOOK_SECONDS: Final = (0.01, 0.2)  # between two looks at another shard's gate: first and longest


class Gates:
    """The gates of a run as one shard sees them. A gate whose shard is gone without a verdict is `infra`.

    `patience`: seconds another shard may take to start; `deadline`: of the run, time.monotonic().
    """

    def __init__(
        self,
        run_dir: RunDir,
        gates: Iterable[Gate],
        own_shard: int,
        supervisor: Supervisor,
        deadline: float,
        patience: float,
    ) -> None:
        self._run_dir = run_dir
        self._gates = tuple(gates)
        self._own_shard = own_shard
        self._supervisor = supervisor
        self._deadline = deadline
        self._patience = patience

    def before(self, tier: str) -> dict[str, tuple[str, Verdict]]:
        """Tier and verdict of each gating journey of the tiers before `tier`, waited for."""
        earlier = TIERS[: TIERS.index(tier)]
        since = time.monotonic()
        return {gate.journey: (gate.tier, self._verdict(gate, since)) for gate in self._gates if gate.tier in earlier}

    def tell(self, journey: Journey, verdict: Verdict) -> None:
        """Let the other shards know, if anyone waits for it; raises OSError."""
        if any(gate.journey == journey.id for gate in self._gates):
            said = {'journey': journey.id, 'tier': journey.tier, 'verdict': verdict}
            files.write_json(self._run_dir.gate(journey.id), said)

    def _verdict(self, gate: Gate, since: float) -> Verdict:
        pause, longest = _LOOK_SECONDS
        while not self._supervisor.interrupted and time.monotonic() < self._deadline:
            gone = self._is_gone(gate.shard, since)  # asked first: its last act may be to write the verdict
            try:
                verdict: Verdict = files.read_json(self._run_dir.gate(gate.journey))['verdict']
                return verdict
            except FileNotFoundError:
                if gone:
                    return self._recorded(gate)
            except (OSError, ValueError, KeyError, TypeError):
                return self._recorded(gate)
            self._supervisor.idle(pause)
            pause = min(2 * pause, longest)
        return 'infra'

    def _recorded(self, gate: Gate) -> Verdict:
        """What the gate's shard put on record before it told anybody, if it came so far; else `infra`."""
        try:
            events, _ = files.read_jsonl(self._run_dir.results(gate.shard))
        except OSError:
            return 'infra'
        records = [event['record'] for event in events if event.get('event') == 'result' and 'record' in event]
        said: list[Verdict] = [record['verdict'] for record in records if record.get('id') == gate.journey]
        return next((verdict for verdict in said if verdict in FINAL_VERDICTS), said[-1] if said else 'infra')

    def _is_gone(self, shard: int, since: float) -> bool:
        if shard == self._own_shard:
            return True  # this shard has been through that tier
        lock = self._run_dir.shard_lock(shard)
        if not lock.exists():
            return time.monotonic() - since > self._patience
        return not files.lock_is_held(lock)
