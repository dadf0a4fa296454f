#!/usr/bin/env python3
"""Keep the agents of a project up, phase by phase: see --help."""

import os
import sys
from os.path import abspath, dirname

if __name__ == '__main__':
    repository = dirname(dirname(dirname(abspath(__file__))))
    sys.path[0] = repository  # not this folder: its modules must not shadow others, nor load under two names
    sys.dont_write_bytecode |= 'up' not in sys.argv[1:]  # reading verbs write nothing; `up` saves them the compiling
    from hack.common.entry import ensure

    ensure(repository, [])
    from hack.common.errors import run_main
    from hack.orchestrator.cli import main

    os._exit(run_main(main, sys.argv[1:]))  # all is written: to tidy up would take as long again as to look
