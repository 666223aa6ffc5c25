// SHA-256 (FIPS 180-4) of a stream, in a worker: crypto.subtle takes a whole file into memory.
// Gets {file: File}; answers {done: bytes so far} now and then, at last {sha256: hex}, or {failed: words}.
"use strict";

var CONSTANTS = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);

function Sha256() {
  this.state = new Int32Array([
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ]);
  this.words = new Int32Array(64);
  this.rest = new Uint8Array(64);
  this.restLength = 0;
  this.length = 0; // bytes; exact up to 2^53
}

Sha256.prototype.update = function (bytes) {
  var at = 0;
  this.length += bytes.length;
  if (this.restLength) {
    at = Math.min(64 - this.restLength, bytes.length);
    this.rest.set(bytes.subarray(0, at), this.restLength);
    this.restLength += at;
    if (this.restLength < 64) return;
    this._blocks(this.rest, 0, 64);
    this.restLength = 0;
  }
  var end = at + ((bytes.length - at) & ~63);
  this._blocks(bytes, at, end);
  this.rest.set(bytes.subarray(end));
  this.restLength = bytes.length - end;
};

Sha256.prototype.hex = function () {
  var high = Math.floor(this.length / 0x20000000), low = (this.length << 3) >>> 0;
  var tail = new Uint8Array(this.restLength < 56 ? 64 : 128);
  tail.set(this.rest.subarray(0, this.restLength));
  tail[this.restLength] = 0x80;
  var view = new DataView(tail.buffer);
  view.setUint32(tail.length - 8, high);
  view.setUint32(tail.length - 4, low);
  this._blocks(tail, 0, tail.length);
  return Array.from(this.state, function (word) {
    return (word >>> 0).toString(16).padStart(8, "0");
  }).join("");
};

Sha256.prototype._blocks = function (bytes, at, end) {
  var s = this.state, w = this.words, k = CONSTANTS;
  var s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3], s4 = s[4], s5 = s[5], s6 = s[6], s7 = s[7];
  for (; at < end; at += 64) {
    var i, x, y;
    for (i = 0, x = at; i < 16; i++, x += 4) {
      w[i] = (bytes[x] << 24) | (bytes[x + 1] << 16) | (bytes[x + 2] << 8) | bytes[x + 3];
    }
    for (i = 16; i < 64; i++) {
      x = w[i - 15];
      y = w[i - 2];
      x = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      y = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + x + w[i - 7] + y) | 0;
    }
    var a = s0, b = s1, c = s2, d = s3, e = s4, f = s5, g = s6, h = s7;
    // Eight rounds at a time, after which each letter is in its own place again.
    for (i = 0; i < 64; i += 8) {
      x = (h + ((((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7)))) + (g ^ (e & (f ^ g))) + k[i + 0] + w[i + 0]) | 0;
      d = (d + x) | 0;
      h = (x + (((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) | (c & (a | b)))) | 0;
      x = (g + ((((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7)))) + (f ^ (d & (e ^ f))) + k[i + 1] + w[i + 1]) | 0;
      c = (c + x) | 0;
      g = (x + (((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10))) + ((h & a) | (b & (h | a)))) | 0;
      x = (f + ((((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7)))) + (e ^ (c & (d ^ e))) + k[i + 2] + w[i + 2]) | 0;
      b = (b + x) | 0;
      f = (x + (((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10))) + ((g & h) | (a & (g | h)))) | 0;
      x = (e + ((((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7)))) + (d ^ (b & (c ^ d))) + k[i + 3] + w[i + 3]) | 0;
      a = (a + x) | 0;
      e = (x + (((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10))) + ((f & g) | (h & (f | g)))) | 0;
      x = (d + ((((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7)))) + (c ^ (a & (b ^ c))) + k[i + 4] + w[i + 4]) | 0;
      h = (h + x) | 0;
      d = (x + (((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10))) + ((e & f) | (g & (e | f)))) | 0;
      x = (c + ((((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7)))) + (b ^ (h & (a ^ b))) + k[i + 5] + w[i + 5]) | 0;
      g = (g + x) | 0;
      c = (x + (((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10))) + ((d & e) | (f & (d | e)))) | 0;
      x = (b + ((((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7)))) + (a ^ (g & (h ^ a))) + k[i + 6] + w[i + 6]) | 0;
      f = (f + x) | 0;
      b = (x + (((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10))) + ((c & d) | (e & (c | d)))) | 0;
      x = (a + ((((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7)))) + (h ^ (f & (g ^ h))) + k[i + 7] + w[i + 7]) | 0;
      e = (e + x) | 0;
      a = (x + (((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10))) + ((b & c) | (d & (b | c)))) | 0;
    }
    s0 = (s0 + a) | 0; s1 = (s1 + b) | 0; s2 = (s2 + c) | 0; s3 = (s3 + d) | 0;
    s4 = (s4 + e) | 0; s5 = (s5 + f) | 0; s6 = (s6 + g) | 0; s7 = (s7 + h) | 0;
  }
  s[0] = s0; s[1] = s1; s[2] = s2; s[3] = s3; s[4] = s4; s[5] = s5; s[6] = s6; s[7] = s7;
};

async function hashFile(file, told) {
  var hash = new Sha256(), step = 4 * 1024 * 1024;
  for (var at = 0; at < file.size; at += step) {
    hash.update(new Uint8Array(await file.slice(at, at + step).arrayBuffer()));
    told(Math.min(at + step, file.size));
  }
  return hash.hex();
}

if (typeof self !== "undefined" && typeof window === "undefined" && typeof importScripts === "function") {
  self.addEventListener("message", function (event) {
    hashFile(event.data.file, function (done) { self.postMessage({ done: done }); }).then(
      function (hex) { self.postMessage({ sha256: hex }); },
      function (error) { self.postMessage({ failed: String(error && error.message) }); }
    );
  });
}
if (typeof module !== "undefined") module.exports = { Sha256: Sha256 };
