"""What a terminal would show, as HTML."""

import pytest

from hack.dogfood.page import ansi


@pytest.mark.parametrize(
    ('text', 'html'),
    [
        ('plain', 'plain'),
        ('<script>&"', '&lt;script&gt;&amp;&#34;'),
        ('\x1b[31mred\x1b[0m not', '<span class="f1">red</span> not'),
        ('\x1b[1;32mbold\x1b[22m not\x1b[39m', '<span class="f2 bold">bold</span><span class="f2"> not</span>'),
        ('\x1b[97;41mwhite on red', '<span class="f15 b1">white on red</span>'),
        ('\x1b[31;7mturned\x1b[27m back', '<span class="b1">turned</span><span class="f1"> back</span>'),
        ('\x1b[7mturned\x1b[m', '<span class="reverse">turned</span>'),
        ('\x1b[38;5;9mof 256', '<span class="f9">of 256</span>'),
        ('\x1b[38;5;46mof the cube', '<span class="f2">of the cube</span>'),
        ('\x1b[48;5;232mgrey', '<span class="b0">grey</span>'),
        ('\x1b[38;2;250;90;80mtrue colour', '<span class="f9">true colour</span>'),
        ('\x1b[38;2;250mtorn', '<span class="f1">torn</span>'),
        ('\x1b[4m<b>\x1b[24m', '<span class="underline">&lt;b&gt;</span>'),
        ('\x1b[m\x1b[999mnothing', 'nothing'),
        (f'\x1b[{"9" * 5000}mnone', f'␛[{"9" * 5000}mnone'),
    ],
)  # fmt: skip
def test_colours_are_classes_and_text_is_escaped(text: str, html: str) -> None:
    assert str(ansi.markup(text)) == html


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('a\tb\nc', 'a\tb\nc'),
        ('windows\r\nline', 'windows\nline'),
        ('over\rwritten', 'over␍written'),
        ('\x00\x07\x7f\x9b', '␀␇␡⟨U+009B⟩'),
        ('\x1b]0;title\x07\x1b[2J', '␛]0;title␇␛[2J'),
        ('abc\u202ecba\u2066\u200f', 'abc⟨U+202E⟩cba⟨U+2066⟩⟨U+200F⟩'),
        ('\ufeff\u200b\u2028', '⟨U+FEFF⟩⟨U+200B⟩⟨U+2028⟩'),
        ('\udcff', '⟨U+DCFF⟩'),
        ('naïve 😀 עברית', 'naïve 😀 עברית'),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert ansi.plain(text) == shown
    assert str(ansi.markup(text)) == shown
