// The page works without this module, but its feed stays as it was made. What is HTML comes from the server; what
// comes as JSON is shown as text.

const every = 5000; // milliseconds between two updates
const wholeEvery = 12; // updates of which one has the charts, too
const longest = 100; // changes in the feed
const $ = (selector, root = document) => root.querySelector(selector);

// shown returns a text that an attacker may have written: bounded, without unseen characters.
function shown(text) {
  const most = 300;
  text = text.length > most ? text.slice(0, most) + "…" : text;
  return text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
}

function element(name, className, text) {
  const e = document.createElement(name);
  e.className = className;
  e.textContent = text;
  return e;
}

const pageOf = (target) => "/ban/" + encodeURIComponent(target);

// Updates: the parts with data-live are replaced by those of the same page as it is now.

let shownAt = location.pathname + location.search; // the address of what is shown: the location follows once a search is over
let latest = 0; // number of the latest request: the answers to others come too late

// load fetches a page of ours and shows its live parts, or the one part that the answer is. It leaves those alone that a
// person has selected text in.
async function load(to, part) {
  const mine = ++latest;
  const answer = await fetch(to, { headers: { Accept: "text/html" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error(answer.statusText);
  const text = await answer.text();
  if (mine !== latest) return;
  if (part) {
    const now = document.createElement("template");
    now.innerHTML = text;
    replace(part, now.content.firstElementChild);
  } else {
    const next = new DOMParser().parseFromString(text, "text/html");
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = next.getElementById(old.id);
      if (now && !selects(old) && now.innerHTML !== old.innerHTML) replace(old, document.adoptNode(now));
    }
  }
  upgrade();
}

function selects(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}

// replace keeps the focus, what is open and how far it is scrolled.
function replace(old, now) {
  const focus = old.contains(document.activeElement) ? document.activeElement : null;
  const at = [old, ...old.querySelectorAll(".scroll")].map((e) => [e.scrollLeft, e.scrollTop]);
  const open = [...old.querySelectorAll("details")].map((e) => e.open);
  const place = focus && [...old.querySelectorAll("a, button, summary, [tabindex]")].indexOf(focus);
  old.replaceWith(now);
  [now, ...now.querySelectorAll(".scroll")].forEach((e, i) => at[i]?.some(Boolean) && ([e.scrollLeft, e.scrollTop] = at[i])); // it takes a layout
  now.querySelectorAll("details").forEach((e, i) => (e.open = open[i] ?? e.open));
  if (!focus) return;
  const same = focus.id ? document.getElementById(focus.id) : now.querySelectorAll("a, button, summary, [tabindex]")[place];
  (same ?? now.querySelector("a, button, [tabindex]"))?.focus({ preventScroll: true });
}

// upgrade shows what needs this module.
function upgrade() {
  document.querySelectorAll("[data-open][hidden], [data-buttons], [data-close]").forEach((e) => (e.hidden = false));
}

let timer;
let updates = 0;
function refresh(after = every) {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (document.hidden) return;
    try {
      if (!wanted && !$("dialog[open]")) {
        const to = new URL(shownAt, location);
        if (++updates % wholeEvery) to.searchParams.set("live", "1");
        await load(to);
      }
    } catch {
      say("The guard does not answer; trying again.");
    }
    refresh();
  }, after);
}

// The table of bans: search as it is typed, sort and page without a new document. There is one request at a time: the
// next one is for what is wanted by then.

let wanted; // under way, or to be asked for next
async function show(to, lasting) {
  const idle = !wanted;
  wanted = { to, lasting };
  shownAt = to;
  while (idle && wanted) {
    const now = wanted;
    try {
      await load(now.to + (now.to.includes("?") ? "&" : "?") + "only=bans", $("#bans-table"));
      if (now.lasting && shownAt === now.to) push(now.to); // unless a person has gone back meanwhile
    } catch {
      location.assign(now.to);
    }
    if (wanted === now) wanted = undefined;
  }
}

function push(to) {
  if (to !== location.pathname + location.search) history.pushState(null, "", to);
}

addEventListener("popstate", () => {
  fill(new URL(location));
  load((shownAt = location.pathname + location.search)).catch(() => location.reload());
});

const search = $("#q");

// fill writes into the form what an address asks for.
function fill(of) {
  if (!search) return;
  const { q, sort, dir } = search.form.elements;
  q.value = of.searchParams.get("q") ?? "";
  sort.value = of.searchParams.get("sort") ?? "since";
  dir.value = of.searchParams.get("dir") ?? (of.searchParams.has("sort") ? "asc" : "desc");
}

function typed() {
  const to = new URL("/", location.href);
  for (const [name, value] of new FormData(search.form)) {
    if (value) to.searchParams.set(name, value);
  }
  return to.pathname + to.search;
}
search?.addEventListener("input", () => show(typed()));
search?.addEventListener("change", () => push(typed())); // also before the form is sent, and before a link leads to another page
search?.form.addEventListener("submit", (e) => {
  e.preventDefault();
  show(typed(), true);
});

document.addEventListener("click", (e) => {
  const table = e.target.closest("a[data-table]");
  if (table && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
    e.preventDefault();
    const to = new URL(table.href);
    show(to.pathname + to.search, true);
    fill(to);
  }
  const opener = e.target.closest("[data-open]");
  if (opener) {
    e.preventDefault();
    ask(opener.dataset);
  }
  if (e.target.closest("[data-close]")) e.target.closest("dialog").close();
});

