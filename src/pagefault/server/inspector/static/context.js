// The main context: the slider over steps, and the block that is pointed at. Without it links and a form do the same.

const later = (wait, work) => {
  let timer;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => work(...values), wait); };
};

let asked = 0;

async function part(url) {
  const answer = await fetch(url, { headers: { "HX-Request": "true", accept: "text/html" } });
  if (answer.headers.get("hx-redirect")) { location.assign(answer.headers.get("hx-redirect")); }
  return { ok: answer.ok, text: await answer.text() };
}

async function show(section, at) {
  const view = section.querySelector("#context-view");
  const number = ++asked;
  const url = `${section.dataset.context}?view=true${at === "" ? "" : `&at=${at}`}`;
  const found = await part(url);
  if (number !== asked) { return; }
  if (!found.ok) { document.getElementById("notices").innerHTML = found.text; return; }
  const focused = document.activeElement?.closest("#context-view") && document.activeElement.rel;
  view.innerHTML = found.text;
  globalThis.htmx?.process(view);
  const slider = section.querySelector("#step-slider");
  const shown = view.querySelector(".context-view").dataset.at;
  if (slider && document.activeElement !== slider) { slider.value = shown || slider.max; }
  if (slider) { slider.setAttribute("aria-valuetext", view.querySelector(".step-name").textContent.trim().replace(/\s+/g, " ")); }
  if (focused) { (view.querySelector(`[rel="${focused}"]`) ?? view.querySelector("[data-step]"))?.focus(); }
  if (section.closest(".context-page")) {
    history.replaceState(null, "", shown ? `${section.dataset.context}?at=${shown}` : section.dataset.context);
  }
}

const drag = later(80, (slider) => {
  const section = slider.closest("[data-context]");
  show(section, slider.value === slider.max ? "" : slider.value);
});

document.addEventListener("input", (event) => { if (event.target.id === "step-slider") { drag(event.target); } });
document.addEventListener("submit", (event) => { if (event.target.matches(".travel")) { event.preventDefault(); } });

document.addEventListener("click", (event) => {
  const link = event.target.closest("#context-view [data-step]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
  event.preventDefault();
  show(link.closest("[data-context]"), link.dataset.step);
});

document.addEventListener("keydown", (event) => {
  if (event.target.id === "step-slider") { travel(event); } else if (event.target.closest?.(".tile")) { move(event); }
});

function travel(event) {
  const slider = event.target, section = slider.closest("[data-context]");
  const { before, after, at } = section.querySelector(".context-view").dataset;
  const to = {
    ArrowLeft: before, ArrowDown: before, ArrowRight: at && after, ArrowUp: at && after, Home: slider.min, End: "",
  }[event.key];
  if (to === undefined) { return; }
  event.preventDefault();
  if (to === "" && event.key !== "End" && (!at || event.key === "ArrowLeft" || event.key === "ArrowDown")) { return; }
  slider.value = to === "" ? slider.max : to;
  show(section, to);
}

function move(event) {
  const tile = event.target.closest(".tile");
  const tiles = [...tile.closest(".map").querySelectorAll(".tile")], here = tiles.indexOf(tile);
  const to = { ArrowLeft: here - 1, ArrowUp: here - 1, ArrowRight: here + 1, ArrowDown: here + 1, Home: 0, End: tiles.length - 1 }[event.key];
  if (to === undefined || !tiles[to]) { return; }
  event.preventDefault();
  tile.setAttribute("tabindex", "-1");
  tiles[to].setAttribute("tabindex", "0");
  tiles[to].focus();
}

const known = new Map();

const point = later(90, async (tile) => {
  const map = tile.closest(".map");
  if (!map) { return; }
  const view = tile.closest(".context-view");
  const at = view.dataset.at, url = `${map.dataset.blocks}/${tile.dataset.index}${at ? `?at=${at}` : ""}`;
  const key = at ? url : "";
  const found = (key && known.get(key)) || await part(url);
  if (key && found.ok) { known.set(key, found); }
  if (!tile.isConnected) { return; }
  map.querySelector(".shown")?.classList.remove("shown");
  tile.classList.add("shown");
  view.querySelector(".block-panel").innerHTML = found.text;
});

for (const kind of ["mouseover", "focusin"]) {
  document.addEventListener(kind, (event) => {
    const tile = event.target.closest?.(".tile");
    if (tile) { point(tile); }
  });
}
