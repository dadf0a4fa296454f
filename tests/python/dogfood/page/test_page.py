"""report.html in a real browser, most of it of one real run that has a journey of every verdict."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from hack.dogfood.page import beside, report_page
from tests.python.browser import PHONE, chromium, open_page, until
from tests.python.dogfood.samples import made
from tests.python.runs import HOUSE, Done, a_place, journey, need, need_commands

AXE = next(iter(sorted((HOUSE / '.tools').glob('axe-core-*/axe.min.js'))), None)
LEVEL_AA = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
HACK = '<script>document.title = "hacked"</script><img src=x onerror="document.title=\'hacked\'">'
HOSTILE = f"""\
cat <<'END'
{HACK}
</style></script></noscript></pre></details></template></textarea>--><!-- ]]>
<a href="javascript:document.title='hacked'">javascript:document.title='hacked'</a>
{{{{ 7 * 7 }}}} {{% raw %}} &lt;b&gt;
END
printf 'nul \\0 bell \\a bytes \\377\\376 rtl \\342\\200\\256 mark\\n'
printf '\\033[31mred\\033[0m \\033]0;title\\007 \\033[2J \\033[8m\\n'
head -c 5000000 /dev/zero | tr '\\0' '<'
"""

CORPUS = [
    journey(
        'shop-opens',
        "printf '\\033[32mopen\\033[0m\\n'",
        expect={'stdout': {'contains': 'open'}},
        tier='smoke',
        establishes='shop-open',
    ),
    journey(
        'bill-is-right',
        {'intent': 'go to the till', 'run': 'true'},
        {'intent': 'ask for the bill', 'run': "printf 'pen 1\\nink 3\\n'"},
        expect={'stdout': {'equals': 'pen 1\nink 2'}},
        gating=True,
        requires='shop-open',
        establishes='billed',
    ),
    journey('bill-is-sent', 'true', requires='billed'),
    journey('receipt-is-kept', 'true', requires='billed'),
    journey('till-is-measured', 'dogfood-infra "the meter is broken"'),
    journey('card-is-taken', 'dogfood-skip "no terminal here"'),
    journey('year-is-closed', 'true', tier='deep'),
    journey('too-slow', 'sleep 0.2', expect={'latency': '50ms'}, tier='smoke'),
    journey(
        'hostile',
        HOSTILE,
        expect={'exit': 3},
        tier='smoke',
        promise=f'{HACK} stays text. \u202eltr',
        source={'kind': '</noscript>', 'ref': "javascript:document.title='hacked'"},
    ),
]
VERDICTS = {
    'shop-opens': 'passed',
    'bill-is-right': 'failed',
    'bill-is-sent': 'blocked',
    'receipt-is-kept': 'blocked',
    'till-is-measured': 'infra',
    'card-is-taken': 'skipped',
    'year-is-closed': 'deferred',
    'too-slow': 'failed',
    'hostile': 'failed',
}


@pytest.fixture(scope='module')
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope='module')
def ran() -> Iterator[Done]:
    with a_place() as place:
        (place.path / '.dogfood').mkdir()  # where the history goes, which the page then tells of
        done = place.run(*CORPUS, feature='a shop')
        assert done.verdicts == VERDICTS
        yield done


@pytest.fixture(scope='module')
def path(ran: Done) -> Path:
    return ran.run_dir.page


def listed(page: Page) -> list[str]:
    """The ids of the journeys that can be seen in the list."""
    ids: list[str] = page.locator('.j .id').evaluate_all(
        'all => all.filter(one => one.checkVisibility()).map(one => one.textContent)'
    )
    return ids


FOCUSED = "document.activeElement.matches('.j > summary')"


def focused(page: Page) -> str:
    said: str = page.evaluate("document.activeElement.closest('.j')?.querySelector('.id').textContent ?? ''")
    return said


def is_open(page: Page, id: str) -> bool:
    opened: bool = page.evaluate("id => document.getElementById('journey-' + id).closest('details').open", id)
    return opened


def scrolled_into_view(page: Page, id: str) -> bool:
    """And not below what stays at the top of the screen."""
    seen: bool = page.evaluate(
        """id => { const at = document.getElementById('journey-' + id).closest('details').getBoundingClientRect();
                   const bars = [...document.querySelectorAll('.top, #filter')]
                     .filter(bar => getComputedStyle(bar).position === 'sticky')
                     .map(bar => bar.getBoundingClientRect().bottom);
                   return at.top >= Math.max(...bars) && at.top < innerHeight; }""",
        id,
    )
    return seen


def open_all(page: Page) -> None:
    """Everything that can be opened is, and shows what it holds."""
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    until(page, "!document.querySelector('.j noscript')")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


# -- what is there --------------------------------------------------------------------------


def test_the_verdict_comes_first_and_tells_the_products_fault_from_the_harnesss(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        said = opened.page.locator('h1').inner_text()
        assert said == (
            'The product failed 3 of 9 journeys; the harness could not measure 1 journey; 3 blocked or deferred.'
        )
        assert opened.page.title() == said
        counts = opened.page.locator('.counts tr')
        assert counts.first.inner_text().split() == [
            'failed',
            'infra',
            'blocked',
            'deferred',
            'skipped',
            'passed',
            'all',
        ]
        assert [(row.split()[0], re.findall(r'\d+', row)) for row in counts.all_inner_texts()[1:]] == [
            ('smoke', [*'2000013']),
            ('core', [*'1120105']),
            ('deep', [*'0001001']),
            ('all', [*'3121119']),
        ]


def test_a_row_of_every_verdict_is_reached_by_the_keyboard_and_opened(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        reached = []
        for _ in range(120):
            opened.page.keyboard.press('Tab')
            if opened.page.evaluate("document.activeElement.matches('.j > summary')"):
                reached.append(focused(opened.page))
        assert list(dict.fromkeys(reached)) == listed(opened.page)
        assert {VERDICTS[id] for id in reached} == set(VERDICTS.values())
        opened.page.locator('.j > summary').first.focus()
        opened.page.keyboard.press('Enter')
        assert is_open(opened.page, focused(opened.page))
        opened.page.locator('.j[open] .steps').wait_for()


def test_keys_lead_from_journey_to_journey_and_to_the_search(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        ids = listed(opened.page)
        opened.page.keyboard.press('j')
        assert focused(opened.page) == ids[0]
        opened.page.keyboard.press('j')
        assert focused(opened.page) == ids[1]
        opened.page.keyboard.press('k')
        assert focused(opened.page) == ids[0]
        opened.page.keyboard.press('/')
        opened.page.keyboard.type('jk/')
        assert opened.page.locator('#text').input_value() == 'jk/'
        opened.page.keyboard.press('Escape')
        until(opened.page, "!document.querySelector('#text').value")
        assert listed(opened.page) == ids


def test_a_journey_tells_all_that_is_recorded_of_it(browser: Browser, path: Path) -> None:
    with open_page(browser, path, '#journey-bill-is-right') as opened:
        more = opened.page.locator('#journey-bill-is-right')
        text = more.inner_text()
        for part in (
            'bill-is-right does what it should.',
            'go to the till',
            'exit 0',
            'ask for the bill',
            'pen 1\nink 3',
        ):
            assert part in text
        assert more.locator('.expected').inner_text() == 'ink 2'
        assert more.locator('.observed').inner_text() == 'ink 3'
        assert more.locator('.expected mark').inner_text() == '2'
        facts = dict(zip(more.locator('dt').all_inner_texts(), more.locator('dd').all_inner_texts(), strict=True))
        assert re.fullmatch(r'make -C \S+ dogfood JOURNEYS=\S+ ONLY=bill-is-right( Copy)?', facts['Run it alone'])
        assert facts['Requires'] == 'shop-open ← shop-opens'
        assert facts['Written in'].endswith('corpus.yaml:20')


def test_terminal_colours_are_shown(browser: Browser, path: Path) -> None:
    with open_page(browser, path, '#journey-shop-opens') as opened:
        assert opened.page.locator('#journey-shop-opens .out .f2').inner_text() == 'open'


# -- filters and addresses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('ask', 'found', 'address'),
    [
        ("verdict=failed", {'bill-is-right', 'too-slow', 'hostile'}, '#?verdict=failed'),
        ("verdict=infra&verdict=skipped", {'till-is-measured', 'card-is-taken'}, '#?verdict=infra&verdict=skipped'),
        ("tier=deep", {'year-is-closed'}, '#?tier=deep'),
        ("kind=latency", {'too-slow'}, '#?kind=latency'),
        ("text=METER", {'till-is-measured'}, '#?text=METER'),
        ("text=ask+bill", {'bill-is-right'}, '#?text=ask+bill'),
        ("text=<script>", {'hostile'}, '#?text=%3Cscript%3E'),
        ("verdict=failed&tier=smoke&text=sleep", {'too-slow'}, '#?verdict=failed&tier=smoke&text=sleep'),
        ("text=noscript", {'hostile'}, '#?text=noscript'),
        ("text=nowhere", set(), '#?text=nowhere'),
    ],
)  # fmt: skip
def test_filters_find_what_was_asked_for_and_stand_in_the_address(
    browser: Browser, path: Path, ask: str, found: set[str], address: str
) -> None:
    with open_page(browser, path) as opened:
        page = opened.page
        for name, _, value in (part.partition('=') for part in ask.split('&')):
            match name:
                case 'text':
                    page.locator('#text').fill(value.replace('+', ' '))
                case 'kind':
                    page.locator('select[name=kind]').select_option(value)
                case _:
                    page.locator(f'input[name={name}][value={value}]').check()
        assert set(listed(page)) == found
        assert page.locator('#told').inner_text() == f'{len(found)} of 9'
        assert page.locator('#nothing').is_visible() == (not found)
        until(page, f"location.hash === '{address}'")
        page.reload()
        assert set(listed(page)) == found
        page.get_by_role('button', name='Show all').first.click()
        assert len(listed(page)) == 9
        until(page, "!location.href.includes('#')")


def test_a_number_among_the_counts_filters(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        opened.page.get_by_role('link', name='2 failed, smoke').click()
        assert set(listed(opened.page)) == {'too-slow', 'hostile'}


@pytest.mark.parametrize('id', ['year-is-closed', 'shop-opens'])
def test_the_address_of_a_journey_opens_it_and_takes_the_focus_there(browser: Browser, path: Path, id: str) -> None:
    with open_page(browser, path, f'#journey-{id}') as opened:
        until(opened.page, FOCUSED)
        assert focused(opened.page) == id
        assert is_open(opened.page, id)
        assert scrolled_into_view(opened.page, id)


def test_a_blocked_journey_leads_to_its_root_by_a_click(browser: Browser, path: Path) -> None:
    with open_page(browser, path, '#?verdict=blocked') as opened:
        opened.page.locator('.root a').first.click()
        until(opened.page, FOCUSED)
        assert opened.page.url.endswith('#journey-bill-is-right')
        assert is_open(opened.page, 'bill-is-right')
        assert scrolled_into_view(opened.page, 'bill-is-right')


def test_an_address_that_is_not_there_hurts_nobody(browser: Browser, path: Path) -> None:
    for fragment in ('#journey-gone', '#%', '#?verdict=maybe&feature=9&x', '#"]'):
        with open_page(browser, path, fragment) as opened:
            assert opened.page.locator('.j').count() == 9
            assert opened.errors == []


# -- the drawings ----------------------------------------------------------------------------------


def test_the_chain_is_drawn_with_its_tokens_and_leads_to_the_root(browser: Browser, path: Path) -> None:
    need_commands('dot')
    with open_page(browser, path) as opened:
        graph = opened.page.locator('.graph')
        assert graph.count() == 1
        assert set(graph.locator('.token').all_text_contents()) == {'shop-open', 'billed'}
        for verdict in ('passed', 'failed', 'blocked'):
            assert graph.locator(f'.node.{verdict}').count() >= 1
        graph.locator('.to-root').first.click()
        assert is_open(opened.page, 'bill-is-right')


def test_without_dot_the_chain_is_told_in_words(browser: Browser, ran: Done, tmp_path: Path) -> None:
    page = tmp_path / 'page.html'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PATH', str(tmp_path))
        report_page.write(page, ran.bundle, ran.run_dir.path)
    with open_page(browser, page) as opened:
        assert opened.page.locator('.graph').count() == 0
        assert opened.page.locator('.members li').all_inner_texts() == [
            'shop-opens passed',
            'bill-is-right failed, requires shop-open',
            'bill-is-sent blocked, requires billed to the root: bill-is-right',
            'receipt-is-kept blocked, requires billed to the root: bill-is-right',
        ]


def test_of_many_chains_those_that_passed_are_folded_away_until_somebody_asks(browser: Browser, tmp_path: Path) -> None:
    bundle = made()
    first, second = (one for one in bundle['journeys'] if one['id'] in ('build', 'use-again'))
    bundle['journeys'] = [
        {**one, 'id': f'{one["id"]}-{number}', 'chain': f'build-{number}'}
        for number in range(300)
        for one in (first, {**second, 'verdict': 'failed' if number == 7 else 'passed'})
    ]
    bundle['chains'] = [
        {**bundle['chains'][0], 'name': f'build-{number}', 'journeys': [f'build-{number}', f'use-again-{number}']}
        for number in range(300)
    ]
    report_page.write(tmp_path / 'report.html', bundle, tmp_path)
    with open_page(browser, tmp_path / 'report.html', '#journey-build-200') as opened:
        assert opened.page.locator('.chain').count() == 300
        assert opened.page.locator('.chain[open] summary b').all_inner_texts() == ['build-7']
        opened.page.locator('#journey-build-200').get_by_role('link', name='build-200').click()
        until(opened.page, "document.querySelectorAll('.chain[open]').length === 2")
        assert opened.page.locator('#chain-201').locator('.graph, .members').first.is_visible()


def test_the_timeline_has_a_bar_for_each_journey_that_did_not_pass(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        lanes = opened.page.locator('.lanes')
        titles = lanes.locator('a title').all_text_contents()
        assert {title.split(':')[0] for title in titles} >= {'bill-is-right', 'too-slow', 'hostile', 'till-is-measured'}
        assert lanes.locator('.critical').count() >= 1
        assert lanes.locator('.predicted').count() == 2
        assert re.search(r'shard 1 .*, predicted ', lanes.inner_text())


# -- what nobody may do to it ------------------------------------------------------------------------


def test_it_asks_nobody_for_anything(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        open_all(opened.page)
        opened.page.locator('#text').fill('script')
        opened.page.emulate_media(media='print')
        opened.page.wait_for_timeout(300)
        assert opened.asked == [path.absolute().as_uri()]
        assert opened.errors == []
        assert (
            opened.page.locator('meta[http-equiv=Content-Security-Policy]')
            .get_attribute('content')
            .startswith(  # type: ignore[union-attr]
                "default-src 'none'; style-src 'sha256-"
            )
        )


@pytest.mark.parametrize('scripts', [True, False])
def test_hostile_output_neither_runs_nor_breaks_the_page(browser: Browser, path: Path, scripts: bool) -> None:
    with open_page(browser, path, '#journey-hostile', java_script_enabled=scripts) as opened:
        page = opened.page
        more = page.locator('#journey-hostile')
        text = more.inner_text()
        assert page.title().startswith('The product failed')
        assert HACK in text
        assert '</style></script></noscript></pre></details></template></textarea>--><!-- ]]>' in text
        assert "javascript:document.title='hacked'" in text
        assert '{{ 7 * 7 }} {% raw %} &lt;b&gt;' in text
        assert 'nul ␀ bell ␇ bytes \\xff\\xfe rtl ⟨U+202E⟩ mark' in text
        assert 'red ␛]0;title␇ ␛[2J' in text
        assert 'characters are left out here' in text
        assert len(text) < 40_000
        assert '\u202e' not in page.content()
        assert more.locator('img, script, .steps style').count() == 0
        assert page.locator('a[href^="javascript"]').count() == 0
        assert page.locator('#run-title').inner_text() == 'Run'  # what comes after is still there
        assert opened.asked == [path.absolute().as_uri()]
        assert opened.errors == []


def test_a_hostile_bundle_neither_runs_nor_breaks_the_page(browser: Browser, tmp_path: Path) -> None:
    """Every text that a bundle holds is hostile at once."""

    def poisoned(value: Any, key: str = '') -> Any:
        if isinstance(value, dict):
            return {name: poisoned(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [poisoned(inner, key) for inner in value]
        keep = ('verdict', 'tier', 'started', 'ended', 'time', 'id', 'root', 'chain', 'name', 'journeys', 'token')
        return f'{value}"\'>{HACK}</noscript>\u202e\ud800' if isinstance(value, str) and key not in keep else value

    page = tmp_path / 'report.html'
    report_page.write(page, poisoned(made()), tmp_path)
    for scripts in (True, False):
        with open_page(browser, page, java_script_enabled=scripts) as opened:
            assert opened.page.locator('.j').count() == 7
            if scripts:
                open_all(opened.page)
            assert opened.page.locator('img').count() == 0
            assert opened.page.locator('script').count() == 1
            assert 'hacked' not in opened.page.title()
            assert opened.asked == [page.absolute().as_uri()]
            assert opened.errors == []


# -- for everybody ------------------------------------------------------------------------------


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('size', [(1280, 900), PHONE])
def test_axe_finds_nothing_that_level_aa_forbids(
    browser: Browser, path: Path, scheme: Any, size: tuple[int, int]
) -> None:
    need('axe-core (hack/axe.sh)', AXE is not None)
    assert AXE is not None
    with open_page(browser, path, size=size, color_scheme=scheme, bypass_csp=True) as opened:
        open_all(opened.page)
        opened.page.evaluate(AXE.read_text())
        found = opened.page.evaluate(
            "tags => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", LEVEL_AA
        )
        assert [
            (violation['id'], [(node['html'][:200], node['failureSummary'][:300]) for node in violation['nodes'][:3]])
            for violation in found['violations']
        ] == []


def test_the_button_turns_light_and_dark_round(browser: Browser, path: Path) -> None:
    def ground(page: Page) -> Any:
        return page.evaluate('getComputedStyle(document.body).backgroundColor')

    with open_page(browser, path, color_scheme='dark') as opened:
        dark = ground(opened.page)
        opened.page.get_by_role('button', name='Light').click()
        assert ground(opened.page) != dark
        opened.page.get_by_role('button', name='Dark').click()
        assert ground(opened.page) == dark


@pytest.mark.parametrize('size', [(320, 640), PHONE, (1280, 900)])
def test_nothing_runs_out_of_the_screen(browser: Browser, path: Path, size: tuple[int, int]) -> None:
    with open_page(browser, path, size=size) as opened:
        open_all(opened.page)
        assert opened.page.evaluate('document.documentElement.scrollWidth') <= size[0]
        counts = "document.querySelector('.counts').parentElement"
        assert opened.page.evaluate(f'{counts}.scrollWidth <= {counts}.clientWidth')


def test_without_scripts_everything_can_be_read(browser: Browser, path: Path) -> None:
    with open_page(browser, path, java_script_enabled=False) as opened:
        page = opened.page
        assert not page.locator('#filter').is_visible()
        assert set(listed_without_scripts(page)) == set(VERDICTS)
        text = ''
        for row in page.locator('.j').all():
            row.locator('> summary').click()
            text += row.inner_text()
        for part in ('ask for the bill', 'ink 3', 'the meter is broken', 'no terminal here', 'sleep 0.2', 'observed'):
            assert part in text


def listed_without_scripts(page: Page) -> list[str]:
    return page.locator('.j .id').all_inner_texts()


def test_without_scripts_the_address_of_a_journey_opens_it(browser: Browser, path: Path) -> None:
    with open_page(browser, path, '#journey-bill-is-right', java_script_enabled=False) as opened:
        assert opened.page.locator('#journey-bill-is-right .steps').is_visible()


def test_printed_it_shows_what_did_not_pass(browser: Browser, path: Path) -> None:
    with open_page(browser, path) as opened:
        opened.page.emulate_media(media='print')
        opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert opened.page.locator('#journey-bill-is-right .steps').is_visible()
        assert not opened.page.locator('#filter').is_visible()
        opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not is_open(opened.page, 'bill-is-right')


# -- many ------------------------------------------------------------------------------------


def crowd(count: int) -> dict[str, Any]:
    """A bundle of many journeys, every twentieth of which did not pass."""
    bundle = made()
    patterns = {one['id']: one for one in bundle['journeys']}
    bundle['journeys'] = [
        {
            **patterns['use' if number % 20 == 0 else 'use-again'],
            'id': f'journey-{number}',
            'chain': f'journey-{number}',
        }
        for number in range(count)
    ]
    return {**bundle, 'chains': [], 'capabilities': []}


def test_ten_thousand_journeys_stay_usable(browser: Browser, tmp_path: Path) -> None:
    """Generous, for a machine that is busy; tests/bench/bench_page.py measures."""
    page = tmp_path / 'report.html'
    report_page.write(page, crowd(10_000), tmp_path)
    with open_page(browser, page) as opened:
        assert opened.page.evaluate('performance.getEntriesByType("navigation")[0].domInteractive') < 20_000
        opened.page.locator('#text').fill('journey-9999')
        until(opened.page, "document.querySelector('#told').textContent === '1 of 10,000'")
        assert listed(opened.page) == ['journey-9999']
        opened.page.locator('#text').fill('')
        opened.page.locator('input[value=failed]').check()
        assert opened.page.locator('#told').inner_text() == '500 of 10,000'
        assert len(listed(opened.page)) == 200
        opened.page.get_by_role('button', name='Show 300 more').click()
        assert len(listed(opened.page)) == 500
        opened.page.evaluate("location.hash = 'journey-journey-7777'")
        until(opened.page, FOCUSED)
        assert focused(opened.page) == 'journey-7777'


# -- with the command --------------------------------------------------------------------------


def test_a_run_ends_with_its_page(ran: Done) -> None:
    assert f'report: {ran.run_dir.page}' in ran.out
    assert ran.run_dir.page.read_text().endswith('</html>')


@pytest.mark.parametrize(
    ('damage', 'said'),
    [
        (lambda text: text[: text.index('"id":"till-is-measured"')], 'is cut off or damaged'),
        (lambda text: text.replace('"format":1', '"format":9', 1), 'has format 9'),
        (lambda text: text.replace('"verdict":"infra"', '"verdict":"haunted"'), 'the verdict “haunted”'),
    ],
)
def test_a_bad_bundle_is_told_and_the_rest_is_shown(
    browser: Browser, ran: Done, tmp_path: Path, damage: Any, said: str
) -> None:
    bundle = tmp_path / 'bundle.json'
    bundle.write_text(damage(ran.run_dir.bundle.read_text()))
    with a_place() as place:
        done = place.verb('page', str(bundle))
    assert (done.exit, done.out) == (3, f'{tmp_path}/report.html\n')
    assert said in done.err
    with open_page(browser, tmp_path / 'report.html', '#journey-bill-is-right') as opened:
        assert said in opened.page.locator('.trouble').first.inner_text()
        assert opened.page.locator('#journey-bill-is-right .observed').inner_text() == 'ink 3'
        assert opened.errors == []


def test_evidence_that_is_gone_is_told_and_not_linked(browser: Browser, ran: Done, tmp_path: Path) -> None:
    elsewhere = tmp_path / 'run/bundle.json'
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(ran.run_dir.bundle.read_bytes())
    with a_place() as place:
        out = tmp_path / 'pages/it.html'
        out.parent.mkdir()
        assert place.verb('page', str(elsewhere.parent), '--out', str(out)).exit == 0
    with open_page(browser, out, '#journey-hostile') as opened:
        assert 'Evidence is gone. 1 file' in opened.page.locator('.trouble').inner_text()
        assert '(gone)' in opened.page.locator('#journey-hostile').inner_text()
    with open_page(browser, ran.run_dir.page, '#journey-hostile') as opened:
        assert opened.page.locator('.trouble').count() == 0
        link = opened.page.locator('#journey-hostile .of a').first.get_attribute('href')
        assert (ran.run_dir.path / str(link)).is_file()


def test_a_page_that_cannot_be_made_changes_no_verdict(ran: Done) -> None:
    with a_place() as place:
        place.corpus(CORPUS[0])
        page = place.path / 'run/report.html'
        done = place.run(run_dir=place.path / 'run')
        page.unlink()
        page.mkdir()
        again = place.verb('report', 'run')
        assert (done.exit, again.exit) == (0, 0)
        assert 'report.html: is not made: IsADirectoryError' in again.err


@pytest.mark.parametrize('given', ['nothing.json', '.', '/dev/zero', 'previous'])
def test_what_is_no_bundle_is_refused_in_one_line(given: str) -> None:
    with a_place() as place:
        done = place.verb('page', given)
    assert (done.exit, done.out) == (3 if given == 'previous' else 2, '')
    assert len(done.err.splitlines()) == 1


def test_decisions_and_earlier_runs_are_shown_where_they_are_handed_in(tmp_path: Path) -> None:
    from markupsafe import Markup

    bundle = made()
    use = next(one for one in bundle['journeys'] if one['id'] == 'use')
    decisions = {'use': [beside.Decision('intended', 'by <design>')] * len(use['findings'])}
    page = report_page.render(bundle, None, beside.Beside(decisions, Markup('<p>eleven runs</p>')))
    assert 'reviewed: intended, by &lt;design&gt;' in page
    assert '<p>eleven runs</p>' in page
