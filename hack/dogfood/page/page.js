'use strict';
// The page is whole without this: here are search, filters, keys, and what a fragment opens.
(() => {
  const one = (selector) => document.querySelector(selector);
  const every = (selector) => [...document.querySelectorAll(selector)];
  const form = one('#filter');
  const search = one('#text');
  const groups = every('.group').map((box) => ({
    box,
    look: box.id.slice('verdict-'.length),
    number: box.querySelector('.head b'),
    rows: [...box.querySelectorAll('.j')],
  }));
  const count = groups.reduce((sum, group) => sum + group.rows.length, 0);

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
  const texts = new Map();
  const textOf = (row) => {
    let text = texts.get(row);
    if (text === undefined) {
      text = row.textContent.replace(/<[^>]*>/g, '').replace(/&(?:lt|gt|amp|#34|#39);/g, (sign) => signs[sign]);
      texts.set(row, (text = text.toLowerCase()));
    }
    return text;
  };
  const unread = groups.flatMap((group) => group.rows);
  const readAhead = (idle) => {
    while (unread.length && idle.timeRemaining() > 2) textOf(unread.pop());
    if (unread.length) requestIdleCallback(readAhead);
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

  const apply = () => {
    const want = asked();
    const isNarrow = Boolean(want.verdict.size || want.tier.size || want.feature || want.kind || want.words.length);
    let shown = 0;
    for (const { box, look, number, rows } of groups) {
      let matches = 0;
      const isOut = want.verdict.size > 0 && !want.verdict.has(look);
      if (!isOut)
        for (const row of rows) {
          const isMatch = !isNarrow || isAsked(row, want);
          if (row.hidden === isMatch) row.hidden = !isMatch;
          if (isMatch) matches++;
        }
      box.hidden = isOut || !matches;
      number.textContent = matches === rows.length ? rows.length : `${matches} of ${rows.length}`;
      if (box.tagName === 'DETAILS' && !box.dataset.own) box.open = isNarrow && matches > 0;
      shown += matches;
    }
    one('#filter button').hidden = !isNarrow;
    one('#nothing').hidden = shown > 0 || !count;
    one('#told').textContent = isNarrow ? `${shown.toLocaleString('en')} of ${count.toLocaleString('en')}` : '';
    return isNarrow;
  };

  // -- the address: #journey-… opens a journey, #?verdict=failed&text=… holds the filters --------
  const toAddress = () => {
    const said = new URLSearchParams();
    for (const name of ['verdict', 'tier']) for (const value of ticked(name)) said.append(name, value);
    for (const name of ['feature', 'kind']) if (picked(name)) said.append(name, picked(name));
    if (search.value) said.append('text', search.value);
    history.replaceState(null, '', String(said) ? `#?${said}` : location.pathname + location.search);
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
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    const row = target.closest('.j');
    if (row?.hidden || row?.closest('.group').hidden) filterBy('');
    for (let box = target.closest('details'); box; box = box.parentElement.closest('details')) box.open = true;
    if (!row) return show(target);
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
    const heads = every('.j:not([hidden]) > summary').filter((head) => head.checkVisibility());
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
  (window.requestIdleCallback ?? (() => {}))(readAhead);
})();
