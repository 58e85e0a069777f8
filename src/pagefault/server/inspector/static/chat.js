// Talking with an agent. Rows come from the server as it renders them, by the number of the last one that is
// here; the stream says when to ask, and carries what is being said until it is committed.

import { notice } from "./app.js";

const get = (id) => document.getElementById(id);
const chat = get("chat"), scroller = get("scroller"), list = get("rows"), live = get("live");
const liveSaid = get("live-said"), liveThought = get("live-thought"), liveProgress = get("live-progress");
const writer = get("writer"), field = get("text"), stop = get("stop"), toEnd = get("to-end");
const { base } = chat.dataset;
const HEADERS = { "HX-Request": "true", "HX-Current-URL": location.href, "Accept": "text/html" };
const NEAR = 80; // pixels from the end within which the log follows
const HIDDEN = 60_000, ASLEEP = 20_000, RETRY = 3_000; // milliseconds
const COMMITTED = ["said", "thought", "called", "returned", "prefetched", "warned", "flushed", "alerted"];

let last = Number(chat.dataset.last);
let source = null, attempt = null, event = null, retry = 0;

// the end of the log, followed unless somebody reads further up

let follows = true;
scroller.addEventListener("scroll", () => {
  follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  if (follows) toEnd.hidden = true;
  if (scroller.scrollTop < 200) earlier();
}, { passive: true });

function grown() {
  if (follows) scroller.scrollTop = scroller.scrollHeight;
  else toEnd.hidden = false;
}

toEnd.addEventListener("click", () => {
  follows = true;
  grown();
  toEnd.hidden = true;
  field?.focus();
});
new ResizeObserver(() => { if (follows) scroller.scrollTop = scroller.scrollHeight; }).observe(scroller.firstElementChild);

// rows

async function asked(path) {
  const response = await fetch(base + path, { headers: HEADERS });
  if (response.headers.has("hx-redirect")) location.assign(response.headers.get("hx-redirect"));
  if (!response.ok || response.status === 204) throw new Error(String(response.status));
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

let loading = false;
async function earlier() {
  const button = get("earlier").querySelector("[data-before]");
  if (!button || loading) return;
  loading = true;
  try {
    const page = await asked(`/chat/rows?before=${button.dataset.before}`);
    const height = scroller.scrollHeight, top = scroller.scrollTop;
    get("spoken").setAttribute("aria-live", "off");
    const rows = [...page.querySelectorAll("ol > li")].filter((row) => !get(row.id));
    list.prepend(...rows);
    rows.forEach((row) => htmx.process(row));
    get("earlier").replaceChildren(...page.getElementById("earlier").childNodes);
    scroller.scrollTop = top + scroller.scrollHeight - height;
    requestAnimationFrame(() => get("spoken").setAttribute("aria-live", "polite"));
  } catch { /* the button stays, to be pressed again */ } finally { loading = false; }
}
get("earlier").addEventListener("click", earlier);

let syncing = null, again = false;
function sync() {
  if (syncing) { again = true; return syncing; }
  syncing = news().catch(() => { setTimeout(sync, RETRY); }).finally(() => {
    syncing = null;
    if (again) { again = false; sync(); }
  });
  return syncing;
}

async function news() {
  const shown = attempt;
  const page = await asked(`/chat/rows?after=${last}`);
  const found = page.querySelector("ol");
  for (const row of [...found.children]) {
    if (get(row.id)) continue;
    list.querySelector(".first")?.remove();
    list.append(row);
    htmx.process(row);
  }
  last = Math.max(last, Number(found.dataset.last));
  if (committed && shown === committed) clear();
  const state = page.getElementById("chat-state");
  renew(document.importNode(state, true));
  settle();
  grown();
  if ("more" in found.dataset) again = true;
}

function renew(state) {
  const old = get("chat-state"), active = document.activeElement;
  if (state.innerHTML === old.innerHTML) return;
  const had = old.contains(active) ? [active.form?.getAttribute("hx-post"), active.value] : null;
  old.replaceWith(state);
  htmx.process(state);
  if (!had) return; // the focus stays on the same decision, or goes to the field when it is made
  const same = [...state.querySelectorAll("button")].find((each) => each.form.getAttribute("hx-post") === had[0] && each.value === had[1]);
  (same ?? field)?.focus();
}

// what is being said

let committed = null;
function delta(data) {
  const { of, attempt: now } = data.data;
  if (attempt !== now) { clear(); attempt = now; }
  if (data.event !== event) { event = data.event; sync(); }
  live.hidden = false;
  if (of === "said") liveSaid.textContent += data.text;
  else {
    liveThought.hidden = false;
    liveThought.textContent = (liveThought.textContent || `${chat.dataset.thinking}\n`) + data.text;
    liveThought.scrollTop = liveThought.scrollHeight;
  }
  running(true);
  grown();
}

function clear() {
  attempt = committed = null;
  live.hidden = liveThought.hidden = liveProgress.hidden = true;
  liveSaid.textContent = liveThought.textContent = liveProgress.textContent = "";
}

function running(is) { if (stop) stop.hidden = !is; }

const heard = {
  delta,
  retracted: clear,
  noticed: (data) => reported(data.text),
  progress: (data) => reported(`${data.name}: ${data.text}`),
  waiting: over,
  done: over,
  withdrawn: () => location.reload(),
};
for (const type of COMMITTED) heard[type] = (data) => { committed = attempt; event = data.event; running(true); sync(); };

function reported(text) {
  live.hidden = liveProgress.hidden = false;
  liveProgress.textContent = text;
  running(true);
  grown();
}

function over() {
  committed = attempt;
  event = null;
  sync().then(() => { if (!attempt) clear(); document.body.dispatchEvent(new CustomEvent("turn-over")); });
}

function settle() {
  const open = get("chat-state").firstElementChild.dataset.open === "yes";
  running(open);
  if (!open) clear();
}

// the connection

function connect() {
  source?.close();
  source = new EventSource(`${base}/chat/stream?after=${last}`);
  source.addEventListener("open", () => { retry = 0; linked(true); sync().then(flush); });
  source.addEventListener("error", (failed) => {
    if (failed.data) source.close();
    linked(false);
    if (source.readyState !== EventSource.CLOSED) return;
    sync(); // it says if somebody has to sign in again
    setTimeout(connect, Math.min(RETRY * 2 ** retry++, 30_000));
  });
  for (const [type, handle] of Object.entries(heard)) {
    source.addEventListener(type, (message) => handle(JSON.parse(message.data)));
  }
}

function linked(is) {
  get("link-state").textContent = is ? "" : chat.dataset.lost;
  get("link-state").hidden = is;
}

let hiddenTimer = null, looked = Date.now();
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.visibilityState === "hidden") hiddenTimer = setTimeout(() => source.close(), HIDDEN);
  else if (source.readyState === EventSource.CLOSED) connect();
});
setInterval(() => { // after a sleep the connection looks whole and is not
  if (Date.now() - looked > ASLEEP && document.visibilityState === "visible") connect();
  looked = Date.now();
}, 5_000);
addEventListener("online", connect);

