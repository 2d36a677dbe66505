/* What makes the pages nicer where there is a script; everything works without. */
"use strict";

/* The page's language, with the reader's own region where that is known. */
const language = (navigator.languages || []).find(
  (each) => each.split("-")[0] === document.documentElement.lang.split("-")[0],
) || document.documentElement.lang;

function localTimes() {
  const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[data-local]")) {
    time.title = time.textContent;
    time.textContent = short.format(new Date(time.dateTime));
  }
  for (const place of document.querySelectorAll("[data-also-local]")) {
    place.textContent = `${short.format(new Date(place.dataset.alsoLocal))} (${place.dataset.words})`;
  }
}

function copyButtons() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const place = document.getElementById(button.dataset.copy);
      const before = button.textContent;
      try {
        await navigator.clipboard.writeText(place.dataset.text);
        button.textContent = button.dataset.done;
      } catch {
        window.getSelection().selectAllChildren(place); /* the reader copies it then */
      }
      setTimeout(() => { button.textContent = before; }, 2000);
    });
  }
}

function printButtons() {
  for (const button of document.querySelectorAll("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
}

/* The button that goes on stays disabled until what it depends on is ticked. */
function gates() {
  for (const box of document.querySelectorAll("input[type=checkbox][data-opens]")) {
    const button = document.getElementById(box.dataset.opens);
    const follow = () => { button.disabled = !box.checked; };
    box.addEventListener("change", follow);
    follow();
  }
}

/* The wait is for the address that a code went to: another one may be asked for at once. */
function resend() {
  for (const button of document.querySelectorAll("button[data-resend]")) {
    const at = Date.parse(button.dataset.resend);
    const words = button.textContent;
    const address = button.form.elements.email;
    const waits = () => !address || address.value === address.defaultValue;
    if (!(at > Date.now())) continue;
    for (const hint of document.querySelectorAll("[data-until]")) hint.hidden = true;
    const tick = () => {
      const left = Math.ceil((at - Date.now()) / 1000);
      button.disabled = left > 0 && waits();
      button.textContent = button.disabled ? `${words} (${left}\u00a0s)` : words;
      if (left > 0) setTimeout(tick, 500);
    };
    tick();
  }
}

/* A form is sent once, unless a file is the answer and the page stays; a page that comes back out of
   the browser's memory can be used again. */
function once() {
  for (const form of document.querySelectorAll("form[method=post]:not([data-download])")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
      form.setAttribute("aria-busy", "true");
      setTimeout(() => { /* whoever has stopped it may send it again */
        delete form.dataset.sent;
        form.removeAttribute("aria-busy");
      }, 10000);
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload();
  });
}

/* Whoever sends a wrong form hears why, and goes on typing in the field that was wrong. */
function focus() {
  const wrong = document.querySelector("main [aria-invalid=true]");
  if (wrong && wrong !== document.activeElement) wrong.focus();
}

for (const each of [localTimes, copyButtons, printButtons, gates, resend, once, focus]) each();
