// A client of the tus protocol: one file after the other, resumed after every kind of interruption.
"use strict";

window.dropslotClient = (function () {
  var PIECE = 64 * 1024 * 1024; // bytes of one request
  var AT_ONCE = 1024 * 1024; // smaller files come with the request that creates them
  var PAUSES = [1, 2, 4, 8, 15, 30]; // seconds between two tries
  var FEW = 8; // tries for what the portal refuses for the moment; without network or portal there is no limit
  var csrf = "";

  function Refused(status, title, nextStep) {
    this.status = status; this.title = title; this.nextStep = nextStep;
  }

  function Stopped() {}

  function encode(text) {
    var bytes = new TextEncoder().encode(text), binary = "";
    for (var i = 0; i < bytes.length; i += 1) binary += String.fromCharCode(bytes[i]);
    return btoa(binary);
  }

  function metadata(values) {
    return Object.keys(values).map(function (key) { return key + " " + encode(values[key]); }).join(",");
  }

  // One request. `job.requests` holds those that are under way, so that a pause can end them.
  function send(job, method, address, headers, body, onProgress) {
    return new Promise(function (resolve, reject) {
      if (job.isStopped) { reject(new Stopped()); return; }
      var request = new XMLHttpRequest();
      request.open(method, address);
      var said = Object.assign({ "Tus-Resumable": "1.0.0", "X-CSRFToken": csrf }, headers);
      Object.keys(said).forEach(function (key) { request.setRequestHeader(key, said[key]); });
      request.upload.onprogress = function (event) { if (onProgress) onProgress(event.loaded); };
      request.onloadend = function () {
        job.requests.delete(request);
        if (job.isStopped) reject(new Stopped());
        else if (request.status >= 200 && request.status < 300) resolve(request);
        else reject(problem(request));
      };
      job.requests.add(request);
      request.send(body === undefined ? null : body);
    });
  }

  function problem(request) {
    if (!request.status) return new Refused(0, "The network or the portal does not answer", "");
    var said = {};
    try { said = JSON.parse(request.responseText); } catch (error) { /* a server in front answered */ }
    var busy = request.status === 423 ? "The portal still writes what it has received" : ""; // HEAD has no words
    var title = said.title || busy || "The portal answered with " + request.status;
    return Object.assign(new Refused(request.status, title, said.next_step || ""), { reasons: said.reasons });
  }

  function heals(error) {
    return error.status === 0 || error.status >= 500 || [408, 409, 423, 429, 460].indexOf(error.status) >= 0;
  }

  // Until the seconds are over, the network is back, or the job is stopped.
  function pause(job, seconds) {
    return new Promise(function (resolve) {
      var timer = setTimeout(done, seconds * 1000);
      function done() {
        clearTimeout(timer);
        window.removeEventListener("online", done);
        job.wakers.delete(done);
        resolve();
      }
      window.addEventListener("online", done);
      job.wakers.add(done);
    });
  }

  // After a new sign-in in another tab the old CSRF token is none any more.
  async function renewed(job) {
    var answer = await fetch(job.page, { credentials: "same-origin" }).catch(function () { return null; });
    if (!answer || answer.redirected) return false;
    var page = new DOMParser().parseFromString(await answer.text(), "text/html");
    var zone = page.getElementById("drop-zone");
    if (!zone || zone.dataset.csrf === csrf) return false;
    csrf = zone.dataset.csrf;
    return true;
  }

  // `what` again and again until it succeeds, with growing pauses; what cannot heal is thrown.
  async function persistently(job, what, note) {
    var tries = 0, isRenewed = false;
    for (;;) {
      try {
        var result = await what(tries);
        note("");
        return result;
      } catch (error) {
        if (error instanceof Stopped) throw error;
        if (!(error instanceof Refused)) throw error;
        if (error.status === 403 && !isRenewed) {
          isRenewed = true;
          if (await renewed(job)) continue;
        }
        if (!heals(error) || (error.status > 0 && error.status < 500 && tries >= FEW)) throw error;
        var seconds = PAUSES[Math.min(tries, PAUSES.length - 1)];
        note(error.title + ". It is tried again in " + seconds + " s.");
        await pause(job, seconds);
        tries += 1;
      }
    }
  }

  function remembered(key, value) {
    try {
      if (value === undefined) return localStorage.getItem(key);
      if (value === null) localStorage.removeItem(key);
      else localStorage.setItem(key, value);
    } catch (error) { /* a full or forbidden storage: then nothing is resumed after a restart */ }
    return null;
  }

  function keyOf(job, file) {
    return ["dropslot", job.account, job.label, file.path, file.file.size, file.file.lastModified].join("|");
  }

  // file: {path, file, sent, address, isBegun, values}; all of it is sent when this returns.
  async function upload(job, file, note) {
    var isLarge = file.file.size > AT_ONCE, key = isLarge && !file.values.batch ? keyOf(job, file) : null;
    file.key = key;
    if (key && !file.address) file.address = remembered(key);
    await persistently(job, async function () {
      try {
        await once(job, file, isLarge, key);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 0 && file.file.size) await file.file.slice(0, 1).arrayBuffer(); // fails if it was changed
        if ((error.status !== 404 && error.status !== 410) || !file.address) throw error;
        file.address = null; // it was removed meanwhile
        await once(job, file, isLarge, key);
      }
    }, note);
    if (key) remembered(key, null);
  }

  async function once(job, file, isLarge, key) {
    var size = file.file.size, at = 0;
    if (file.address) {
      at = Number((await send(job, "HEAD", file.address, {})).getResponseHeader("Upload-Offset"));
    } else {
      var headers = { "Upload-Length": String(size), "Upload-Metadata": metadata(file.values) };
      if (!isLarge) headers["Content-Type"] = "application/offset+octet-stream";
      var answer = await send(job, "POST", job.tus, headers, isLarge ? undefined : file.file, function (sent) {
        file.sent = Math.min(sent, size);
      });
      at = Number(answer.getResponseHeader("Upload-Offset"));
      if (isLarge) {
        file.address = answer.getResponseHeader("Location");
        if (key) remembered(key, file.address);
      }
    }
    file.sent = at;
    while (at < size) at = await piece(job, file, at);
  }

  async function piece(job, file, at) {
    var headers = { "Upload-Offset": String(at), "Content-Type": "application/offset+octet-stream" };
    var body = file.file.slice(at, at + PIECE);
    var answer = await send(job, "PATCH", file.address, headers, body, function (sent) {
      file.sent = Math.min(at + sent, file.file.size);
    });
    file.sent = Number(answer.getResponseHeader("Upload-Offset"));
    return file.sent;
  }

  async function json(job, method, address, content) {
    var body = content === undefined ? undefined : JSON.stringify(content);
    var request = await send(job, method, address, { "Content-Type": "application/json" }, body);
    return request.responseText ? JSON.parse(request.responseText) : {};
  }

  function setCsrf(token) { csrf = token; }

  return { upload: upload, json: json, persistently: persistently, remembered: remembered, setCsrf: setCsrf,
    Refused: Refused, Stopped: Stopped };
})();
