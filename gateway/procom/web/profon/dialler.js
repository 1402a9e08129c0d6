/**
 * The address field and the number pad. The pad types into the field, or sends digits into the call in front.
 * @module profon/dialler
 */

import { plainAddress } from "../sdk/display.js";
import { byId, say, show } from "./dom.js";
import { ECHO, HINT } from "./words.js";

/** How long 0 is pressed to become +, ms. */
const LONG_PRESS_MS = 500;

/** How long nothing is typed before it is asked what a call would become, ms. */
const PAUSE_MS = 600;

/** Turns presses into `dial` and `digit`. */
export class Dialler {
  #on;
  #address = byId("address");
  #longPress = null;
  #pause = null;
  #wasLong = false;
  /** Who gets digits, or null while the pad types addresses. */
  #listener = null;
  #sent = "";

  /**
   * @param {object} on
   * @param {(address: string) => void} on.dial
   * @param {(digit: string) => void} on.digit into the call in front
   * @param {(address: string) => Promise<string>} on.draft what a call to it would become, in words
   * @param {(digit: string) => void} on.key a key was pressed, to be heard
   */
  constructor(on) {
    this.#on = on;
    const keypad = byId("keypad");
    keypad.addEventListener("click", (event) => {
      const key = event.target.closest("button[data-digit]");
      if (key) this.#handleKey(key.dataset.digit);
    });
    keypad.addEventListener("keydown", (event) => this.#handleTyped(event));
    this.#watchLongPress(keypad.querySelector("[data-digit='0']"));
    this.#address.addEventListener("input", () => this.#drawErase());
    byId("erase").addEventListener("click", () => this.#erase());
    byId("dial-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    byId("call-echo").addEventListener("click", () => on.dial(ECHO));
  }

  /**
   * Chooses where the pad's digits go.
   * @param {{id: string, name: string}|null} call
   */
  listen(call) {
    if (this.#listener?.id !== call?.id) this.#sent = "";
    this.#listener = call;
    const title = call ? `Digits for ${call.name}${this.#sent && `: ${this.#sent}`}` : "Number pad";
    say("keypad-title", title);
    byId("dialler").dataset.pad = call ? "call" : "address";
  }

  /** Empties the field after a call was placed. */
  clear() {
    this.#address.value = "";
    this.#drawErase();
  }

  /** Puts an address from elsewhere into the field and waits for the person to call it. @param {string} address */
  offer(address) {
    this.#address.value = plainAddress(address);
    this.#drawErase();
    byId("call").focus({ preventScroll: true });
  }

  focus() {
    this.#address.focus({ preventScroll: true });
  }

  #submit() {
    const address = this.#address.value.trim();
    if (address) this.#on.dial(address);
    else this.focus();
  }

  #handleKey(digit) {
    if (this.#wasLong) {
      this.#wasLong = false;
      return;
    }
    this.#on.key(digit);
    if (!this.#listener) return this.#type(digit);
    this.#on.digit(digit);
    this.#sent = (this.#sent + digit).slice(-12);
    this.listen(this.#listener);
  }

  /** With the focus on the pad, the keyboard's digits work too. */
  #handleTyped(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^[0-9*#]$/.test(event.key)) this.#handleKey(event.key);
    else if (event.key === "+" && !this.#listener) this.#type("+");
    else if (event.key === "Backspace" && !this.#listener) this.#erase();
  }

  #type(text) {
    this.#address.value += text;
    this.#drawErase();
  }

  #erase() {
    this.#address.value = this.#address.value.slice(0, -1);
    this.#drawErase();
    if (!this.#address.value) this.focus();
  }

  #drawErase() {
    show("erase", this.#address.value !== "");
    clearTimeout(this.#pause);
    this.#drawHint(HINT);
    const address = this.#address.value.trim();
    if (address !== "") this.#pause = setTimeout(() => this.#explain(address), PAUSE_MS);
  }

  async #explain(address) {
    const words = await this.#on.draft(address);
    // Meanwhile something else may have been typed.
    if (words !== "" && this.#address.value.trim() === address) this.#drawHint(words);
  }

  #drawHint(words) {
    say("address-hint", words);
  }

  #watchLongPress(zero) {
    const stop = () => clearTimeout(this.#longPress);
    zero.addEventListener("pointerdown", () => {
      this.#wasLong = false;
      this.#longPress = setTimeout(() => {
        if (this.#listener) return;
        this.#wasLong = true;
        this.#type("+");
      }, LONG_PRESS_MS);
    });
    for (const type of ["pointerup", "pointerleave", "pointercancel"]) zero.addEventListener(type, stop);
  }
}
