"""What a screen says: work apart from what only moves, until when it waits, and that a limit was hit."""

from datetime import UTC, datetime

import pytest

from hack.orchestrator.config.backends import BACKENDS
from hack.orchestrator.model import Backend
from hack.orchestrator.policy import limits

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC).timestamp()
CLAUDE, CODEX, OPENCODE = (BACKENDS[name] for name in ('claude', 'codex', 'opencode'))


def test_spinners_input_boxes_and_our_own_nudge_are_no_work() -> None:
    quiet = limits.read('done\n', CLAUDE, NOW).text
    busy = f'done\n\n✻ Thinking… (12s · esc to interrupt)\n╭──────╮\n│ >    │\n╰──────╯\n{limits.NUDGE}\n'
    assert limits.read(busy, CLAUDE, NOW).text == quiet == 'done'
    assert limits.read('done\nmore\n', CLAUDE, NOW).text != quiet


@pytest.mark.parametrize(
    ('screen', 'until'),
    [
        ('ok\nWAITING-UNTIL: 2030-01-31T13:00:00Z\n', 3600),
        ('● WAITING-UNTIL: 2030-01-31T14:00:00+01:00\n\n', 3600),
        ('WAITING-UNTIL: 2030-01-31T13:00:00Z\n> type here\n', 3600),
        ('WAITING-UNTIL: 2030-01-31T13:00:00\n', 3600),
        ('WAITING-UNTIL: 2030-01-31T13:00:00Z\nbut no longer\n', None),
        ('WAITING-UNTIL: soon\n', None),
        ('I shall say WAITING-UNTIL: 2030-01-31T13:00:00Z\n', None),
        ('', None),
    ],
)
def test_the_last_line_may_say_until_when_it_waits(screen: str, until: float | None) -> None:
    assert limits.read(screen, CLAUDE, NOW).waiting_until == (None if until is None else NOW + until)


@pytest.mark.parametrize(
    ('said', 'seconds'),
    [
        ('1896096600', 1896096600 - NOW),
        ('3pm (UTC)', 3 * 3600),
        ('11:30 AM (UTC)', 23.5 * 3600),
        ('12am (UTC)', 12 * 3600),
        ('14:05 UTC', 2 * 3600 + 300),
        ('2030-02-01T00:00:00Z', 12 * 3600),
        ('2 days 3 hours 5 minutes', 2 * 86400 + 3 * 3600 + 300),
        ('1h 30m', 5400),
        ('25:99 UTC', None),
        ('Feb 3 at 10am (UTC)', 2 * 86400 + 22 * 3600),
        ('Feb 3, 10am (UTC)', 2 * 86400 + 22 * 3600),
        ('Feb 1 (UTC)', 12 * 3600),
        ('Jan 3 at 10am (UTC)', -28 * 86400 - 2 * 3600),  # just past: at once
        ('Jul 1 (UTC)', 150 * 86400 + 12 * 3600),
        ('Feb 30 (UTC)', None),
        ('Mon 12:00am (UTC)', 3 * 86400 + 12 * 3600),  # it is a Thursday
        ('Thursday 3pm (UTC)', 3 * 3600),
        ('Thursday 9am (UTC)', 7 * 86400 - 3 * 3600),
        ('3pm (America/New_York)', 8 * 3600),
        ('2030-02-01 00:00:00 [retrying in 2m 22s #8]', 12 * 3600),
        ('later', None),
    ],
)
def test_when_a_limit_ends_is_read_in_many_words(said: str, seconds: float | None) -> None:
    assert limits.resets_at(said, NOW) == (None if seconds is None else NOW + seconds)


@pytest.mark.parametrize(
    ('backend', 'banner', 'resets_in'),
    [
        (CLAUDE, 'Claude AI usage limit reached|1896096600', 1896096600 - NOW),
        (CLAUDE, '5-hour limit reached ∙ resets 3pm (UTC)', 3 * 3600),
        (CLAUDE, "You've hit your limit · resets 3pm (UTC)", 3 * 3600),
        (CLAUDE, 'Claude usage limit reached. Your limit will reset at 3pm (UTC).', 3 * 3600),
        (CLAUDE, 'You’ve hit your session limit · resets 3:10pm (UTC)', 3 * 3600 + 600),
        (CLAUDE, "You've hit your weekly limit · resets Feb 1, 12am (UTC)", 12 * 3600),
        (CLAUDE, "You've hit your org's monthly usage limit", None),
        (CLAUDE, 'Usage limit reached · continuing automatically at 3pm (UTC) · esc to cancel', 3 * 3600),
        (CODEX, "■ You've hit your usage limit. Upgrade to Pro or try again in 3 hours 5 minutes.", 3 * 3600 + 300),
        (CODEX, "You've hit your usage limit. Please wait.", None),
        (OPENCODE, 'Usage limit reached for 5 hour. Your limit will reset at 2030-02-01 00:00:00', 12 * 3600),
        (OPENCODE, '⬝⬝■■ The usage limit has been reached [retrying in 5s attempt #3]', None),
    ],
)
def test_the_banners_of_the_shipped_backends_are_known(backend: Backend, banner: str, resets_in: float | None) -> None:
    read = limits.read(f'before\n{banner}\n', backend, NOW)
    assert read.limited
    assert read.resets_at == (None if resets_in is None else NOW + resets_in)


def test_a_banner_far_up_is_one_of_the_past() -> None:
    banner = "You've hit your usage limit.\n"
    assert limits.read(banner + 'line\n' * 19, CODEX, NOW).limited
    assert not limits.read(banner + 'line\n' * 20, CODEX, NOW).limited
