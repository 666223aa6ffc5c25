// "Do you know this file?": the file is read here, in a worker, and only its SHA-256 is sent.
"use strict";

document.addEventListener("DOMContentLoaded", function () {
  var drop = document.getElementById("drop");
  var input = document.getElementById("file");
  var told = document.getElementById("told");
  var progress = document.getElementById("progress");
  var reading = document.getElementById("reading");
  var worker = null;

  function stop(words) {
    if (worker) worker.terminate();
    worker = null;
    progress.hidden = true;
    document.getElementById("stop").hidden = true;
    told.textContent = words;
  }

  function size(bytes) {
    var units = ["bytes", "kB", "MB", "GB", "TB"], at = 0;
    while (bytes >= 1000 && at < units.length - 1) { bytes /= 1000; at++; }
    return (at ? bytes.toFixed(1) : bytes) + " " + units[at];
  }

  function lasting(seconds) {
    if (seconds < 60) return Math.max(1, Math.round(seconds)) + " s";
    return seconds < 3600 ? Math.round(seconds / 60) + " min" : (seconds / 3600).toFixed(1) + " h";
  }

  function show(done, file, began) {
    var seconds = (Date.now() - began) / 1000;
    progress.value = file.size ? done / file.size : 1;
    var words = size(done) + " of " + size(file.size);
    if (seconds > 1 && done) {
      words += ", " + size(done / seconds) + " a second, " + lasting((file.size - done) * seconds / done) + " left";
    }
    told.textContent = words;
  }

  function read(file) {
    stop("");
    document.getElementById("answer").replaceChildren();
    reading.hidden = progress.hidden = document.getElementById("stop").hidden = false;
    var began = Date.now();
    show(0, file, began);
    worker = new Worker(drop.dataset.worker);
    worker.addEventListener("message", function (event) {
      if (event.data.sha256) {
        stop(file.name + ", " + size(file.size));
        window.htmx.ajax("GET", drop.dataset.ask + "?sha256=" + event.data.sha256, "#answer");
      } else if ("failed" in event.data) {
        stop("The file cannot be read: it may have been changed, moved or removed. Choose it again. A folder cannot be read.");
      } else {
        show(event.data.done, file, began);
      }
    });
    worker.addEventListener("error", function () { stop("This browser cannot compute the SHA-256. Compute it with sha256sum, and type it below."); });
    worker.postMessage({ file: file });
  }

  input.addEventListener("change", function () { if (input.files.length) read(input.files[0]); });
  document.getElementById("stop").addEventListener("click", function () { stop("Stopped."); });
  drop.addEventListener("dragover", function (event) { event.preventDefault(); drop.classList.add("border-primary"); });
  drop.addEventListener("dragleave", function () { drop.classList.remove("border-primary"); });
  drop.addEventListener("drop", function (event) {
    event.preventDefault();
    drop.classList.remove("border-primary");
    if (event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
  });
});
