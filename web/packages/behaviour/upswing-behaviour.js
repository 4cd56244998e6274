/**
 * What people do with an answer, told to Upswing: copying, editing, asking again, reading, going away.
 *
 *     <script src="https://upswing.example/assets/behaviour.js" data-key="up_pk_..." data-consent="granted" async></script>
 *     <div data-upswing-token="FEEDBACK_TOKEN">the answer</div>
 *
 * Lengths, shares, times and counts leave the page; no text does. Without consent, or where the browser asks not to be
 * tracked, nothing is measured, stored or sent. docs/behaviour.md has the attributes and what is measured.
 *
 * Each signal lies in localStorage until the server has answered for it. The server makes its id of execution, kind and
 * sequence, so that sending it again changes nothing: that is why nothing has to be known about a request that a closing
 * page left behind.
 */
(() => {
  'use strict';
  if (window.upswing?.start) return;

  /** Signals in a request; as many are sent at once, fewer after `FLUSH` ms. */
  const BATCH = 10;
  const FLUSH = 5_000;
  /** How often time is counted and noted, so that a killed page loses at most this. */
  const TICK = 1_000;
  /** Without a sign of life for so long, nobody is taken to be reading. */
  const IDLE = 60_000;
  /** A page that has noted nothing for so long is gone. Browsers let hidden pages run once a minute. */
  const GONE = 15_000;
  const GONE_HIDDEN = 150_000;
  /** The outbox: so many signals, for so long. The server takes no more than `PER_KIND` of a kind about an execution. */
  const KEPT = 200;
  const KEPT_FOR = 24 * 3_600_000;
  const PER_KIND = 20;
  const SLOWEST_RETRY = 300_000;
  /** At what speed an answer is read (words a minute), and which share of that time is enough to have read it. */
  const READING_SPEED = 238;
  const READ_ENOUGH = 1 / 3;
  /** Cells of an edit distance that may be filled while somebody waits for the page to close: some milliseconds. */
  const CELLS = 2_000_000;

  const ANSWER = '[data-upswing-token]';
  const FIELD = 'textarea, input:not([type]), input[type=text], [contenteditable]:not([contenteditable=false])';

  /** What the page asked for: `{ endpoint, key, consent }`, from `start`. */
  let options = null;
  /** What `consent(...)` said last; until then the function given to `start` is asked. */
  let said;
  let running = false;
  /** The server refuses this page or its key: asking again would not help. */
  let refused = false;
  /** Whether what lay in the outbox is gone. */
  let forgotten = false;
  let prefix = '';
  const page = Math.random().toString(36).slice(2, 12);
  let serial = 0;

  /** Token to what is known about its answer. */
  const answers = new Map();
  /** Names, in the outbox, of the signals that this page has to send. */
  const queue = new Set();
  const sending = new Set();
  let cancel = new AbortController();
  let timer;
  let notBefore = 0;
  let failures = 0;
  let doubts = 0;

  // --- Consent --------------------------------------------------------------------------------------------------------

  function unwanted() {
    return navigator.doNotTrack === '1' || window.doNotTrack === '1' || navigator.globalPrivacyControl === true;
  }

  /** `true` or `false`; `undefined` while nobody has said. */
  function consented() {
    if (unwanted()) return false;
    return said ?? options.consent?.() ?? undefined;
  }

  /** Begins or ends according to consent, and says whether something may be measured now. */
  function allowed() {
    if (!options || refused) return false;
    const consent = consented();
    if (consent === true && !running) begin();
    if (consent !== true && running) end();
    if (consent === false && !forgotten) forget();
    return consent === true;
  }

  function begin() {
    running = true;
    forgotten = false;
    last = alive = performance.now();
    shown = document.visibilityState === 'visible';
    mutations.observe(document, { childList: true, subtree: true, attributeFilter: ['data-upswing-token'] });
    look();
    adopt();
  }

  function end() {
    running = false;
    mutations.disconnect();
    views.disconnect();
    answers.clear();
    fields = new WeakMap();
  }

  /** Takes back what was not sent yet, whichever page noted it. */
  function forget() {
    forgotten = true;
    cancel.abort();
    cancel = new AbortController();
    queue.clear();
    for (const name of store.names('')) store.remove(name);
  }

  // --- Storage: one item a signal, so that two tabs never write the same one ------------------------------------------

  /** What localStorage will not take, or where it is forbidden. */
  const memory = new Map();
  const store = {
    read(name) {
      try {
        return JSON.parse(localStorage.getItem(name) ?? memory.get(name) ?? 'null');
      } catch {
        return JSON.parse(memory.get(name) ?? 'null');
      }
    },
    write(name, value) {
      try {
        localStorage.setItem(name, JSON.stringify(value));
      } catch {
        memory.set(name, JSON.stringify(value));
      }
    },
    remove(name) {
      memory.delete(name);
      try {
        localStorage.removeItem(name);
      } catch {
        // Forbidden: then it was never there.
      }
    },
    /** Names of one sort: `signal:`, `draft:`, `page:`, `count:`. */
    names(sort) {
      let names = [...memory.keys()];
      try {
        names = names.concat(Object.keys(localStorage));
      } catch {
        // Forbidden: then there are none.
      }
      return names.filter((name) => name.startsWith(prefix + sort)).sort();
    },
  };

  /** The end of a token tells it from all others; the rest of it is not needed to count. */
  const brief = (token) => token.slice(-20);

  /** How many signals of each kind there have been about an answer, on this and on earlier pages. */
  function count(token, type, atLeast) {
    const name = `${prefix}count:${brief(token)}`;
    const counts = store.read(name) ?? {};
    if (atLeast > (counts[type] ?? 0)) store.write(name, { ...counts, [type]: atLeast, at: Date.now() });
    return counts[type] ?? 0;
  }

  /** Takes over what pages that are gone have left, and throws away what is too old or too much. */
  function adopt() {
    const now = Date.now();
    const living = new Set([page]);
    for (const name of store.names('page:')) {
      const { at, hidden } = store.read(name) ?? {};
      if (now - at < (hidden ? GONE_HIDDEN : GONE)) living.add(name.slice(`${prefix}page:`.length));
      else store.remove(name);
    }
    for (const name of ['signal:', 'draft:', 'count:'].flatMap(store.names)) {
      if (!(now - store.read(name)?.at < KEPT_FOR)) store.remove(name);
    }
    for (const name of ['signal:', 'draft:'].flatMap(store.names)) {
      const [sort, owner] = name.slice(prefix.length).split(':');
      if (living.has(owner)) continue;
      const kept = store.read(name);
      if (kept && sort === 'draft') {
        // Under a name that each page would choose, so that two pages cannot make two of it.
        const { token, type, sequence } = kept.signal;
        count(token, type, sequence + 1);
        const same = `${prefix}signal:${owner}:${brief(token)}`;
        store.write(same, kept);
        store.remove(name);
        queue.add(same);
      } else {
        queue.add(name);
      }
    }
    const all = store.names('signal:').map((name) => [store.read(name)?.at, name]).sort();
    for (const [, name] of all.slice(0, -KEPT)) store.remove(name);
    schedule();
  }

  // --- Answers --------------------------------------------------------------------------------------------------------

  const mutations = new MutationObserver(() => {
    // Answers that are streamed change many times a second.
    looking ??= setTimeout(look, 50);
  });
  let looking;

  /** Finds answers that have come, and those that have gone. */
  function look() {
    clearTimeout(looking);
    looking = undefined;
    if (!running) return;
    const present = new Map();
    for (const element of document.querySelectorAll(ANSWER)) present.set(element.dataset.upswingToken, element);
    advance();
    for (const answer of answers.values()) {
      const { element, token } = answer;
      if (!element || (element.isConnected && element.dataset.upswingToken === token)) continue;
      // Drawn anew, as frameworks do, it is the same answer still.
      if (!present.has(token)) leave(answer);
      views.unobserve(element);
      answer.element = null;
      answer.visible = false;
    }
    for (const [token, element] of present) {
      const answer = know(token, element);
      if (!answer || answer.element) continue;
      answer.element = element;
      views.observe(element);
    }
  }

  function know(token, element) {
    if (!token) return null;
    if (!answers.has(token)) {
      answers.set(token, {
        token,
        session_id: element.closest('[data-upswing-session]')?.dataset.upswingSession,
        user_id: element.closest('[data-upswing-user]')?.dataset.upswingUser,
        element: null,
        fields: new Set(),
        visible: false,
        /** Milliseconds on the screen, and how many of them have been told. */
        seen: 0,
        told: 0,
        depth: 0,
        interactions: 0,
        copies: 0,
        regenerations: 0,
        edited: false,
      });
    }
    return answers.get(token);
  }

  /** The answer that an element belongs to: named by an attribute, or around it. */
  function belongs(element, attribute) {
    const named = element.closest?.(`[${attribute}]`);
    const around = element.closest?.(ANSWER);
    if (named) return know(named.getAttribute(attribute), named);
    return around ? know(around.dataset.upswingToken, around) : null;
  }

  const textOf = (element) => (element.matches('textarea, input') ? element.value : element.textContent);
  const squeeze = (text) => text.replace(/\s+/g, ' ').trim();
  /** Where buttons stand within the answer, its text may be marked. */
  const body = (answer) => answer.element.querySelector('[data-upswing-text]') ?? answer.element;

  /** How many words; each ideograph is about one. */
  function words(answer) {
    const text = textOf(body(answer));
    if (answer.counted !== text.length) {
      answer.counted = text.length;
      answer.words = text.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}'’-]+/gu)?.length ?? 0;
    }
    return answer.words;
  }

  // --- Time on the screen ---------------------------------------------------------------------------------------------

  let last = 0;
  let alive = 0;
  let shown = false;
  let ticks = 0;

  /** Counts the time since the last call for what is on the screen. */
  function advance() {
    const now = performance.now();
    // More than a few ticks at once is a machine that slept.
    const passed = Math.min(now - last, 5 * TICK);
    last = now;
    if (!shown || now - alive > IDLE) return;
    for (const answer of answers.values()) if (answer.visible) answer.seen += passed;
  }

  const views = new IntersectionObserver(
    (entries) => {
      advance();
      for (const { target, isIntersecting, intersectionRatio, intersectionRect, boundingClientRect } of entries) {
        const answer = answers.get(target.dataset.upswingToken);
        if (answer?.element !== target) continue;
        // A long answer never shows half of itself; then it is what fills half of the window.
        answer.visible = isIntersecting && (intersectionRatio >= 0.5 || intersectionRect.height >= innerHeight / 2);
        if (!isIntersecting || !boundingClientRect.height) continue;
        const depth = (intersectionRect.bottom - boundingClientRect.top) / boundingClientRect.height;
        answer.depth = Math.min(Math.max(answer.depth, depth), 1);
      }
    },
    { threshold: [0, 0.25, 0.5, 0.75, 1] },
  );

  function tick() {
    if (!allowed()) return;
    advance();
    for (const { element } of answers.values()) {
      if (!element) continue;
      // Observing anew makes it report: scrolling within a long answer crosses no threshold.
      views.unobserve(element);
      views.observe(element);
    }
    note();
    ticks += 1;
    if (ticks % 5 === 0) adopt();
  }

  /** Notes what would have to be said if the page were killed now. */
  function note() {
    if (gone || !(answers.size || queue.size)) return;
    store.write(`${prefix}page:${page}`, { at: Date.now(), hidden: !shown });
    for (const answer of answers.values()) {
      const draft = farewell(answer);
      if (!draft || answer.drafted === answer.seen) continue;
      answer.drafted = answer.seen;
      store.write(`${prefix}draft:${page}:${brief(answer.token)}`, { at: Date.now(), signal: draft });
    }
  }

  /** What is said when an answer is left; nothing when there is nothing new. Never seen is neither read nor abandoned. */
  function farewell(answer) {
    if (!answer.element || answer.seen - answer.told < (answer.told ? TICK : 1)) return null;
    const time = Math.round(answer.seen);
    const scroll_depth = Math.round(answer.depth * 100) / 100;
    const used = answer.copies || answer.regenerations || answer.edited;
    const needed = Math.max(TICK, (words(answer) / READING_SPEED) * 60_000 * READ_ENOUGH);
    if (!used && time < needed) return make(answer, 'abandon', { dwell_time: time, scroll_depth });
    return make(answer, 'content_reading', {
      total_read_time: time,
      word_count: words(answer),
      scroll_depth,
      interactions: answer.interactions,
    });
  }

  /** Says what became of an answer that is no longer there. */
  function leave(answer) {
    answer.fields.forEach(told);
    const signal = farewell(answer);
    answer.told = answer.seen;
    store.remove(`${prefix}draft:${page}:${brief(answer.token)}`);
    if (signal) put(signal);
  }

  // --- What is done ---------------------------------------------------------------------------------------------------

  function make(answer, type, values) {
    const { token, session_id, user_id } = answer;
    const sequence = count(token, type);
    return { type, token, session_id, user_id, sequence, occurred_at: new Date().toISOString(), ...values };
  }

  /** Puts a signal into the outbox. */
  function put(signal) {
    if (signal.sequence >= PER_KIND) return;
    count(signal.token, signal.type, signal.sequence + 1);
    serial += 1;
    const name = `${prefix}signal:${page}:${serial}`;
    store.write(name, { at: Date.now(), signal });
    queue.add(name);
    schedule();
  }

  /** How much of an element is selected. */
  function selected(element) {
    const selection = getSelection();
    let length = 0;
    for (let i = 0; i < selection.rangeCount; i++) {
      const range = selection.getRangeAt(i);
      if (!range.intersectsNode(element)) continue;
      const part = document.createRange();
      part.selectNodeContents(element);
      if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0) {
        part.setStart(range.startContainer, range.startOffset);
      }
      if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) part.setEnd(range.endContainer, range.endOffset);
      length += squeeze(part.toString()).length;
    }
    return length;
  }

  function copied(answer, copied_length, answer_length) {
    if (!copied_length) return;
    answer.copies += 1;
    answer.interactions += 1;
    const whole = Math.max(answer_length, copied_length);
    put(make(answer, 'copy', { copied_length, answer_length: whole, count: answer.copies }));
  }

  function onCopy({ target }) {
    const field = target.closest?.('textarea, input');
    if (field) {
      const answer = field.matches(FIELD) && belongs(field, 'data-upswing-edit-of');
      if (answer) copied(answer, field.selectionEnd - field.selectionStart, field.value.length);
      return;
    }
    // It may just have been drawn.
    if (looking) look();
    for (const answer of answers.values()) {
      if (answer.element) copied(answer, selected(body(answer)), squeeze(textOf(body(answer))).length);
    }
  }

  function onClick({ target }) {
    const again = target.closest?.('[data-upswing-regenerate], [data-upswing-regenerate-of]');
    const copy = target.closest?.('[data-upswing-copy], [data-upswing-copy-of]');
    const regenerated = again && belongs(again, 'data-upswing-regenerate-of');
    const whole = copy && belongs(copy, 'data-upswing-copy-of');
    if (regenerated) {
      regenerated.regenerations += 1;
      put(make(regenerated, 'regenerate', { count: regenerated.regenerations }));
    } else if (whole?.element) {
      const { length } = squeeze(textOf(body(whole)));
      copied(whole, length, length);
    } else {
      const around = target.closest?.(ANSWER);
      if (around) know(around.dataset.upswingToken, around).interactions += 1;
    }
  }

  // --- Editing --------------------------------------------------------------------------------------------------------

  /** Field to what was in it before the first change by hand, and after the last. */
  let fields = new WeakMap();

  function onBeforeInput({ target }) {
    const field = target.closest?.(FIELD);
    const answer = field && !field.closest('[data-upswing-ignore]') && belongs(field, 'data-upswing-edit-of');
    if (!answer) return;
    const text = textOf(field);
    const edit = fields.get(field);
    // The application has put another text there since: that is another answer, or a cleared field.
    const other = edit?.ended && edit.after !== text;
    if (!edit || other) fields.set(field, { answer, before: text, after: text, keystrokes: 0 });
    fields.get(field).ended = false;
    answer.fields.add(field);
  }

  /** What stands there after each change by hand, since applications clear a field when they send it. */
  function onInput({ target }) {
    const field = target.closest?.(FIELD);
    const edit = fields.get(field);
    if (!edit) return;
    edit.after = textOf(field);
    edit.keystrokes += 1;
  }

  /** Says how much of the answer in a field was changed. */
  function told(field) {
    const edit = fields.get(field);
    if (!edit) return;
    edit.ended = true;
    const { before, after, answer, keystrokes } = edit;
    // Into an empty field one writes something of one's own; that changes no answer.
    if (!before.trim() || after === (edit.told ?? before)) return;
    edit.told = after;
    answer.edited = true;
    put(make(answer, 'edit', { changed_share: share(before, after), keystrokes }));
  }

  function onBlur({ target }) {
    const field = target.closest?.(FIELD);
    if (field) told(field);
  }

  function onSubmit({ target }) {
    for (const field of target.querySelectorAll?.(FIELD) ?? []) told(field);
  }

  /** Edit distance over the longer length, to three places. */
  function share(before, after) {
    const [a, b] = [[...before], [...after]];
    let start = 0;
    while (start < Math.min(a.length, b.length) && a[start] === b[start]) start += 1;
    let ends = 0;
    while (ends < Math.min(a.length, b.length) - start && a.at(-1 - ends) === b.at(-1 - ends)) ends += 1;
    const [from, to] = [a.slice(start, a.length - ends), b.slice(start, b.length - ends)];
    // Word by word where letter by letter takes too long, and no further: both are never less than the distance.
    const split = (letters) => letters.join('').match(/\s+|\S+/g) ?? [];
    let changed = distance(from, to) ?? distance(split(from), split(to)) ?? Math.max(from.length, to.length);
    changed = Math.min(changed, Math.max(from.length, to.length));
    return Math.round((changed / Math.max(a.length, b.length)) * 1000) / 1000;
  }

  /** Levenshtein's distance between two lists of strings, in letters; `undefined` where it would take too long. */
  function distance(a, b) {
    if (a.length * b.length > CELLS) return undefined;
    const size = (text) => [...text].length;
    const [left, above] = [a.map(size), b.map(size)];
    let row = [0];
    above.forEach((length, j) => row.push(row[j] + length));
    for (let i = 0; i < a.length; i++) {
      const next = [row[0] + left[i]];
      for (let j = 0; j < b.length; j++) {
        const swap = row[j] + (a[i] === b[j] ? 0 : Math.max(left[i], above[j]));
        next.push(Math.min(swap, row[j + 1] + left[i], next[j] + above[j]));
      }
      row = next;
    }
    return row[b.length];
  }

  // --- Sending --------------------------------------------------------------------------------------------------------

  function schedule() {
    if (queue.size >= BATCH) flush();
    if (queue.size) timer ??= setTimeout(flush, Math.max(FLUSH, notBefore - Date.now()));
  }

  /** Sends what waits; all of it when the page is about to go, which may be its last chance. */
  function flush(leaving = false) {
    clearTimeout(timer);
    timer = undefined;
    if (!allowed()) return;
    if (Date.now() < notBefore || (sending.size && leaving !== true)) {
      if (queue.size) timer = setTimeout(flush, Math.max(notBefore - Date.now(), TICK));
      return;
    }
    const waiting = [];
    for (const name of queue) {
      const kept = store.read(name);
      // Sent by another tab, or taken back there.
      if (!kept) queue.delete(name);
      else if (!sending.has(name)) waiting.push([name, kept.signal]);
    }
    for (let i = 0; i < waiting.length && (i === 0 || leaving === true); i += BATCH) send(waiting.slice(i, i + BATCH));
  }

  async function send(batch) {
    for (const [name] of batch) sending.add(name);
    const { signal } = cancel;
    try {
      const response = await fetch(options.endpoint, {
        method: 'POST',
        // Outlives the page.
        keepalive: true,
        credentials: 'omit',
        // The address of a page may say what nobody agreed to tell.
        referrerPolicy: 'origin',
        headers: { Authorization: `Bearer ${options.key}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(batch.map(([, item]) => item)),
        signal,
      });
      const answer = await response.json().catch(() => null);
      if (signal.aborted) return;
      if (response.ok && answer) {
        settle(batch, answer.rejected);
      } else if (response.ok || passing(response.status)) {
        later(Number(response.headers.get('Retry-After')));
      } else {
        const reason = answer?.detail ?? response.status;
        if (response.status === 401 || response.status === 403) refuse(reason);
        else console.warn(`upswing: signals were not accepted: ${reason}`);
        settle(batch);
      }
    } catch {
      if (signal.aborted) return;
      // Once may be chance: an answer that got lost in between.
      doubts = (await forbidden()) ? doubts + 1 : 0;
      if (doubts > 1) refuse(`the server lets no page of ${location.origin} send signals`);
      else later();
    } finally {
      for (const [name] of batch) sending.delete(name);
      schedule();
    }
  }

  /** Whether the same may be accepted later. */
  const passing = (status) => status === 408 || status === 429 || status >= 500;

  /** Takes out of the outbox what the server has answered for. */
  function settle(batch, rejected = []) {
    failures = doubts = 0;
    const problems = new Map(rejected.map(({ index, problem }) => [index, problem]));
    batch.forEach(([name, signal], index) => {
      const { code, status, detail } = problems.get(index) ?? {};
      if (code === 'id_conflict' && signal.sequence + 1 < PER_KIND) {
        // Another browser of the same person has used this number: this signal is the next one.
        const sequence = Math.max(count(signal.token, signal.type), signal.sequence + 1);
        count(signal.token, signal.type, sequence + 1);
        store.write(name, { at: Date.now(), signal: { ...signal, sequence } });
        return;
      }
      if (code !== 'token_exhausted' && passing(status)) return;
      if (code) console.warn(`upswing: a signal was not accepted: ${detail ?? code}`);
      store.remove(name);
      queue.delete(name);
    });
  }

  /** Waits for as long as the server says, otherwise longer each time; not all pages at the same moment. */
  function later(seconds = 0) {
    failures += 1;
    const wait = Math.min(1_000 * 2 ** failures, SLOWEST_RETRY) * (0.5 + Math.random() / 2);
    notBefore = Date.now() + Math.max(seconds * 1_000 || 0, wait);
  }

  /**
   * A browser tells a refused origin no differently from a dead server. This script lies on the same server for every
   * origin: where it can be had twice around a question that fails, the server is there and refuses.
   */
  async function forbidden() {
    // Not from a cache on the way, which would be there without the server.
    const address = new URL(`../../assets/behaviour.js?${Date.now()}`, options.endpoint);
    const there = () => fetch(address, { cache: 'no-store', credentials: 'omit' }).then(({ ok }) => ok, () => false);
    if (!(await there())) return false;
    const question = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '[]', credentials: 'omit' };
    const answered = await fetch(options.endpoint, question).then(() => true, () => false);
    return !answered && (await there());
  }

  function refuse(reason) {
    console.warn(`upswing: refused, nothing more is sent from this page: ${reason}`);
    refused = true;
    end();
    forget();
  }

  // --- The page -------------------------------------------------------------------------------------------------------

  /** The page has been left; browsers may bring it back. */
  let gone = false;

  function onVisibility() {
    if (!running || !allowed()) return;
    advance();
    shown = document.visibilityState === 'visible';
    if (shown) alive = last;
    if (shown || gone) return;
    // On a telephone this is often the last that a page hears.
    for (const answer of answers.values()) answer.fields.forEach(told);
    note();
    flush(true);
  }

  function onHide() {
    if (!running || !allowed()) return;
    advance();
    gone = true;
    for (const answer of answers.values()) leave(answer);
    store.remove(`${prefix}page:${page}`);
    flush(true);
  }

  function onShow({ persisted }) {
    if (!persisted) return;
    gone = false;
    last = alive = performance.now();
    shown = document.visibilityState === 'visible';
  }

  /** Only what a person does counts, not what a script pretends. */
  const byHand = (act) => (event) => {
    if (event.isTrusted && options && allowed()) act(event);
  };

  /**
   * Begins. Without `consent` nothing happens until `upswing.consent(true)`.
   *
   * @param {object} wanted
   * @param {string} wanted.key a publishable key that declares this page's origin
   * @param {string} [wanted.endpoint] where signals go; the server that this script came from unless given
   * @param {() => boolean | undefined} [wanted.consent] asked again before anything is measured, stored or sent
   */
  function start({ key, endpoint = home, consent }) {
    if (options) return;
    if (!key || !endpoint) throw new Error('upswing.start needs a key, and the endpoint where this script is not served by it');
    options = { key, endpoint: new URL(endpoint, location.href).href, consent };
    prefix = `upswing ${options.endpoint} `;
    const listen = (type, act) => document.addEventListener(type, byHand(act), { capture: true, passive: true });
    listen('copy', onCopy);
    listen('click', onClick);
    listen('beforeinput', onBeforeInput);
    listen('input', onInput);
    listen('focusout', onBlur);
    listen('submit', onSubmit);
    for (const sign of ['pointermove', 'pointerdown', 'keydown', 'scroll', 'wheel']) {
      listen(sign, () => {
        advance();
        alive = performance.now();
      });
    }
    document.addEventListener('visibilitychange', onVisibility);
    window.addEventListener('pagehide', onHide);
    window.addEventListener('pageshow', onShow);
    window.addEventListener('online', () => {
      notBefore = 0;
      flush();
    });
    setInterval(tick, TICK);
    allowed();
  }

  /**
   * Says whether the person agrees. Withdrawing forgets what was not sent yet.
   *
   * @param {boolean} agreed
   */
  function consent(agreed) {
    said = agreed === true;
    allowed();
  }

  const script = document.currentScript;
  const home = script?.src ? new URL('../api/learning/signals', script.src).href : undefined;
  window.upswing = { ...window.upswing, start, consent, flush };
  if (script?.dataset.key) {
    const { key, endpoint, consent: attribute } = script.dataset;
    if (attribute === 'granted' || attribute === 'denied') said = attribute === 'granted';
    start({ key, endpoint });
  }
})();
