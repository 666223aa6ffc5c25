// What every page needs: the menu on small screens, and times in the reader's own zone.
"use strict";

document.addEventListener("click", function (event) {
  var button = event.target.closest("[data-toggles]");
  if (!button) return;
  var opened = document.getElementById(button.dataset.toggles).classList.toggle("show");
  button.setAttribute("aria-expanded", String(opened));
});

// The menu "More" closes when something else is clicked or gets the focus, or by Escape, which leads back to its name.
function closeMore(event) {
  var menu = document.querySelector("details.more[open]");
  if (!menu || (event.type === "keydown" ? event.key !== "Escape" : menu.contains(event.target))) return;
  menu.open = false;
  if (event.type === "keydown") menu.querySelector("summary").focus();
}
document.addEventListener("click", closeMore);
document.addEventListener("focusin", closeMore);
document.addEventListener("keydown", closeMore);

// What is shown once is to be copied. Where the browser does not let a page copy (http from elsewhere), it is selected.
document.addEventListener("click", async function (event) {
  var button = event.target.closest("[data-copies]");
  if (!button) return;
  var text = document.getElementById(button.dataset.copies), told = button.nextElementSibling;
  try {
    await navigator.clipboard.writeText(text.textContent);
    told.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(text);
    told.textContent = "It is selected: press Ctrl+C, or Cmd+C on a Mac.";
  }
});

document.addEventListener("click", function (event) {
  if (event.target.closest("[data-prints]")) window.print();
});

function showLocalTimes(part) {
  part.querySelectorAll("time[datetime]:not([data-local])").forEach(function (element) {
    var moment = new Date(element.dateTime);
    if (isNaN(moment)) return;
    element.title = element.dateTime;
    element.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    element.dataset.local = "yes";
  });
}

document.addEventListener("DOMContentLoaded", function () { showLocalTimes(document); });
document.addEventListener("htmx:load", function (event) { showLocalTimes(event.detail.elt); });

// Parts that ask for news by themselves (data-polls) rest while nobody looks at the page; what somebody opened in them
// stays open.
document.addEventListener("htmx:beforeRequest", function (event) {
  var polls = event.target.hasAttribute("data-polls");
  var types = event.target.contains(document.activeElement) && document.activeElement.matches("input, textarea");
  if (polls && (document.hidden || types)) event.preventDefault();
});

var openedDetails = [];
document.addEventListener("htmx:beforeSwap", function (event) {
  openedDetails = Array.from(event.target.querySelectorAll("details[open][id]"), function (one) { return one.id; });
});
document.addEventListener("htmx:afterSwap", function () {
  openedDetails.forEach(function (id) {
    var one = document.getElementById(id);
    if (one) one.open = true;
  });
});

// A button that selects all boxes of its form, or none if all are selected.
document.addEventListener("click", function (event) {
  var button = event.target.closest("[data-selects]");
  if (!button) return;
  var boxes = Array.from(button.form.querySelectorAll('input[type="checkbox"][name="' + button.dataset.selects + '"]'));
  var all = boxes.every(function (box) { return box.checked; });
  boxes.forEach(function (box) { box.checked = !all; });
});
