"""What a screen says: work apart from what only moves, until when it waits, and that a limit was hit."""

from datetime import UTC, datetime

import pytest

from hack.orchestrator import limits
from hack.orchestrator.backends import BACKENDS

NOW = datetime(2030, 1, 31, 12, 0, tzinfo=UTC).timestamp()
CLAUDE, CODEX = BACKENDS['claude'], BACKENDS['codex']


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
        (CODEX, "■ You've hit your usage limit. Upgrade to Pro or try again in 3 hours 5 minutes.", 3 * 3600 + 300),
        (CODEX, "You've hit your usage limit. Please wait.", None),
    ],
)
def test_the_banners_of_the_shipped_backends_are_known(backend: object, banner: str, resets_in: float | None) -> None:
    assert backend in (CLAUDE, CODEX)
    read = limits.read(f'before\n{banner}\n', CLAUDE if backend is CLAUDE else CODEX, NOW)
    assert read.limited
    assert read.resets_at == (None if resets_in is None else NOW + resets_in)


def test_a_banner_far_up_is_one_of_the_past() -> None:
    banner = "You've hit your usage limit.\n"
    assert limits.read(banner + 'line\n' * 19, CODEX, NOW).limited
    assert not limits.read(banner + 'line\n' * 20, CODEX, NOW).limited
