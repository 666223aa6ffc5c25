// Shows what the portal says of the names before anything is sent: refusals on top, then names that were sent before.
"use strict";

window.dropslotReview = (function () {
  var MOST = 50; // shown of each kind

  function element(tag, classes, text) {
    var made = document.createElement(tag);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function button(classes, text, act) {
    var made = element("button", "btn " + classes, text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  function count(number, one, many) {
    return number.toLocaleString() + " " + (number === 1 ? one : many);
  }

  function size(bytes) {
    var units = ["B", "kB", "MB", "GB", "TB"], at = 0;
    while (bytes >= 1000 && at < units.length - 1) { bytes /= 1000; at += 1; }
    return bytes.toLocaleString(undefined, { maximumFractionDigits: at && bytes < 100 ? 1 : 0 }) + " " + units[at];
  }

  function duration(seconds) {
    if (seconds < 60) return Math.max(1, Math.round(seconds)) + " s";
    if (seconds < 3600) return Math.round(seconds / 60) + " min";
    return Math.floor(seconds / 3600) + " h " + Math.round((seconds % 3600) / 60) + " min";
  }

  function time(at) {
    var made = element("time", "", at);
    made.dateTime = at;
    return made;
  }

  function renaming(entry, number, act) {
    var group = element("div", "row g-2 align-items-center mt-1"), id = "upload-name-" + number;
    var label = element("label", "col-auto col-form-label col-form-label-sm", "Send under the name");
    label.htmlFor = id;
    var field = element("input", "form-control form-control-sm");
    field.id = id; field.value = entry.name; field.autocomplete = "off";
    var column = element("div", "col-sm-6 col-lg-4");
    column.append(field);
    var last = element("div", "col-auto");
    last.append(button("btn-secondary btn-sm", "Check again", function () { act(entry, field.value.trim()); }));
    field.addEventListener("keydown", function (event) { if (event.key === "Enter") act(entry, field.value.trim()); });
    group.append(label, column, last);
    return group;
  }

  function refused(found, acts) {
    var box = element("div", "alert alert-danger");
    box.setAttribute("role", "alert");
    box.append(element("h2", "h6", count(found.length, "entry", "entries") + " would be refused and will not be sent"));
    var list = element("ul", "mb-0 ps-3");
    found.slice(0, MOST).forEach(function (one, number) {
      var item = element("li", "mb-2");
      item.append(element("span", "name fw-semibold", one.entry.name));
      var reasons = element("ul", "mb-0");
      one.said.refused.slice(0, 5).forEach(function (reason) { reasons.append(element("li", "name", reason)); });
      if (one.said.reasons > 5) reasons.append(element("li", "", "and " + count(one.said.reasons - 5, "more reason", "more reasons")));
      item.append(reasons);
      if (one.said.next_step) item.append(element("div", "name", "What to do: " + one.said.next_step));
      if (acts.canRename(one.entry)) item.append(renaming(one.entry, number, acts.rename));
      list.append(item);
    });
    box.append(list);
    if (found.length > MOST) box.append(element("p", "mb-0 mt-2", "and " + count(found.length - MOST, "more", "more")));
    return box;
  }

  function repeated(found) {
    var box = element("div", "alert alert-warning");
    box.append(element("h2", "h6", count(found.length, "name was sent before", "names were sent before")));
    if (found.some(function (one) { return one.said.in_inbox || one.said.sent_before.some(function (before) { return before.state !== "failed"; }); })) {
      box.append(element("p", "mb-1", "If the content is other, it becomes a new version; the earlier one stays as it is."));
    } else {
      box.append(element("p", "mb-1", "Nothing of it was delivered: it was refused. If you have put it right, send it again."));
    }
    var list = element("ul", "mb-0 ps-3");
    found.slice(0, MOST).forEach(function (one) {
      var item = element("li");
      item.append(element("span", "name", one.entry.name), one.said.in_inbox && !one.said.sent_before.length
        ? ": an earlier one is still in the inbox" : ": ");
      one.said.sent_before.forEach(function (before, number) {
        item.append(number ? ", " : "", time(before.at), " (" + (before.state === "failed" ? "refused" : before.state === "done" ? "delivered" : "under way") + ")");
      });
      list.append(item);
    });
    box.append(list);
    if (found.length > MOST) box.append(element("p", "mb-0 mt-2", "and " + count(found.length - MOST, "more", "more")));
    return box;
  }

  // `judged`: [{entry, said}]. acts: rename(entry, name), canRename(entry), send(entries), discard(). Returns whether a person must decide.
  function show(place, judged, acts) {
    var bad = judged.filter(function (one) { return one.said.refused.length; });
    var good = judged.filter(function (one) { return !one.said.refused.length; });
    var again = good.filter(function (one) { return one.said.sent_before.length || one.said.in_inbox; });
    place.replaceChildren();
    place.hidden = !bad.length && !again.length;
    if (place.hidden) return false;
    if (bad.length) place.append(refused(bad, acts));
    if (again.length) place.append(repeated(again));
    var entries = good.map(function (one) { return one.entry; });
    var actions = element("div", "d-flex flex-wrap gap-2 mb-3");
    if (entries.length) {
      var files = entries.reduce(function (sum, entry) { return sum + entry.files.length; }, 0);
      var words = (bad.length ? "Send the other " : "Send ") + (bad.length && files === 1 ? "file" : count(files, "file", "files"));
      actions.append(button("btn-primary", words, function () { acts.send(entries); }));
      if (again.length && again.length < good.length) {
        var fresh = good.filter(function (one) { return again.indexOf(one) < 0; }).map(function (one) { return one.entry; });
        actions.append(button("btn-secondary", "Send only what is new", function () { acts.send(fresh); }));
      }
    }
    actions.append(button("btn-secondary", "Send nothing", acts.discard));
    place.append(actions);
    showLocalTimes(place);
    return true;
  }

  return { show: show, element: element, count: count, size: size, duration: duration };
})();
