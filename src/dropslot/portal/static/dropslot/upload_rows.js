// The table of what is being uploaded: failures on top, the first MOST of all; the others are counted below it.
"use strict";

window.dropslotRows = (function () {
  var MOST = 200, review = window.dropslotReview, size = review.size;
  var WORDS = { waiting: "Waits", sending: "Is being uploaded", finishing: "Is being finished", sent: "Uploaded", failed: "Not uploaded",
    cancelled: "Cancelled" };

  function draw(table, told, entries) {
    var failed = entries.filter(function (entry) { return entry.state === "failed"; });
    var others = entries.filter(function (entry) { return entry.state !== "failed"; });
    var shown = failed.concat(others).slice(0, MOST), body = table.tBodies[0];
    while (body.rows.length > shown.length) body.deleteRow(-1);
    shown.forEach(function (entry, number) {
      var row = body.rows[number] || newRow(body);
      set(row.cells[0], entry.name);
      set(row.cells[1], size(entry.size));
      var files = entry.isFolder && entry.state !== "failed" && entry.state !== "cancelled" ? ": " + (entry.state === "sent" ? entry.files.length : entry.done).toLocaleString()
        + " of " + review.count(entry.files.length, "file", "files") : "";
      set(row.cells[2], WORDS[entry.state] + files + (entry.why ? ": " + entry.why : ""));
      row.className = entry.state === "failed" ? "table-danger" : "";
      row.dataset.state = entry.state;
    });
    var more = entries.length - shown.length;
    told.textContent = more > 0 ? "and " + review.count(more, "more", "more") : "";
  }

  function newRow(body) {
    var row = body.insertRow();
    row.insertCell().className = "name";
    row.insertCell().className = "number";
    row.insertCell();
    return row;
  }

  function set(cell, text) { if (cell.textContent !== text) cell.textContent = text; }

  return draw;
})();
