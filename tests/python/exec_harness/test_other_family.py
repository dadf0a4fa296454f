"""An agent with the flags, the home, the tools and the events of the other family is driven from end to end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
CODE = Path(__file__).with_name('stub-code')
SCENARIO = Path(__file__).with_name('other-family.yaml')


def gate(folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    options = (f'--agent-bin={CODE}', f'--out={folder}/out', '--format=jsonl', *more)
    ran = subprocess.run(
        [sys.executable, REPOSITORY / 'hack/exec_harness/run_scenarios.py', 'run', folder / 's.json', *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return {result['scenario']: result for result in map(json.loads, ran.stdout.splitlines())}


def test_a_whole_scenario_is_driven_and_judged(tmp_path: Path) -> None:
    (tmp_path / 's.json').write_text(json.dumps(yaml.safe_load(SCENARIO.read_text())))
    result = gate(tmp_path, '--twice')['all of it']
    assert (result['verdict'], result['cause']) == ('passed', '')
    command = Path(result['run_dir'], 'turn-2-command.txt').read_text()
    for words in ('--max-seconds 30', '--include-plan-tool', '--auto-review', '-c tide=low', ' resume ', '-m tide-1'):
        assert words in command


def test_what_it_does_wrong_is_found(tmp_path: Path) -> None:
    scenario = yaml.safe_load(SCENARIO.read_text())
    scenario['expect'] |= {'event_count': {'msg.task_complete': 1}, 'assistant_contains': ['Two oars.']}
    (tmp_path / 's.json').write_text(json.dumps(scenario))
    result = gate(tmp_path)['all of it']
    assert result['verdict'] == 'failed'
    assert len(result['failures']) == 2


def test_a_tool_that_the_family_lacks_skips_the_scenario_and_says_which(tmp_path: Path) -> None:
    scenario = yaml.safe_load(SCENARIO.read_text())
    scenario['responses_api']['responses'][0]['events'][0]['item']['name'] = '{{tool.view_image}}'
    (tmp_path / 's.json').write_text(json.dumps(scenario))
    result = gate(tmp_path)['all of it']
    assert (result['verdict'], result['cause']) == ('skipped', 'code 0.0.0 has nothing called tool.view_image')
