// Uploads with progress: bytes as they are sent, then pages as the server reads them, from its stream of events.

const form = document.getElementById("upload");
const bar = document.getElementById("progress-bar");
const label = document.getElementById("progress-label");
const outcome = document.getElementById("outcome");

function show(text, value) {
  document.getElementById("progress").hidden = false;
  label.textContent = text;
  if (value === undefined) bar.removeAttribute("value");
  else bar.value = value;
}

function line(text, tone) {
  const item = document.createElement("li");
  item.className = tone;
  item.textContent = text;
  outcome.append(item);
}

const act = {
  begin: (data) => show(`${form.dataset.reading} ${data.source}`),
  page: (data) => show(label.textContent.replace(/ \(\d+ \/ \d+\)$/, "") + ` (${data.done} / ${data.total})`, data.total ? data.done / data.total : undefined),
  end: (data) => {
    line(`${data.source}: ${data.state}${data.why ? ` – ${data.why}` : ""}`, data.why ? "bad" : "good");
    data.notes.forEach((note) => line(note, "warn"));
  },
  report: (data) => { if (data.notice) line(data.notice, "warn"); },
  error: (data) => line(data.detail, "bad"),
};

function read(text) {
  // whole events only: each ends with an empty line
  const end = text.lastIndexOf("\n\n");
  if (end < 0) return 0;
  for (const block of text.slice(0, end).split("\n\n")) {
    const fields = block.split("\n");
    const type = fields.find((each) => each.startsWith("event: "))?.slice(7);
    const data = fields.filter((each) => each.startsWith("data: ")).map((each) => each.slice(6)).join("\n");
    if (type in act) act[type](JSON.parse(data));
  }
  return end + 2;
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  const button = form.querySelector("button");
  let seen = 0;
  outcome.replaceChildren();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/event-stream");
  request.setRequestHeader("HX-Request", "true");
  request.upload.onprogress = (sent) => show(form.dataset.sending, sent.lengthComputable ? sent.loaded / sent.total : undefined);
  request.onprogress = () => { if (request.status === 200) seen += read(request.responseText.slice(seen)); };
  request.onload = () => {
    if (request.status === 200) seen += read(request.responseText.slice(seen));
    else if (request.getResponseHeader("hx-redirect")) location.assign(request.getResponseHeader("hx-redirect"));
    else line(new DOMParser().parseFromString(request.responseText, "text/html").body.textContent.trim(), "bad");
  };
  request.onerror = () => line(form.dataset.failed, "bad");
  request.onloadend = () => {
    button.disabled = false;
    document.getElementById("progress").hidden = true;
    if (request.status === 200) form.reset();
    document.getElementById("documents").dispatchEvent(new CustomEvent("loaded"));
  };
  button.disabled = true;
  show(form.dataset.sending, 0);
  request.send(new FormData(form));
});
