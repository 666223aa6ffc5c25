// Says in words why a passkey did not work; allauth's script tells the console alone.
"use strict";

document.addEventListener("allauth.error", function (event) {
  event.preventDefault();
  var message = document.createElement("div");
  message.className = "alert alert-warning";
  message.setAttribute("role", "alert");
  message.textContent = navigator.credentials
    ? "The passkey did not work, or it was cancelled. Try again, or use another way to sign in."
    : "This browser uses passkeys only on pages that come over https. Use another way to sign in.";
  document.getElementById("messages").replaceChildren(message);
});
