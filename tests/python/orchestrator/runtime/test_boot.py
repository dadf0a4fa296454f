"""The boot chain: followed from file to file, to the word that names the config."""

from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.runtime import boot


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'live' / 'agents.toml'
    path.parent.mkdir()
    path.touch()
    return path


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_it_leads_from_the_unit_through_a_script_to_the_config(tmp_path: Path, config: Path) -> None:
    script = written(tmp_path / 'bin/start.sh', f'#!/bin/sh\n# not {config}\nexec python3 run --config={config} up\n')
    unit = written(tmp_path / 'agents.service', f'[Service]\nExecStart=/bin/sh {script}\n')
    first, last = boot.chain(unit, config)
    assert (first.path, first.number, first.leads_to) == (unit, 2, script)
    assert (last.path, last.number, last.word, last.leads_to) == (script, 3, str(config), config)


@pytest.mark.parametrize(
    ('text', 'word', 'leads_to'),
    [
        ('cd live\nrun --config agents.toml up', 'agents.toml', 'live/agents.toml'),
        ('WorkingDirectory=live\nExecStart=run --config ./agents.toml', './agents.toml', 'live/agents.toml'),
        ('make -C live agents-up', 'live', 'live'),
        ('@reboot "live/agents.toml"', 'live/agents.toml', 'live/agents.toml'),
        ('run --config link/agents.toml', 'link/agents.toml', 'live/agents.toml'),
    ],
)
def test_relative_words_are_understood(tmp_path: Path, config: Path, text: str, word: str, leads_to: str) -> None:
    (tmp_path / 'link').symlink_to('live')
    (link,) = boot.chain(written(tmp_path / 'boot', text), config)
    assert (link.word, link.leads_to) == (word, tmp_path / leads_to)


def test_files_that_lead_to_each_other_are_looked_at_once(tmp_path: Path, config: Path) -> None:
    one = written(tmp_path / 'one', '. ./two\n')
    written(tmp_path / 'two', '. ./one\n. ./three\n')
    written(tmp_path / 'three', f'run {config}\n')
    assert [link.path.name for link in boot.chain(one, config)] == ['one', 'two', 'three']


@pytest.mark.parametrize('text', ['', '# run live/agents.toml', 'run dead/agents.toml', '\xff\x00'])
def test_a_file_that_leads_elsewhere_is_refused(tmp_path: Path, config: Path, text: str) -> None:
    path = tmp_path / 'boot'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(UserError, match=r'boot: does not lead to .*/live/agents.toml \(name the file that starts'):
        boot.chain(path, config)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, config: Path) -> None:
    with pytest.raises(UserError, match='nothing: is not there'):
        boot.chain(tmp_path / 'nothing', config)