// Changes: a dialog asks for the reason and confirms. The key that opens it, held down or heard twice, does not confirm.

let down = false; // a key
let ready = true; // no key is down since before the dialog was opened
for (const [type, is] of [["keydown", true], ["keyup", false], ["pointerdown", false]]) {
  addEventListener(type, () => (ready = !(down = is) || ready), true);
}

function ask({ open: action, target }) {
  ready = !down;
  const dialog = $("#dialog-" + action);
  const form = $("form", dialog);
  form.reset();
  $(".result", form).textContent = "";
  form.elements.ip.value = target ?? "";
  form.elements.ip.readOnly = Boolean(target);
  dialog.showModal();
  (target ? form.elements.reason : form.elements.ip).focus();
  dialog.addEventListener("close", () => back(dialog, action, target), { once: true });
}

// back gives the focus to what opened a dialog, if an update has replaced that: the browser knows the old one alone.
function back(dialog, action, target) {
  const lost = document.activeElement === document.body || dialog.contains(document.activeElement);
  const same = (e) => e.dataset.open === action && e.dataset.target === target;
  if (lost) [...document.querySelectorAll("[data-open]")].find(same)?.focus({ preventScroll: true });
}

const requests = {
  ban: (f) => ["POST", "/security/blacklist", { ip: f.ip, reason: f.reason, ...(f.ttl && { ttl: f.ttl }) }],
  trust: (f) => ["POST", "/security/whitelist", { ip: f.ip, reason: f.reason, ttl: f.ttl }],
  unban: (f) => ["DELETE", "/security/blacklist/" + encodeURIComponent(f.ip) + "?" + new URLSearchParams({ grace: f.grace, reason: f.reason })],
};

document.addEventListener("submit", async (e) => {
  const form = e.target.closest("form[data-action]");
  if (!form) return;
  e.preventDefault();
  if (!ready) return;
  const button = $("button.strong", form);
  const result = $(".result", form);
  const [method, path, body] = requests[form.dataset.action](Object.fromEntries(new FormData(form)));
  button.disabled = true;
  try {
    const answer = await fetch(path, { method, ...(body && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }) });
    if (answer.status === 401) location.reload();
    const done = await answer.json();
    if (!answer.ok) throw new Error(done.error);
    form.closest("dialog").close();
    say(done.message + (done.applied ? "" : "; not in force: " + done.why));
    await load(shownAt);
  } catch (error) {
    result.textContent = shown(error.message);
  } finally {
    button.disabled = false;
  }
});

let saying;
function say(text) {
  $("#toast").textContent = shown(text);
  clearTimeout(saying);
  saying = setTimeout(() => ($("#toast").textContent = ""), 8000);
}

// The live feed: the server sends changes once a second, without their evidence.

const feed = $("#live-feed");
let stream;
let waiting = [];
let paused = false;

function listen() {
  if (!feed || stream || document.hidden || paused) return;
  stream = new EventSource("/events?brief=true");
  stream.onopen = () => state("connected");
  stream.onerror = () => state("connecting again");
  for (const kind of ["ban", "extend", "unban", "expire", "alert", "spare", "refuse"]) {
    stream.addEventListener(kind, (e) => take(row(JSON.parse(e.data))));
  }
  stream.addEventListener("lost", (e) => {
    const li = element("li", "", "");
    li.append(element("span", "quiet what", JSON.parse(e.data).lost + " further changes"));
    take(li);
  });
}

function deafen(why) {
  stream?.close();
  stream = undefined;
  state(why);
}

function state(text) {
  $("#live-state").textContent = text;
}

// clock writes a time as the server does, in the time zone of the browser.
function clock(text) {
  const at = new Date(text);
  if (Date.now() - at > 24 * 3600_000) return at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return at.toLocaleTimeString([], { hour12: false });
}

function row(change) {
  const li = element("li", "", "");
  const time = element("time", "", clock(change.time));
  time.dateTime = change.time;
  const what = element("div", "what", "");
  if (change.target) {
    const masked = change.target.includes("*"); // it has no page
    const link = element(masked ? "span" : "a", "", "");
    if (!masked) link.href = pageOf(change.target);
    link.append(element("bdi", "", shown(change.target)));
    what.append(link, " ");
  }
  what.append(element("bdi", "", shown(change.rule || change.author)));
  const why = shown(change.why || change.reason);
  if (why) what.append(" ", element("span", "", ""));
  if (why) what.lastChild.append(element("bdi", "", why));
  li.append(time, element("span", "kind " + change.kind, change.kind), what);
  return li;
}

function take(li) {
  if (waiting.push(li) === 1) requestAnimationFrame(drain);
}

function drain() {
  const latest = waiting.slice(-longest).reverse();
  waiting = [];
  feed.prepend(...latest);
  while (feed.childElementCount > longest) feed.lastElementChild.remove();
  $("#live-empty")?.remove();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return deafen("");
  listen();
  refresh(0);
});

if (feed) {
  feed.querySelectorAll("time").forEach((e) => (e.textContent = clock(e.dateTime)));
  const pause = $("#live-pause");
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) deafen("paused");
    else listen();
  });
  const announce = $("#live-announce");
  announce.parentElement.hidden = false;
  announce.addEventListener("change", () => feed.setAttribute("aria-live", announce.checked ? "polite" : "off"));
  listen();
}
upgrade();
refresh();
