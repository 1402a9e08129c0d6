/**
 * The sheet that asks about an incoming call. It takes the focus, but to its title: a key pressed by chance must
 * not open the microphone.
 * @module profon/sheet
 */

import { byId, say, show } from "./dom.js";
import { initialOf, nameOf, shortAddress } from "./words.js";

/** One question at a time. */
export class IncomingSheet {
  #dialog = byId("incoming");
  /** @type {import("../sdk/call.js").Call|null} */
  #call = null;
  #on;

  /**
   * @param {object} on
   * @param {(call: import("../sdk/call.js").Call) => void} on.answer
   * @param {(call: import("../sdk/call.js").Call) => void} on.decline
   * @param {() => void} on.silence
   */
  constructor(on) {
    this.#on = on;
    byId("answer").addEventListener("click", () => this.#call && on.answer(this.#call));
    byId("decline").addEventListener("click", () => this.#call && on.decline(this.#call));
    byId("silence").addEventListener("click", () => this.#silence());
    this.#dialog.addEventListener("cancel", (event) => {
      // Escape must not lose a call that still rings.
      event.preventDefault();
      this.#silence();
    });
  }

  /**
   * Asks about a call, or closes.
   * @param {import("../sdk/call.js").Call|null} call
   * @param {boolean} isTalking another call is talked on and would be held
   */
  ask(call, isTalking) {
    if (call) say("answer-text", isTalking ? "Hold and answer" : "Answer");
    if (call === this.#call) return;
    this.#call = call;
    if (!call) return this.#dialog.close();
    this.#draw(call);
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #draw(call) {
    const name = nameOf(call);
    const address = shortAddress(call.peer);
    this.#dialog.dataset.call = call.id;
    say("incoming-title", `${name} is calling`);
    say("incoming-from", address === name ? "" : address);
    say("incoming-letter", initialOf(name));
    this.#dialog.querySelector(".face").classList.toggle("has-letter", initialOf(name) !== "");
    say("incoming-trust", call.isVerified
      ? "The caller's address is proven."
      : "The caller's address is not proven: it may be someone else.");
    show("silence", true);
  }

  #silence() {
    this.#on.silence();
    show("silence", false);
    byId("incoming-title").focus();
  }
}
