#!/usr/bin/env python3
"""Run, check and list scenarios of the exec gate: see --help."""

import sys
from os.path import abspath, dirname

if __name__ == '__main__':
    repository = dirname(dirname(dirname(abspath(__file__))))
    sys.path[0] = repository  # not this folder: its modules must not shadow others, nor load under two names
    sys.dont_write_bytecode = True  # nothing is written here but into run folders: set-up compiles
    from hack.common.entry import ensure

    ensure(repository, ['yaml', 'fastjsonschema', 'aiohttp', 'zstandard'])
    from hack.common.errors import run_main
    from hack.exec_harness.cli import main

    raise SystemExit(run_main(main, sys.argv[1:]))
