// The upload page: what is chosen is read, checked, sent by three at a time, and shown.
"use strict";

(function () {
  var zone = document.getElementById("drop-zone");
  if (!zone) return;
  var client = window.dropslotClient, reading = window.dropslotReading, review = window.dropslotReview;
  var choices = JSON.parse(document.getElementById("drop-zone-choices").textContent);
  var size = review.size, duration = review.duration;
  var AT_A_TIME = 3, RATE_SECONDS = 8, NAMES_AT_ONCE = 5000;
  var job = newJob(), waiting = null;

  function by(id) { return document.getElementById(id); }

  function newJob() {
    return { entries: [], queue: [], active: new Set(), requests: new Set(), wakers: new Set(), isStopped: false,
      isPaused: false, isRunning: false, isCancelled: false, samples: [], note: "", page: zone.dataset.page, tus: zone.dataset.tus };
  }

  function choice() { var value = by("upload-route").value; return value === "" ? null : choices[Number(value)]; }

  // Choosing

  function showRules() {
    var one = choice(), said = [];
    if (one) {
      said.push({ files: "Takes files.", directories: "Takes folders.", any: "Takes files and folders." }[one.takes]);
      if (one.name_help) said.push(one.name_help.replace(/\.?$/, "."));
      if (one.patterns) said.push("Only " + one.patterns + ".");
      if (one.max_item_size) said.push("A file may be up to " + size(one.max_item_size) + ".");
      if (one.refuses_repeats) said.push("A name cannot be sent twice.");
    }
    by("upload-rules").textContent = said.join(" ");
    emphasize("upload-files", !one || one.takes !== "directories");
    emphasize("upload-folder", Boolean(one) && one.takes === "directories");
  }

  // The button for what the route takes is the main one.
  function emphasize(opens, isMain) {
    var classes = document.querySelector("[data-opens=" + opens + "]").classList;
    classes.toggle("btn-primary", isMain);
    classes.toggle("btn-secondary", !isMain);
  }

  async function take(read) {
    if (!choice()) {
      by("upload-route").focus();
      tell("First choose where to send to.");
      return;
    }
    if (job.isRunning) { tell("Wait until this upload has ended, or cancel it first."); return; }
    try {
      tell("Reading the list of files …", true);
      var entries = await read(function (files) {
        tell("Reading the list of files: " + review.count(files, "file", "files") + " so far. Nothing is sent yet.", true);
      });
      await check(entries.filter(function (entry) { return entry.files.length || entry.isFolder; }));
    } catch (error) {
      var what = error instanceof client.Refused ? error.title + ". " + error.nextStep : "These files cannot be read: " + error.message;
      tell(what);
    }
  }

  function tell(text, isBusy) {
    var place = by("upload-reading");
    place.hidden = !text;
    place.firstElementChild.hidden = !isBusy;
    place.lastElementChild.textContent = text || "";
  }

  // Checking

  async function check(entries) {
    if (!entries.length) { tell("There is no file in what you chose."); return; }
    var files = entries.reduce(function (sum, entry) { return sum + entry.files.length; }, 0);
    tell("Checking the names of " + review.count(files, "file", "files") + " …", true);
    var one = choice();
    waiting = [];
    for (var at = 0; at < entries.length; at += NAMES_AT_ONCE) {
      var some = entries.slice(at, at + NAMES_AT_ONCE);
      var wanted = Object.assign({}, one.fields, { route: one.route, names: some.map(asked) });
      var said = await client.json(newJob(), "POST", zone.dataset.checks, wanted);
      some.forEach(function (entry, number) { waiting.push({ entry: entry, said: said.names[number] }); });
    }
    tell("");
    waiting.forEach(function (pair) { leaveOut(pair.entry, pair.said.ignored); });
    var acts = { rename: rename, send: start, discard: discard, canRename: function (entry) {
      return one.takes === (entry.isFolder ? "directories" : "files") || one.takes === "any"; // no name helps against another kind
    } };
    if (!review.show(by("upload-review"), waiting, acts)) start(entries);
  }

  function asked(entry) {
    if (!entry.isFolder) return { name: entry.name, size_bytes: entry.size };
    var items = entry.files.map(function (one) { return [inside(one.path), one.file.size]; });
    return { name: entry.name, folder: true, items: items };
  }

  function inside(path) { return path.slice(path.indexOf("/") + 1); }

  function leaveOut(entry, ignored) {
    if (!ignored.length) return;
    var names = new Set(ignored);
    entry.files = entry.files.filter(function (one) { return !names.has(inside(one.path)); });
    entry.size = entry.files.reduce(function (sum, one) { return sum + one.file.size; }, 0);
  }

  function rename(entry, name) {
    entry.name = name;
    take(async function () { return waiting.map(function (pair) { return pair.entry; }); });
  }

  function discard() {
    var hadFocus = by("upload-review").contains(document.activeElement);
    waiting = null;
    by("upload-review").hidden = true;
    tell("");
    if (hadFocus) document.querySelector("[data-opens].btn-primary").focus();
  }

  // Sending

  function start(entries) {
    var hadFocus = by("upload-review").contains(document.activeElement); // which would fall to the page's begin
    by("upload-review").hidden = true;
    var one = choice();
    job = Object.assign(newJob(), { route: one.route, fields: one.fields, label: one.label, isRunning: true,
      account: zone.dataset.account });
    job.entries = entries.map(function (entry) { return Object.assign(entry, { state: "waiting", done: 0, why: "" }); });
    by("upload-progress").hidden = by("upload-list").hidden = false;
    by("upload-pause").hidden = by("upload-cancel").hidden = false;
    run(job);
    if (hadFocus) by("upload-state").focus();
  }

  async function run(mine) {
    mine.isStopped = mine.isPaused = false;
    mine.samples = [];
    draw();
    var timer = setInterval(draw, 300);
    try {
      for (var entry of mine.entries) if (entry.state !== "sent") await prepare(mine, entry);
      var workers = [];
      for (var i = 0; i < AT_A_TIME; i += 1) workers.push(work(mine));
      await Promise.all(workers);
    } catch (error) {
      if (!(error instanceof client.Stopped)) throw error;
    } finally {
      clearInterval(timer);
      if (!mine.isPaused) mine.isRunning = false;
      draw();
    }
  }

  // A folder is one batch, whose name is remembered: what is there already is not sent again.
  async function prepare(mine, entry) {
    entry.state = "waiting"; entry.why = ""; entry.done = 0;
    if (entry.isFolder && !entry.batch) {
      var newest = entry.files.reduce(function (last, one) { return Math.max(last, one.file.lastModified); }, 0);
      entry.key = ["dropslot-batch", mine.account, mine.label, entry.files.length ? entry.files[0].path.split("/")[0] : entry.name,
        entry.files.length, entry.size, newest].join("|");
      entry.batch = client.remembered(entry.key);
      entry.isBegun = Boolean(entry.batch);
      entry.batch = entry.batch || crypto.getRandomValues(new Uint32Array(4)).join("-");
      client.remembered(entry.key, entry.batch);
    }
    var known = entry.isFolder && entry.isBegun ? await received(mine, entry) : new Map();
    entry.isBegun = true;
    entry.left = 0;
    entry.files.forEach(function (one) {
      var there = known.get(one.path);
      one.sent = 0;
      one.entry = entry;
      one.values = Object.assign({}, mine.fields, { route: mine.route, modified: String(one.file.lastModified),
        filename: entry.isFolder ? one.file.name : entry.name });
      if (entry.isFolder) Object.assign(one.values, { relativePath: one.path, batch: entry.batch });
      if (there && there[2] === one.file.size) {
        one.sent = there[1];
        one.address = there[3];
        if (there[1] === there[2]) { entry.done += 1; return; }
      }
      entry.left += 1;
      mine.queue.push(one);
    });
    if (entry.isFolder && !entry.left) mine.queue.push({ entry: entry, isLast: true });
  }

  async function received(mine, entry) {
    var address = batchAddress(mine, entry);
    try {
      var said = await client.persistently(mine, function () { return client.json(mine, "GET", address); }, note(mine));
      return new Map(said.files.map(function (one) { return [one[0], one]; }));
    } catch (error) {
      if (error instanceof client.Refused && (error.status === 404 || error.status === 410)) return new Map();
      throw error;
    }
  }

  function batchAddress(mine, entry) {
    return zone.dataset.batch.replace("BATCH", encodeURIComponent(entry.batch)) + "?route=" + encodeURIComponent(mine.route);
  }

  function note(mine) { return function (text) { mine.note = text; }; }

  async function work(mine) {
    while (mine.queue.length && !mine.isStopped) {
      var file = mine.queue.shift(), entry = file.entry;
      if (entry.state === "failed") continue;
      mine.active.add(file);
      entry.state = "sending";
      try {
        if (!file.isLast) await client.upload(mine, file, note(mine));
        if (!file.isLast) { entry.done += 1; entry.left -= 1; }
        if (entry.left <= 0) await finish(mine, entry);
      } catch (error) {
        if (error instanceof client.Stopped) { mine.queue.unshift(file); return; }
        if (error.status === 401) { signedOut(mine, entry); return; }
        fail(entry, error);
      } finally {
        mine.active.delete(file);
      }
    }
  }

  async function finish(mine, entry) {
    if (entry.isFolder) {
      entry.state = "finishing";
      var wanted = Object.assign({}, mine.fields, { route: mine.route, name: entry.name, files: entry.files.length, folders: entry.folders });
      var address = zone.dataset.finish.replace("BATCH", encodeURIComponent(entry.batch));
      await client.persistently(mine, function () { return client.json(mine, "POST", address, wanted); }, note(mine));
      client.remembered(entry.key, null);
    }
    entry.state = "sent";
  }

  function signedOut(mine, entry) {
    entry.state = "waiting";
    mine.note = "You are signed out. Sign in again in another tab, then press Resume here: only the rest is sent.";
    mine.isPaused = true;
    stop();
  }

  function fail(entry, error) {
    entry.state = "failed";
    entry.why = error instanceof client.Refused ? error.title + ". " + error.nextStep
      : "It cannot be read any more: it was changed or removed. Choose it again.";
  }

  // Pausing and cancelling

  function stop() {
    job.isStopped = true;
    Array.from(job.requests).forEach(function (request) { request.abort(); });
    Array.from(job.wakers).forEach(function (wake) { wake(); });
  }

  by("upload-pause").addEventListener("click", function () {
    if (job.isPaused || !job.isRunning) { goOn(); return; }
    job.isPaused = true;
    stop();
    draw();
  });

  function goOn() {
    var before = job;
    job = Object.assign(newJob(), { entries: before.entries, route: before.route, fields: before.fields,
      label: before.label, account: before.account, isRunning: true });
    run(job);
  }

  by("upload-cancel").addEventListener("click", async function () {
    if (!window.confirm("Cancel this upload? What was sent of unfinished files is removed. What is sent stays sent.")) return;
    stop();
    var open = job.entries.filter(function (entry) { return entry.state !== "sent"; }), mine = newJob();
    job.isRunning = job.isPaused = false;
    job.isCancelled = true;
    open.forEach(function (entry) { if (entry.state !== "failed") entry.state = "cancelled"; });
    draw();
    by("upload-state").focus(); // the button is gone
    for (var entry of open) {
      entry.files.concat(entry).forEach(function (one) { if (one.key) client.remembered(one.key, null); });
      var addresses = entry.isFolder ? [batchAddress(job, entry)] : entry.files.map(function (one) { return one.address; }).filter(Boolean);
      for (var address of addresses) await removed(mine, address);
      entry.batch = null;
    }
    draw();
  });

  // The request that was ended may still be written to the disk: then again, a moment later.
  function removed(mine, address) {
    return client.persistently(mine, function () { return client.json(mine, "DELETE", address); }, function () {})
      .catch(function () { /* it expires by itself */ });
  }

  window.addEventListener("beforeunload", function (event) {
    if (job.isRunning) { event.preventDefault(); event.returnValue = ""; }
  });

  // Showing

  function sentOf(entry) {
    if (entry.state === "sent") return entry.size;
    return entry.files.reduce(function (sum, one) { return sum + (one.sent || 0); }, 0);
  }

  function totals() {
    var all = { bytes: 0, sent: 0, files: 0, done: 0, states: {} };
    job.entries.forEach(function (entry) {
      all.states[entry.state] = (all.states[entry.state] || 0) + 1;
      if (entry.state === "failed" || entry.state === "cancelled") return;
      all.bytes += entry.size; all.sent += sentOf(entry);
      all.files += entry.files.length;
      all.done += entry.state === "sent" ? entry.files.length : entry.done;
    });
    return all;
  }

  function rate(sent) {
    var now = performance.now() / 1000;
    job.samples.push([now, sent]);
    while (job.samples.length > 2 && now - job.samples[0][0] > RATE_SECONDS) job.samples.shift();
    var first = job.samples[0];
    return now > first[0] ? Math.max(0, (sent - first[1]) / (now - first[0])) : 0;
  }

  function draw() {
    if (!job.entries.length) return;
    var all = totals(), speed = rate(all.sent), failed = all.states.failed || 0;
    by("upload-state").textContent = job.isPaused ? "Paused" : job.isRunning ? "Sending"
      : job.isCancelled ? "Cancelled. Nothing more is sent."
      : failed ? review.count(failed, "entry was not uploaded", "entries were not uploaded") : "All uploaded";
    by("upload-bar").value = all.bytes ? all.sent / all.bytes : all.files ? all.done / all.files : 0;
    var said = [all.done.toLocaleString() + " of " + review.count(all.files, "file", "files"), size(all.sent) + " of " + size(all.bytes)];
    if (job.isRunning && !job.isPaused && speed > 0) said.push(size(speed) + "/s", duration((all.bytes - all.sent) / speed) + " left");
    if (job.isCancelled) said = all.done ? [review.count(all.done, "file was", "files were") + " uploaded before"] : [];
    by("upload-bar").hidden = job.isCancelled;
    by("upload-numbers").textContent = said.join(" · ");
    by("upload-note").textContent = job.isRunning ? job.note
      : job.isCancelled ? "" : failed ? "Try again sends what is left." : by("my-uploads") ? "Below, under “My uploads”, you see what becomes of it." : "On the page Home you see what becomes of it.";
    by("upload-pause").textContent = job.isRunning && !job.isPaused ? "Pause" : job.isPaused ? "Resume" : "Try again";
    by("upload-pause").hidden = !job.isRunning && (!failed || job.isCancelled);
    by("upload-cancel").hidden = !job.isRunning;
    drawNow();
    window.dropslotRows(by("upload-list"), by("upload-more"), job.entries);
  }

  function drawNow() {
    var rows = Array.from(job.active).filter(function (file) { return !file.isLast; }).map(function (file) {
      var row = review.element("div", "small"), bar = review.element("progress", "w-100");
      bar.max = file.file.size || 1; bar.value = file.sent;
      bar.setAttribute("aria-label", file.path);
      row.append(review.element("span", "name", file.path), " · " + size(file.sent) + " of " + size(file.file.size), bar);
      return row;
    });
    by("upload-now").replaceChildren.apply(by("upload-now"), job.isRunning && !job.isPaused ? rows : []);
  }

  // Events of the page

  client.setCsrf(zone.dataset.csrf);
  by("upload-route").addEventListener("change", function () { showRules(); discard(); });
  showRules();
  document.querySelectorAll("[data-opens]").forEach(function (button) {
    button.addEventListener("click", function () { by(button.dataset.opens).click(); });
  });
  ["upload-files", "upload-folder"].forEach(function (id) {
    by(id).addEventListener("change", function (event) {
      var entries = reading.chosen(event.target.files);
      event.target.value = ""; // the same files can be chosen again
      if (entries.length) take(async function () { return entries; });
    });
  });
  ["dragenter", "dragover"].forEach(function (kind) {
    zone.addEventListener(kind, function (event) { event.preventDefault(); by("upload-area").classList.add("is-over"); });
  });
  zone.addEventListener("dragleave", function (event) {
    if (!zone.contains(event.relatedTarget)) by("upload-area").classList.remove("is-over");
  });
  zone.addEventListener("drop", function (event) {
    event.preventDefault();
    by("upload-area").classList.remove("is-over");
    var found = null, count = function () {};
    var read = reading.dropped(event.dataTransfer, function (files) { count(files); });
    read.catch(function () { /* said by take */ });
    take(function (shown) { count = shown; found = found || read; return found; });
  });
})();
