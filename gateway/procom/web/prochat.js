/**
 * Prochat: a chat on any page, by one tag.
 *
 *     <script type="module" src="https://gateway.example/prochat.js" data-token="..." data-to="procom:shop"></script>
 *
 * Every `data-` attribute of the tag becomes an attribute of the element it makes; a page that wants the element in a
 * place of its own writes `<procom-chat token=".." to="..">` instead and leaves the tag bare. No style sheet, no inline
 * style and no inline script is added to the page, so that a strict Content-Security-Policy holds: it has to allow the
 * gateway in `script-src` and `connect-src`, and nothing else. See `SDK.md`.
 * @module prochat
 */

import { ProcomChat } from "./prochat/element.js";

export { ProcomChat };

if (!customElements.get("procom-chat")) customElements.define("procom-chat", ProcomChat);

/** Makes an element for each tag that loads this script and names somebody to write to. */
function adopt() {
  for (const tag of document.querySelectorAll("script[type=module][data-to]")) {
    if (tag.src !== import.meta.url || tag.dataset.prochat === "made") continue;
    const { prochat, ...settings } = tag.dataset;
    const element = document.createElement("procom-chat");
    for (const [name, value] of Object.entries(settings)) element.setAttribute(name.toLowerCase(), value);
    tag.dataset.prochat = "made";
    document.body.append(element);
  }
}

if (document.body) adopt();
else addEventListener("DOMContentLoaded", adopt, { once: true });
