"""The verbs of a run that goes on: do a shard's work, wait for those that do, look on."""

import importlib.util
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from hack.common.console import console, though_unread
from hack.common.errors import Exit, UserError
from hack.dogfood.model import Record
from hack.dogfood.rundir import RunDir

NOT_JUDGED: Final = '{0}: nobody is at work there, and it was not judged (go on: make dogfood RESUME={0})'


def shard(asked: Namespace) -> int:
    from hack.common.process import Supervisor
    from hack.dogfood.reporting import report
    from hack.dogfood.running import shard

    to_stop = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in to_stop if signal.getsignal(number) is not signal.SIG_IGN]
    supervisor = Supervisor()
    for number in heeded:
        signal.signal(number, lambda *_: supervisor.interrupt())
    os.umask(0o022)  # a step's files do not depend on who calls
    shown = console(sys.stdout, os.environ)

    def tell(record: Record) -> None:
        with though_unread():
            shown.say(report.line(record, console=shown))

    try:
        return shard.run(RunDir(Path(asked.run_dir).resolve()), asked.index, supervisor, os.environ, tell)
    except OSError as error:
        raise UserError(
            f'shard {asked.index}: had to stop: {error} (what has no record will be judged as not measured)',
            Exit.BROKEN,
        ) from error


def wait(asked: Namespace) -> int:
    """Wait for shards whose make is gone: what it would hand on to them, this hands on."""
    from hack.dogfood.running import runs, tenants

    stops = [signal.SIGTERM] * asked.interrupts
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stops.append(signal.SIGTERM))
    run_dir = runs.find(asked.state, asked.run_dir or 'latest')
    tenants.wait_for_shards(run_dir, lambda: len(stops), handed_on=min(1, asked.interrupts))
    return Exit.GREEN


def watch(asked: Namespace) -> int:
    """Show a run that goes on, here or elsewhere, until it is over."""
    from hack.dogfood.reporting import bundle, report
    from hack.dogfood.running import runs
    from hack.dogfood.watching import watch

    run_dir = runs.find(asked.state, asked.run_dir or 'latest')
    shown = console(sys.stdout, os.environ)
    in_bars = shown.cursor and importlib.util.find_spec('rich') is not None
    form = asked.format or ('view' if in_bars else 'lines')
    with though_unread():
        if watch.follow(run_dir, shown, form) and form != 'json':
            merged = bundle.read(run_dir.bundle) if run_dir.exit.exists() else None
            shown.say(*(report.closing(merged, run_dir.path, shown) if merged else (NOT_JUDGED.format(run_dir.path),)))
    return Exit.GREEN


VERBS: Final = {'shard': shard, 'wait': wait, 'watch': watch}
