// Reads what was dropped or chosen: single files, and folders with all that is in them.
// An entry: {name, isFolder, files: [{path, file}], folders: [paths of empty ones], size}; paths begin with the name.
"use strict";

window.dropslotReading = (function () {
  function call(object, method) {
    return new Promise(function (resolve, reject) { object[method](resolve, reject); });
  }

  // A reader gives at most 100 entries at a time.
  async function listing(folder) {
    var reader = folder.createReader(), found = [];
    for (;;) {
      var some = await call(reader, "readEntries");
      if (!some.length) return found;
      found = found.concat(some);
    }
  }

  async function walk(folder, path, entry, count) {
    var inside = await listing(folder);
    if (!inside.length) entry.folders.push(path);
    for (var one of inside) {
      var below = path + "/" + one.name;
      if (one.isDirectory) {
        await walk(one, below, entry, count);
      } else {
        add(entry, below, await call(one, "file"));
        count(entry);
      }
    }
  }

  function fresh(name, isFolder) {
    return { name: name, isFolder: isFolder, files: [], folders: [], size: 0 };
  }

  function add(entry, path, file) {
    entry.files.push({ path: path, file: file });
    entry.size += file.size;
  }

  function single(file) {
    var entry = fresh(file.name, false);
    add(entry, file.name, file);
    return entry;
  }

  // `count` is called now and then with the number of files so far.
  function counter(count) {
    var files = 0, last = 0;
    return function () {
      files += 1;
      if (performance.now() - last > 100) { last = performance.now(); count(files); }
    };
  }

  // The entries must be asked for at once: the list is empty after the event.
  async function dropped(transfer, count) {
    var counted = counter(count), roots = [], loose = [];
    for (var item of Array.from(transfer.items || [])) {
      var root = item.kind === "file" && item.webkitGetAsEntry ? item.webkitGetAsEntry() : null;
      if (root) roots.push(root);
      else if (item.kind === "file" && item.getAsFile()) loose.push(item.getAsFile());
    }
    var found = loose.map(single);
    for (var one of roots) {
      if (one.isDirectory) {
        var entry = fresh(one.name, true);
        await walk(one, one.name, entry, counted);
        found.push(entry);
      } else {
        found.push(single(await call(one, "file")));
        counted();
      }
    }
    return found;
  }

  function chosen(files) {
    var folders = new Map(), found = [];
    for (var file of Array.from(files)) {
      var path = file.webkitRelativePath;
      if (!path || path.indexOf("/") < 0) { found.push(single(file)); continue; }
      var top = path.slice(0, path.indexOf("/"));
      if (!folders.has(top)) { folders.set(top, fresh(top, true)); found.push(folders.get(top)); }
      add(folders.get(top), path, file);
    }
    return found;
  }

  return { dropped: dropped, chosen: chosen };
})();
