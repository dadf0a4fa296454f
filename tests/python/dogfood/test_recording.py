"""The recorded terminal of the README: one picture that asks nobody for anything, and shows each frame in its time."""

import re
from xml.etree import ElementTree

from tests.pictures.terminal import Frame, animated

FRAMES = [Frame(0.0, 'first & <last>'), Frame(1.0, '\x1b[32m━━━\x1b[0m 漢字'), Frame(3.0, 'last')]


def test_a_recording_is_one_picture() -> None:
    drawn = animated(FRAMES)
    root = ElementTree.fromstring(drawn)
    text = [
        ''.join(group.itertext())
        for group in root.iter('{http://www.w3.org/2000/svg}g')
        if group.get('class', '').startswith('frame ')
    ]
    assert [word in told for word, told in zip(('first\xa0&\xa0<last>', '━━━', 'last'), text, strict=True)] == [
        True
    ] * 3
    assert set(re.findall(r'https?://[^"]*', drawn)) == {'http://www.w3.org/2000/svg'}
    assert 'prefers-reduced-motion' in drawn


def test_frames_follow_each_other_without_a_gap() -> None:
    shown = re.findall(r'([0-9.]+)% \{ visibility: visible; \} ([0-9.]+)% \{ visibility: hidden; \}', animated(FRAMES))
    assert shown == [('0.000', '12.500'), ('12.500', '37.500'), ('37.500', '100.000')]
