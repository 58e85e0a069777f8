// What all pages have: lists are asked for anew while somebody looks, notices can be closed, dates are local.

const REFRESH = 10_000; // milliseconds

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

setInterval(() => {
  const typing = document.activeElement?.matches("#agents a, #agents input");
  if (document.visibilityState === "visible" && !typing) {
    document.body.dispatchEvent(new CustomEvent("refresh"));
  }
}, REFRESH);

const place = document.querySelector(".tabs [aria-current]"); // on a phone not all tabs are in view
if (place) place.parentElement.scrollLeft = place.offsetLeft - place.parentElement.offsetLeft - 40;

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.getElementById("notices").replaceChildren();
});

document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.requestConfig.verb !== "get") document.getElementById("notices").replaceChildren();
});

document.body.addEventListener("htmx:sendError", () => {
  notice(document.documentElement.lang.startsWith("zh") ? "服务器没有应答；请重试。" : "The server does not answer; try again.");
});

export function notice(text) {
  const line = document.createElement("p");
  line.className = "notice bad";
  line.textContent = text;
  document.getElementById("notices").replaceChildren(line);
}
