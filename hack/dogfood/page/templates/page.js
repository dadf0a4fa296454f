'use strict';
// The page is whole without this: here are search, filters, keys, and what a fragment opens.
(() => {
  const one = (selector) => document.querySelector(selector);
  const every = (selector) => [...document.querySelectorAll(selector)];
  const form = one('#filter');
  const search = one('#text');
  const MOST = 200; // rows that a group shows at once; a button brings the others
  const groups = every('.group').map((box) => {
    const rows = [...box.querySelectorAll('.j')];
    const more = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet others' });
    const group = { box, head: box.firstElementChild, look: box.id.slice('verdict-'.length), rows, matches: rows, shown: rows, more };
    more.addEventListener('click', () => fill(group, group.matches.length));
    return group;
  });
  const count = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const rowOf = new Map(groups.flatMap((group) => group.rows.map((row) => [row.querySelector('.more').id, row])));
  // A row, and the line below it that names its root.
  const below = new Map(every('.root').map((line) => [line.previousElementSibling, line]));

  // -- what a journey opens to is text in <noscript> until somebody looks ----------------------
  const unfold = (row) => {
    const inside = row.querySelector('.more');
    const folded = inside.firstElementChild;
    if (folded?.tagName !== 'NOSCRIPT') return;
    inside.innerHTML = folded.textContent;
    addCopy(inside.querySelector('code.copy'));
  };
  const addCopy = (code) => {
    if (!navigator.clipboard) return;
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', className: 'quiet', textContent: 'Copy' });
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    });
    code.after(' ', button);
  };

  // -- what each journey says, read once -----------------------------------------------------
  const signs = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&#34;': '"', '&#39;': "'" };
  const read = (row) => {
    const [head, inside] = [row.firstElementChild, row.querySelector('.more')];
    const folded = inside.firstElementChild?.tagName === 'NOSCRIPT';
    const text = folded
      ? inside.textContent
          .replace(/<\/?(?:mark|span|b|a)\b[^>]*>/g, '')
          .replace(/<[^>]*>/g, ' ')
          .replace(/&(?:lt|gt|amp|#34|#39);/g, (sign) => signs[sign])
      : inside.textContent;
    return `${head.textContent} ${text}`.toLowerCase();
  };
  const texts = new Map();
  const textOf = (row) => {
    let text = texts.get(row);
    if (text === undefined) texts.set(row, (text = read(row)));
    return text;
  };
  const unread = groups.flatMap((group) => group.rows);
  const readAhead = (idle) => {
    while (unread.length && idle.timeRemaining() > 2) textOf(unread.pop());
    if (unread.length && window.requestIdleCallback) requestIdleCallback(readAhead);
  };

  // -- filters ------------------------------------------------------------------------------
  const ticked = (name) => new Set(every(`#filter input[name=${name}]:checked`).map((box) => box.value));
  const picked = (name) => one(`#filter select[name=${name}]`)?.value ?? '';
  const asked = () => ({
    verdict: ticked('verdict'),
    tier: ticked('tier'),
    feature: picked('feature'),
    kind: picked('kind'),
    words: search.value.toLowerCase().split(/\s+/).filter(Boolean),
  });
  const isAsked = (row, want) =>
    (!want.tier.size || want.tier.has(row.dataset.t)) &&
    (!want.feature || row.dataset.f === want.feature) &&
    (!want.kind || (row.dataset.k ?? '').split(' ').includes(want.kind)) &&
    want.words.every((word) => textOf(row).includes(word));

  // Put the first `most` of the group's matches into the page, and a button for the others.
  const fill = (group, most) => {
    const { box, head, matches, more } = group;
    const rows = matches.slice(0, most);
    if (rows.length === group.shown.length && rows.every((row, at) => row === group.shown[at]) && !more.isConnected) return;
    const left = matches.length - rows.length;
    more.textContent = `Show ${left.toLocaleString('en')} more`;
    const lines = rows.flatMap((row) => (below.has(row) ? [row, below.get(row)] : [row]));
    box.replaceChildren(head, ...lines, ...(left ? [more] : []));
    group.shown = rows;
  };

  const apply = () => {
    const want = asked();
    const isNarrow = Boolean(want.verdict.size || want.tier.size || want.feature || want.kind || want.words.length);
    let shown = 0;
    for (const group of groups) {
      const { box, head, look, rows } = group;
      const isOut = want.verdict.size > 0 && !want.verdict.has(look);
      group.matches = isOut ? [] : isNarrow ? rows.filter((row) => isAsked(row, want)) : rows;
      if (group.matches.length) fill(group, MOST);
      box.hidden = !group.matches.length;
      head.querySelector('b').textContent =
        group.matches.length === rows.length ? rows.length : `${group.matches.length} of ${rows.length}`;
      if (box.tagName === 'DETAILS' && !box.dataset.own) box.open = isNarrow && group.matches.length > 0;
      shown += group.matches.length;
    }
    one('#filter button').hidden = !isNarrow;
    one('#nothing').hidden = shown > 0 || !count;
    one('#told').textContent = isNarrow ? `${shown.toLocaleString('en')} of ${count.toLocaleString('en')}` : '';
  };

  // -- the address: #journey-… opens a journey, #?verdict=failed&text=… holds the filters --------
  let waiting = 0;
  const toAddress = () => {
    const said = new URLSearchParams();
    for (const name of ['verdict', 'tier']) for (const value of ticked(name)) said.append(name, value);
    for (const name of ['feature', 'kind']) if (picked(name)) said.append(name, picked(name));
    if (search.value) said.append('text', search.value);
    clearTimeout(waiting); // browsers mind when it changes with every letter
    waiting = setTimeout(
      () => history.replaceState(null, '', String(said) ? `#?${said}` : location.pathname + location.search),
      200,
    );
  };
  const filterBy = (query) => {
    const said = new URLSearchParams(query);
    for (const box of every('#filter input[type=checkbox]')) box.checked = said.getAll(box.name).includes(box.value);
    for (const pick of every('#filter select')) pick.value = said.get(pick.name) ?? '';
    search.value = said.get('text') ?? '';
    apply();
  };
  const show = (target) => {
    target.scrollIntoView();
    requestAnimationFrame(() => target.scrollIntoView()); // what comes into view may be higher than was thought
  };
  const follow = () => {
    if (location.hash.startsWith('#?')) return filterBy(location.hash.slice(2));
    const name = location.hash.slice(1);
    const row = rowOf.get(name);
    if (row && !row.checkVisibility()) filterBy('');
    if (row && !row.isConnected) {
      const group = groups.find((one) => one.rows.includes(row));
      fill(group, group.rows.length);
    }
    const target = row ?? document.getElementById(name);
    for (let box = target?.closest('details'); box; box = box.parentElement.closest('details')) box.open = true;
    if (!row) return target && show(target);
    unfold(row);
    row.firstElementChild.focus({ preventScroll: true });
    show(row);
  };

  const refresh = () => {
    apply();
    toAddress();
  };
  const showAll = (event) => {
    event.preventDefault();
    filterBy('');
    toAddress();
  };
  search.addEventListener('input', refresh);
  form.addEventListener('change', (event) => event.target !== search && refresh());
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', showAll);
  one('#nothing button').addEventListener('click', showAll);
  for (const { box } of groups)
    box.querySelector(':scope > summary')?.addEventListener('click', () => (box.dataset.own = 'yes'));

  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    if (link.dataset.filter) {
      event.preventDefault();
      filterBy(link.dataset.filter);
      toAddress();
      one('#journeys').scrollIntoView();
    } else if (link.getAttribute('href') === location.hash) follow(); // the same place again
  });
  addEventListener('hashchange', follow);

  // -- keys ---------------------------------------------------------------------------------
  const go = (by) => {
    const heads = every('.j > summary').filter((head) => head.checkVisibility());
    const here = heads.indexOf(document.activeElement?.closest('.j')?.firstElementChild);
    const next = heads[Math.max(0, Math.min(heads.length - 1, here + by))];
    next?.focus();
    next?.scrollIntoView({ block: 'nearest' });
  };
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') return showAll(event);
    if (event.target.closest('input, select, textarea')) return;
    if (event.key === '/') {
      event.preventDefault();
      search.focus();
    } else if (event.key === 'j') go(1);
    else if (event.key === 'k') go(-1);
  });

  // -- small comforts -----------------------------------------------------------------------
  document.addEventListener('toggle', ({ target }) => target.open && target.matches('.j') && unfold(target), true);

  const theme = one('#theme');
  const isDark = () =>
    (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const name = () => (theme.textContent = isDark() ? 'Light' : 'Dark');
  theme.addEventListener('click', () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    name();
  });
  name();

  let opened = [];
  addEventListener('beforeprint', () => {
    for (const group of groups) fill(group, group.matches.length);
    opened = every('.j:not(.passed):not([open])');
    for (const row of opened) {
      unfold(row);
      row.open = true;
    }
  });
  addEventListener('afterprint', () => {
    for (const row of opened) row.open = false;
  });

  for (const hidden of [form, theme, one('.keys')]) hidden.hidden = false;
  follow();
  addEventListener('load', () => setTimeout(follow)); // once more, for the browser has then had its own way with it
  const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(() => work({ timeRemaining: () => 0 }), 1000));
  whenIdle(() => {
    if (!location.hash) apply();
    whenIdle(readAhead);
  });
})();
