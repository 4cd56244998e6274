"use strict";
// The page at `/`: how an agent learns, read once a second through the public API. Text of people and programs reaches
// the document through textContent alone.

const ENOUGH_REWARDS = 30; // below this many there is no curve
const ENOUGH_OF_A_VERSION = 10; // below this many a version's mean is not shown
const POINTS = 48; // into how many points the curve is gathered
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const state = { key: null, agent: null, slow: 0, round: 0, drawn: {} };

// ---- small tools ----

function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "rect", "circle", "text", "title", "g"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children.flat()) element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  return element;
}

// Replaces content only when what it shows has changed, so that selection and focus stay.
function show(id, signature, make) {
  const text = JSON.stringify(signature);
  if (state.drawn[id] === text) return;
  state.drawn[id] = text;
  $(id).replaceChildren(...[make()].flat());
}

function say(text) {
  $("notice").hidden = !text;
  if ($("notice").textContent !== text) $("notice").textContent = text;
}

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function get(path) {
  const options = { headers: { authorization: `Bearer ${state.key}` }, signal: AbortSignal.timeout(10000), cache: "no-store" };
  const response = await fetch(`/api/learning${path}`, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.detail || body.title || `status ${response.status}`);
  return body;
}

async function all(path, noun) {
  const items = [];
  for (let cursor = ""; cursor !== null; ) {
    const page = await get(`${path}?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    items.push(...page[noun]);
    cursor = page.next_cursor ?? null;
  }
  return items;
}

// ---- statistics ----

// Wilson's interval for a mean on [0, 1]. For rewards that are not only 0 and 1 it is wider than need be, never narrower
// than their spread allows, and never of width zero.
function interval(mean, n, z = 1.96) {
  const middle = (mean + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((mean * (1 - mean)) / n + (z * z) / (4 * n * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

// Neighbouring bins together, so that each point rests on about as many rewards.
function gather(bins) {
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  const size = Math.max(10, total / POINTS);
  const points = [];
  let open = null;
  for (const bin of bins) {
    if (!open) open = { count: 0, sum: 0, versions: {}, seen: points.reduce((s, p) => s + p.count, 0) };
    open.count += bin.count;
    open.sum += bin.count * bin.mean_reward;
    for (const [version, n] of Object.entries(bin.versions)) open.versions[version] = (open.versions[version] || 0) + n;
    if (open.count >= size) {
      points.push(open);
      open = null;
    }
  }
  if (open && open.count >= size / 2) points.push(open);
  for (const point of points) point.mean = point.sum / point.count;
  return { points, total };
}

const percent = (share) => `${Math.round(share * 100)} %`;
const three = (value) => value.toFixed(3);
const plural = (n, noun) => `${number.format(n)} ${noun}${n === 1 ? "" : "s"}`;

// ---- drawings ----

const BOX = { width: 1000, height: 260, left: 46, right: 12, top: 10, bottom: 26 };

function frame(label, height, low, high, unit) {
  const box = { ...BOX, height };
  const x = (share) => box.left + share * (box.width - box.left - box.right);
  const y = (value) => box.top + ((high - value) / (high - low)) * (height - box.top - box.bottom);
  const svg = h("svg", { viewBox: `0 0 ${box.width} ${height}`, role: "img", "aria-label": label });
  for (let step = 0; step <= 4; step++) {
    const value = low + ((high - low) * step) / 4;
    svg.append(
      h("line", { class: "axis", x1: box.left, x2: box.width - box.right, y1: y(value), y2: y(value) }),
      h("text", { class: "tick", x: box.left - 8, y: y(value) + 4, "text-anchor": "end" }, unit(value)),
    );
  }
  return { svg, x, y, box };
}

function footing({ svg, x, box }, total) {
  for (const share of [0, 0.5, 1]) {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    const text = share === 1 ? `${number.format(total)} rewards` : number.format(Math.round(total * share));
    svg.append(h("text", { class: "tick", x: x(share), y: box.height - 6, "text-anchor": anchor }, text));
  }
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function drawCurve({ points, total }) {
  const bands = points.map((point) => interval(point.mean, point.count));
  const low = Math.max(0, Math.floor(Math.min(...bands.map((b) => b[0])) * 10) / 10);
  const high = Math.min(1, Math.ceil(Math.max(...bands.map((b) => b[1])) * 10) / 10);
  const last = points[points.length - 1];
  const label = `Mean reward from ${three(points[0].mean)} at the beginning to ${three(last.mean)} now, over ${total} rewards`;
  const drawing = frame(label, BOX.height, low, high, (value) => value.toFixed(2));
  const { svg, x, y, box } = drawing;
  const at = (point) => x((point.seen + point.count / 2) / total);
  const upper = points.map((point, i) => [at(point), y(bands[i][1])]);
  const lower = points.map((point, i) => [at(point), y(bands[i][0])]).reverse();
  svg.append(h("path", { class: "band", d: `${path([...upper, ...lower])}Z` }));
  svg.append(h("path", { class: "line", d: path(points.map((point) => [at(point), y(point.mean)])) }));
  svg.append(h("circle", { class: "dot", r: 4, cx: at(last), cy: y(last.mean) }));
  points.forEach((point, i) => {
    const [begin, end] = [x(point.seen / total), x((point.seen + point.count) / total)];
    const text = `rewards ${point.seen + 1} to ${point.seen + point.count}: mean ${three(point.mean)} (95 % interval ${three(bands[i][0])} to ${three(bands[i][1])})`;
    svg.append(h("rect", { class: "hit", x: begin, width: Math.max(1, end - begin), y: box.top, height: box.height - box.top - box.bottom }, h("title", {}, text)));
  });
  footing(drawing, total);
  return svg;
}

function drawTraffic({ points, total }, versions) {
  const last = points[points.length - 1];
  const now = versions.map((v) => `${v.label} ${percent((last.versions[v.version] || 0) / last.count)}`).join(", ");
  const drawing = frame(`Share of the traffic by version, now: ${now}`, 200, 0, 1, percent);
  const { svg, x, y } = drawing;
  const base = points.map(() => 0);
  for (const version of versions) {
    const upper = [], lower = [];
    points.forEach((point, i) => {
      const top = base[i] + (point.versions[version.version] || 0) / point.count;
      for (const edge of [point.seen, point.seen + point.count]) {
        upper.push([x(edge / total), y(top)]);
        lower.push([x(edge / total), y(base[i])]);
      }
      base[i] = top;
    });
    const area = h("path", { class: `area ${version.colour}`, d: `${path([...upper, ...lower.reverse()])}Z` });
    area.append(h("title", {}, `${version.label}: ${percent((last.versions[version.version] || 0) / last.count)} of the latest`));
    svg.append(area);
  }
  footing(drawing, total);
  return svg;
}

// ---- the parts of the page ----

// Every version with its numbers, and a colour that it keeps.
function merged(versions, policy) {
  const arms = new Map(policy.arms.map((arm) => [arm.version, arm]));
  return versions.map((version, i) => ({ ...version, label: version.label || version.version.slice(0, 12), arm: arms.get(version.version), colour: `c${i % 8}` }));
}

function tiles(curve, policy, gathered, versions) {
  const last = gathered.points[gathered.points.length - 1];
  const enough = gathered.total >= ENOUGH_REWARDS && last;
  const leader = last && versions.slice().sort((a, b) => (last.versions[b.version] || 0) - (last.versions[a.version] || 0))[0];
  const list = [
    ["Rewards learned from", number.format(policy.observations), `policy ${policy.policy}`],
    ["Mean reward now", enough ? three(last.mean) : null, enough && `${interval(last.mean, last.count).map(three).join(" to ")} (95 %), the latest ${number.format(last.count)}; ${three(gathered.points[0].mean)} at first`],
    ["Most of the traffic", enough && leader ? leader.label : null, enough && leader && `${percent((last.versions[leader.version] || 0) / last.count)} of the latest`],
  ];
  show("tiles", list, () => list.map(([term, value, note]) =>
    h("div", {}, h("dt", {}, term), h("dd", value === null ? { class: "words" } : {}, value ?? "not enough evidence yet", note ? h("small", {}, note) : []))));
}

function charts(gathered, versions) {
  const enough = gathered.total >= ENOUGH_REWARDS && gathered.points.length > 1;
  const missing = () => h("p", { class: "none" }, `Not enough evidence yet: ${number.format(gathered.total)} of ${ENOUGH_REWARDS} rewards.`);
  $("curve-text").textContent = enough ? "Each point is the mean of neighbouring rewards; the band is its 95 % interval." : "";
  show("curve", enough ? gathered : gathered.total, () => (enough ? drawCurve(gathered) : missing()));
  const names = versions.map((v) => [v.version, v.label]);
  show("traffic", enough ? [gathered, names] : gathered.total, () => (enough ? drawTraffic(gathered, versions) : missing()));
  show("legend", names, () => versions.map((v) => h("li", {}, h("span", { class: `chip ${v.colour}` }), v.label)));
}

const unknown = (text = "not enough evidence yet") => h("span", { class: "unknown" }, text);
const head = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));

function versionTable(versions, champion) {
  const data = versions.map((v) => [v.version, v.label, v.eligible, v.arm, v.version === champion]);
  show("versions", data, () => [head("Version", "Rewards", "Mean reward", "Standard error"), h("tbody", {}, versions.map((v) => {
    const tags = [];
    if (v.version === champion) tags.push(h("span", { class: "tag champion" }, "champion"));
    if (v.eligible === false) tags.push(h("span", { class: "tag out" }, "taken out"));
    const count = v.arm?.count ?? 0;
    const known = count >= ENOUGH_OF_A_VERSION && v.arm.mean != null;
    const error = known && v.arm.standard_error != null ? `± ${three(v.arm.standard_error)}` : known ? unknown("unknown") : "";
    const title = h("th", { scope: "row" }, h("span", { class: `chip ${v.colour}` }), v.label, " ", h("span", { class: "hash" }, v.version.slice(0, 8)), tags);
    return h("tr", {}, title, h("td", {}, number.format(count)), h("td", {}, known ? three(v.arm.mean) : unknown()), h("td", {}, error));
  }))]);
}

function changeList(deployments, versions) {
  const label = (id) => versions.find((v) => v.version === id)?.label ?? String(id).slice(0, 12);
  show("changes", [deployments, versions.map((v) => v.label)], () => deployments.length ? deployments.map((d) => {
    const what = d.kind.replaceAll("_", " ") + (d.version ? `: ${label(d.version)}` : "");
    return h("li", {}, h("time", { datetime: d.at }, new Date(d.at).toLocaleString()), `epoch ${d.epoch}, ${what}`, d.reason ? ` (${d.reason})` : "");
  }) : h("li", {}, "Nothing yet."));
}

// Which version is best where: a row a segment value, a column a version.
function segmentTable(key, rows, versions) {
  $("segments-card").hidden = !key || !rows.length;
  if ($("segments-card").hidden) return;
  $("segments-title").textContent = `Mean reward by ${key}`;
  const values = [...new Set(rows.map((row) => row.value))].sort();
  show("segments", [key, rows, versions.map((v) => v.label)], () => [head(key, ...versions.map((v) => v.label)), h("tbody", {}, values.map((value) => {
    const cells = versions.map((v) => rows.find((row) => row.value === value && row.version === v.version));
    const known = cells.map((cell) => (cell && cell.count >= ENOUGH_OF_A_VERSION ? cell.mean : null));
    // Marked only where the interval lies above those of all others.
    const bounds = cells.map((cell, i) => (known[i] === null ? null : interval(known[i], cell.count)));
    const best = (i) => bounds.filter(Boolean).length > 1 && bounds.every((b, j) => i === j || !b || b[1] < bounds[i][0]);
    return h("tr", {}, h("th", { scope: "row" }, value), cells.map((cell, i) =>
      h("td", {}, known[i] === null ? unknown(cell ? `only ${cell.count}` : "none yet") : [h("span", best(i) ? { class: "best" } : {}, three(known[i])), " ", h("span", { class: "unknown" }, `of ${number.format(cell.count)}`)])));
  }))]);
}

// ---- life ----

let slowly = null; // what changes rarely, of the agent that is shown

async function update() {
  const id = state.agent, base = `/agents/${id}`;
  if (!slowly || slowly.id !== id || state.round % 5 === 0) {
    const [agent, versions, deployments] = await Promise.all([get(base), all(`${base}/versions`, "versions"), get(`${base}/deployments?limit=8`)]);
    slowly = { id, agent, versions, deployments: deployments.deployments };
  }
  const { agent } = slowly, segment = agent.segments?.[0];
  const wanted = `${base}/performance?by=version${segment ? `&segment=${encodeURIComponent(segment)}` : ""}`;
  const [curve, policy, performance] = await Promise.all([get(`${base}/learning-curve`), get(`${base}/policy`), get(wanted)]);
  if (state.agent !== id) return;
  const versions = merged(slowly.versions, policy), gathered = gather(curve.bins);
  $("name").textContent = agent.name;
  $("description").textContent = agent.description || "";
  document.title = `${agent.name} · Upswing`;
  $("position").textContent = `read up to position ${number.format(curve.position)}`;
  tiles(curve, policy, gathered, versions);
  charts(gathered, versions);
  versionTable(versions, agent.champion);
  segmentTable(segment, segmentRows(performance), versions);
  changeList(slowly.deployments, versions);
  $("agent").hidden = false;
}

// The reward's summaries out of the answer of /performance.
function segmentRows({ groups }) {
  return groups.filter((group) => group.segment_value !== null && group.metrics.reward).map((group) => (
    { value: group.segment_value, version: group.version, count: group.metrics.reward.count, mean: group.metrics.reward.mean }));
}

async function enter() {
  const [organisation, agents] = await Promise.all([get("/organisation"), all("/agents", "agents")]);
  $("organisation").textContent = organisation.name;
  $("enter").hidden = true;
  $("controls").hidden = false;
  show("agents", agents.map((a) => [a.id, a.name]), () => agents.map((a) => h("option", { value: a.id }, a.name)));
  const asked = state.agent ?? new URLSearchParams(location.search).get("agent");
  choose(agents.find((a) => a.id === asked) ?? agents[0]);
}

function choose(agent) {
  if (!agent) {
    $("agent").hidden = true;
    throw new Refused(0, "There is no agent yet. POST /api/learning/agents makes one.");
  }
  if (state.agent !== agent.id) slowly = null;
  state.agent = agent.id;
  $("agents").value = agent.id;
  const search = new URLSearchParams(location.search);
  if (search.get("agent") !== agent.id) {
    search.set("agent", agent.id);
    history.replaceState(null, "", `${location.pathname}?${search}`);
  }
}

function ask(complaint) {
  sessionStorage.removeItem("upswing-key");
  Object.assign(state, { key: null, agent: null, drawn: {} });
  slowly = null;
  $("agent").hidden = $("controls").hidden = true;
  $("organisation").textContent = "";
  $("enter").hidden = false;
  say(complaint);
  $("key").focus();
}

async function round() {
  if (!state.key || document.hidden) return;
  try {
    if (!state.agent || state.round % 20 === 0) await enter();
    await update();
    say("");
  } catch (error) {
    if (!state.key) return;
    if (error.status === 401) ask("The server does not know this key, or it has ended.");
    else if (error.status === 403) ask("This key may not read. Use a member's, an expert's or an administrator's.");
    else if (error.status === 404) state.agent = null;
    else say(error instanceof Refused ? error.message : "The server does not answer. Trying again.");
  }
  state.round += 1;
}

async function live() {
  await round();
  setTimeout(live, 1000);
}

function begin() {
  // The fragment never reaches the server; it leaves the address bar, and the history, at once.
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    sessionStorage.setItem("upswing-key", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  state.key = sessionStorage.getItem("upswing-key");
  $("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    state.key = $("key").value.trim();
    sessionStorage.setItem("upswing-key", state.key);
    $("key").value = "";
    round();
  });
  $("leave").addEventListener("click", () => ask(""));
  $("agents").addEventListener("change", () => {
    choose({ id: $("agents").value });
    round();
  });
  addEventListener("hashchange", () => location.hash.includes("key=") && location.reload());
  document.addEventListener("visibilitychange", () => { if (!document.hidden) round(); });
  if (!state.key) ask("");
  live();
}

begin();
