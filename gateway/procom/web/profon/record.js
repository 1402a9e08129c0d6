/**
 * What the page remembers of one call beyond the SDK's own state: the last quality, trouble, digits and error.
 * Forgotten when the page goes.
 * @module profon/record
 */

/** Trouble is shown until it was not reported again for this long. */
const TROUBLE_MS = 10_000;
/** More digits than anybody reads. */
const KEPT_DIGITS = 32;

/** Follows one call and tells when something changed. */
export class CallRecord {
  #change;
  #troubleTimer = null;

  /**
   * @param {import("../sdk/call.js").Call} call
   * @param {() => void} change called after every change
   */
  constructor(call, change) {
    this.call = call;
    this.#change = change;
    this.quality = null;
    this.trouble = null;
    this.digits = "";
    this.path = "new";
    /** @type {Error|null} */
    this.error = null;
    this.#watch();
  }

  #watch() {
    const on = (type, take) => this.call.addEventListener(type, ({ detail }) => {
      take(detail);
      this.#change();
    });
    on("state", () => this.call.isEnded && clearTimeout(this.#troubleTimer));
    on("security", () => {});
    on("media", () => {});
    on("path", ({ state }) => { this.path = state; });
    on("quality", (quality) => { this.quality = quality; });
    on("digit", ({ digit }) => { this.digits = (this.digits + digit).slice(-KEPT_DIGITS); });
    on("failed", (error) => { this.error = error; });
    on("trouble", (trouble) => this.#note(trouble));
  }

  #note(trouble) {
    this.trouble = trouble;
    clearTimeout(this.#troubleTimer);
    this.#troubleTimer = setTimeout(() => {
      this.trouble = null;
      this.#change();
    }, TROUBLE_MS);
  }
}
