"""What `init` writes: documents that say who owns which file, under a prefix of the project's own."""

import re
import tomllib
from pathlib import Path

import pytest

from hack.common.errors import UserError
from hack.orchestrator.config import scaffold

TEMPLATE = Path(scaffold.__file__).parents[1] / 'templates' / 'project/agents.toml'


def text(path: Path) -> str:
    """The file with its lines joined, so that where a line breaks does not matter."""
    return ' '.join(path.read_text().split())


def test_the_documents_are_those_of_the_example(tmp_path: Path) -> None:
    made = scaffold.init(tmp_path / 'my pair')
    assert sorted(str(path.relative_to(tmp_path / 'my pair')) for path in made) == [
        'INBOX-adversary.md',
        'INBOX-builder.md',
        'JOURNAL.md',
        'REVIEW.md',
        'STATUS-greet.md',
        'STATUS-remember.md',
        'agents.toml',
        'plan-phase-greet.md',
        'plan-phase-remember.md',
        'prompts/adversary.md',
        'prompts/builder.md',
        'prompts/kickoff.md',
    ]
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in made)
    config = tomllib.loads((tmp_path / 'my pair/agents.toml').read_text())
    assert config['defaults']['session_prefix'] == 'my-pair-'


def test_each_document_has_one_owner_and_says_so(tmp_path: Path) -> None:
    scaffold.init(tmp_path)
    kickoff = (tmp_path / 'prompts/kickoff.md').read_text()
    owners = dict(re.findall(r'^\| (\S+) \| the (\w+) \|', kickoff, re.MULTILINE))
    assert owners == {
        '{status}': 'builder',
        'JOURNAL.md': 'builder',
        'REVIEW.md': 'adversary',
        'INBOX-builder.md': 'adversary',
        'INBOX-adversary.md': 'builder',
    }
    assert "you own JOURNAL.md and the phase's status file" in text(tmp_path / 'prompts/builder.md')
    assert 'you own REVIEW.md' in text(tmp_path / 'prompts/adversary.md')
    for name in ('JOURNAL.md', 'STATUS-greet.md', 'STATUS-remember.md'):
        assert 'Owner: the builder.' in text(tmp_path / name)
    assert 'Owner: the adversary.' in text(tmp_path / 'REVIEW.md')


def test_the_adversary_verifies_cold_before_it_reads_the_journal(tmp_path: Path) -> None:
    scaffold.init(tmp_path)
    adversary = text(tmp_path / 'prompts/adversary.md')
    assert 'Verify it cold: in a fresh clone' in adversary
    assert '**Do not read JOURNAL.md before your verdict.**' in adversary
    assert 'The adversary does not read this before its verdict.' in text(tmp_path / 'JOURNAL.md')
    assert 'the adversary only after its verdict' in text(tmp_path / 'prompts/kickoff.md')


def test_an_untouched_scaffold_is_replaced_and_its_prefix_kept(tmp_path: Path) -> None:
    (tmp_path / 'agents.toml').write_text(TEMPLATE.read_text().replace('@PREFIX@', 'cc-'))
    scaffold.init(tmp_path)
    config = tomllib.loads((tmp_path / 'agents.toml').read_text())
    assert config['defaults']['session_prefix'] == 'cc-'
    assert [agent['name'] for agent in config['agent']] == ['builder', 'adversary']


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    mine = TEMPLATE.read_text().replace('@PREFIX@', 'cc-') + '\n# mine\n'
    (tmp_path / 'agents.toml').write_text(mine)
    (tmp_path / 'JOURNAL.md').write_text('mine')
    with pytest.raises(UserError) as raised:
        scaffold.init(tmp_path)
    assert sorted(raised.value.problems) == [
        f'{tmp_path / name}: is there already (name another folder, or remove it)'
        for name in ('JOURNAL.md', 'agents.toml')
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['JOURNAL.md', 'agents.toml']
    assert (tmp_path / 'agents.toml').read_text() == mine


def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='name a folder that can be written'):
        scaffold.init(tmp_path / 'file' / 'below')
