"""The verbs about a corpus: what is wrong with it, what it needs, and one to start from. Nothing is planned or run."""

import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from hack.common import files
from hack.common.console import counted
from hack.common.errors import Exit, UserError
from hack.dogfood.arguments import DEFAULT_CORPUS
from hack.dogfood.corpus import journeys
from hack.dogfood.model import Corpus
from hack.dogfood.reporting import decisions


def load(paths: Sequence[str], scripts: bool = False) -> Corpus:
    """Raises UserError with everything that is wrong with it, and with the decisions beside it.

    `scripts`: also with what bash, where it is installed, cannot read of them.
    """
    bash = shutil.which('bash') if scripts else None
    corpus = journeys.load(paths or [DEFAULT_CORPUS], bash)
    decisions.load(decisions.places(paths or [DEFAULT_CORPUS]))
    return corpus


def check(asked: Namespace) -> int:
    corpus = load(asked.corpus, scripts=True)
    for warning in corpus.warnings:
        print(warning, file=sys.stderr)
    if asked.format == 'json':
        print(json.dumps({'journeys': len(corpus.journeys), 'files': len(corpus.files), 'warnings': corpus.warnings}))
    else:
        counts = f'{counted(len(corpus.journeys), "journey")} in {counted(len(corpus.files), "file")}'
        print(f'{counts}: nothing wrong, {counted(len(corpus.warnings), "warning")}')
    return Exit.GREEN


def needs(asked: Namespace) -> int:
    from hack.common.process import which  # twenty milliseconds, which those who only load a corpus would pay

    packages = _packages(load(asked.corpus))
    path = os.environ.get('PATH', os.defpath)
    found = {command: which(command, path) for command in sorted(packages)}
    shown = [command for command, where in found.items() if not (asked.missing and where)]
    match asked.format:
        case 'packages':
            lines: Iterable[str] = sorted({packages[command] for command in shown})
        case 'json':
            lines = [json.dumps([{'command': name, 'package': packages[name], 'path': found[name]} for name in shown])]
        case _:
            lines = [f'{name}: {found[name] or f"absent (apt-get install {packages[name]})"}' for name in shown]
    for line in lines:
        print(line)
    return Exit.GREEN


def _packages(corpus: Corpus) -> Mapping[str, str]:
    """The package of each command that any journey needs."""
    packages: dict[str, str] = {}
    for journey in corpus.journeys.values():
        feature = corpus.features[journey.path]
        for command in (*feature.needs, *journey.needs):
            packages.setdefault(command, feature.packages.get(command, command))
    return packages


def new(asked: Namespace) -> int:
    if os.path.basename(asked.feature) != asked.feature or asked.feature.startswith('.'):
        raise UserError(f'{asked.feature!r}: is no name for a file (give the feature a plain name)')
    text = journeys.starting_corpus(asked.feature)
    path = Path(asked.corpus) / f'{asked.feature}.yaml'
    if path.exists():
        raise UserError(f'{path}: is there already (choose another name)')
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, text)
    print(f'{path}: a corpus to start from (edit it, then: run_journeys.py check {path})')
    return Exit.GREEN


VERBS: Final = {'check': check, 'needs': needs, 'new': new}