// messages: each has a key, so that one that is sent again is stored once

const kept = (name) => `pagefault ${name} ${base}`;
function stored(name, fallback) { try { return JSON.parse(localStorage.getItem(kept(name))) ?? fallback; } catch { return fallback; } }
function store(name, value) { try { localStorage.setItem(kept(name), JSON.stringify(value)); } catch { /* private mode */ } }

let outbox = stored("outbox", []);
function outgoing(state) {
  get("outgoing").replaceChildren(...outbox.map((message) => {
    const row = document.createElement("li"), who = document.createElement("p"), text = document.createElement("div");
    row.className = "row user waiting";
    who.className = "who";
    who.textContent = state;
    text.className = "text plain";
    text.textContent = message.text;
    row.append(who, text);
    return row;
  }));
}

let flushing = false;
async function flush() {
  if (flushing) return;
  flushing = true;
  try {
    while (outbox.length) {
      const [message] = outbox;
      let response;
      try {
        response = await fetch(`${base}/chat/messages`, { method: "POST", headers: HEADERS, body: new URLSearchParams(message) });
      } catch {
        outgoing(chat.dataset.unsent);
        setTimeout(flush, RETRY);
        return;
      }
      if (response.headers.has("hx-redirect")) { location.assign(response.headers.get("hx-redirect")); return; }
      if ([502, 503, 504].includes(response.status)) { outgoing(chat.dataset.unsent); setTimeout(flush, RETRY); return; }
      outbox.shift();
      store("outbox", outbox);
      if (!response.ok) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        notice(page.body.textContent.trim());
        if (field && !field.value) { field.value = message.text; fit(); }
      } else await sync();
      outgoing(chat.dataset.sending);
      grown();
    }
  } finally { flushing = false; }
}

function fit() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

function key() { return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(""); }

if (writer) {
  field.value ||= stored("draft", "");
  fit();
  field.addEventListener("input", () => { store("draft", field.value); fit(); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    writer.requestSubmit();
  });
  writer.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value;
    if (!text.trim()) return;
    outbox.push({ text, key: key() });
    store("outbox", outbox);
    field.value = "";
    store("draft", "");
    fit();
    get("notices").replaceChildren();
    follows = true;
    outgoing(chat.dataset.sending);
    grown();
    flush();
  });
  stop.addEventListener("click", async () => {
    stop.disabled = true;
    try { await fetch(`${base}/chat/stop`, { method: "POST", headers: HEADERS }); } catch { linked(false); }
    stop.disabled = false;
    sync();
  });
}

get("context").addEventListener("htmx:beforeSwap", (event) => {
  if (event.target === get("context") && event.detail.xhr.status >= 400) event.detail.shouldSwap = false;
});
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (get("chat-state").contains(event.target)) sync();
});

settle();
outgoing(chat.dataset.sending);
scroller.scrollTop = scroller.scrollHeight;
connect();
