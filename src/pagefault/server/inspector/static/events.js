// What waits is asked for anew while somebody looks, but not while something in it is being filled in or asked about.

const waits = document.getElementById("waits");

document.body.addEventListener("refresh", () => {
  const isBusy = waits.contains(document.activeElement) || waits.querySelector("details[open]") ||
    [...waits.querySelectorAll("input:not([type=hidden])")].some((each) => each.value);
  if (!isBusy) waits.dispatchEvent(new CustomEvent("renew"));
});
