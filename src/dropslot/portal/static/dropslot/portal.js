// What every page needs: the menu on small screens, and times in the reader's own zone.
"use strict";

document.addEventListener("click", function (event) {
  var button = event.target.closest("[data-toggles]");
  if (!button) return;
  var opened = document.getElementById(button.dataset.toggles).classList.toggle("show");
  button.setAttribute("aria-expanded", String(opened));
});

// What is shown once is to be copied: one click selects it.
document.addEventListener("focusin", function (event) {
  if (event.target.matches("[data-selects]")) event.target.select();
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
