/**
 * What Prochat draws in its shadow tree: no markup from text, no style attributes.
 *
 *     launcher <--open, close--> panel: head | notice | log (entries, typing) | field and button
 *
 * @module prochat/view
 */

import { STYLE } from "./style.js";
import { wordsOfConnection, wordsOfDay, wordsOfStatus, wordsOfTime, wordsOfUnread } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const ICONS = Object.freeze({
  chat: ["M4 5.5A1.5 1.5 0 0 1 5.5 4h13A1.5 1.5 0 0 1 20 5.5v9a1.5 1.5 0 0 1-1.5 1.5H10l-4.5 4v-4A1.5 1.5 0 0 1 4 14.5Z"],
  close: ["M6 6l12 12M18 6L6 18"],
  send: ["M12 19V5M5.5 11.5L12 5l6.5 6.5"],
  call: ["M6.6 3.5 9 3l1.9 4.6-1.7 1.6a12 12 0 0 0 5.6 5.6l1.6-1.7L21 15l-.5 2.4A3.3 3.3 0 0 1 17.2 20 13.3 13.3 0 0 1 4 6.8a3.3 3.3 0 0 1 2.6-3.3Z"],
});

/** How near to its end the log must be to be kept there when something comes. */
const NEAR_PX = 80;
/** Messages of one side this close together stand as one run. */
const RUN_MS = 3 * 60_000;

/** The shadow tree. Tells what the person does by the actions it is given. */
export class View {
  /**
   * @param {ShadowRoot} root
   * @param {{open: () => void, close: () => void, send: (text: string) => void, typing: (hasText: boolean) => void,
   *   call: () => void, retry: (id: string) => void, again: () => void}} actions
   */
  constructor(root, actions) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    this.#build(root, actions);
  }

  /** @param {{title: string, greeting: string, hasCall: boolean}} settings */
  drawSettings({ title, greeting, hasCall }) {
    this.title.textContent = title;
    this.greeting.textContent = greeting;
    this.greeting.hidden = greeting === "";
    this.callButton.hidden = !hasCall;
    this.panel.setAttribute("aria-label", title);
  }

  /** @param {boolean} isOpen */
  drawOpen(isOpen) {
    this.frame.toggleAttribute("data-open", isOpen);
    this.panel.hidden = !isOpen;
    this.launch.hidden = isOpen;
    if (isOpen) this.scrollToEnd();
  }

  /** @param {number} count */
  drawUnread(count) {
    this.badge.textContent = count > 99 ? "99+" : String(count);
    this.badge.hidden = count === 0;
    this.launch.setAttribute("aria-label", wordsOfUnread(count));
  }

  /** @param {string} state */
  drawConnection(state) {
    this.state.dataset.state = state;
    this.state.textContent = wordsOfConnection(state);
  }

  /** @param {string} text @param {boolean} [canTryAgain] */
  drawNotice(text, canTryAgain = false) {
    this.noticeText.textContent = text;
    this.noticeAgain.hidden = !canTryAgain;
    this.notice.hidden = text === "";
  }

  /** @param {boolean} isOn */
  drawTyping(isOn) {
    const isAtEnd = this.#isAtEnd();
    this.typing.hidden = !isOn;
    this.typingWords.textContent = isOn ? "They are writing" : "";
    if (isOn && isAtEnd) this.scrollToEnd();
  }

  /** Draws one entry, new or changed. @param {import("./transcript.js").Entry} entry @param {string} peer */
  drawEntry(entry, peer) {
    const known = this.items.get(entry);
    if (known) return drawFate(known, entry);
    const isAtEnd = this.#isAtEnd() || entry.isOwn;
    const isNewDay = this.last === null || wordsOfDay(this.last.at_ms) !== wordsOfDay(entry.at_ms);
    if (isNewDay) this.list.append(make("li", { class: "day" }, wordsOfDay(entry.at_ms)));
    const follows = !isNewDay && this.last.isOwn === entry.isOwn && this.last.from === entry.from
      && entry.at_ms - this.last.at_ms < RUN_MS;
    const item = make("li", { class: `entry${entry.isOwn ? " own" : ""}${follows ? " follows" : ""}` });
    const who = make("span", { class: "unseen" }, entry.isOwn ? "You: " : "They: ");
    const claim = entry.isVerified === false ? `${entry.from} (sender not proven)` : entry.from;
    if (!entry.isOwn && claim !== peer && !follows) item.append(make("p", { class: "name" }, claim));
    item.append(make("p", { class: "bubble", dir: "auto" }, who, entry.text), make("p", { class: "fate" }));
    this.items.set(entry, item);
    this.list.append(item);
    this.last = entry;
    drawFate(item, entry);
    if (isAtEnd) this.scrollToEnd();
  }

  scrollToEnd() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  #isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_PX;
  }

  #build(root, actions) {
    /** @type {Map<object, HTMLElement>} */
    this.items = new Map();
    this.last = null;
    this.badge = make("span", { class: "badge", "aria-hidden": "true" });
    this.launch = button("launch", "Open the chat", actions.open, icon("chat"), this.badge);
    this.launch.setAttribute("aria-haspopup", "dialog");
    this.#buildHead(actions);
    this.#buildLog(actions);
    this.#buildField(actions);
    this.panel = make("section", { class: "panel", role: "dialog" }, this.head, this.notice, this.log, this.form);
    this.frame = make("div", { class: "frame" }, this.launch, this.panel);
    this.frame.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || this.panel.hidden) return;
      event.stopPropagation();
      actions.close();
    });
    root.append(this.frame);
  }

  #buildHead(actions) {
    this.title = make("h2");
    this.state = make("p", { class: "state", role: "status" });
    this.callButton = button("call", "Call instead of writing", actions.call, icon("call"));
    const close = button("close", "Close the chat", actions.close, icon("close"));
    this.head = make("header", { class: "head" }, make("div", {}, this.title, this.state), this.callButton, close);
    this.noticeText = make("span");
    this.noticeAgain = button("again", "Try again", actions.again, "Try again");
    this.notice = make("div", { class: "notice", role: "alert" }, this.noticeText, this.noticeAgain);
  }

  #buildLog(actions) {
    this.greeting = make("p", { class: "greeting", dir: "auto" });
    this.list = make("ol");
    this.typingWords = make("span", { class: "unseen" });
    this.typing = make("p", { class: "typing" }, this.typingWords, make("i"), make("i"), make("i"));
    this.log = make("div", { class: "log", role: "log", tabindex: "0", "aria-label": "Messages", "aria-live": "polite" },
      this.greeting, this.list, this.typing);
    this.log.addEventListener("click", ({ target }) => {
      const id = target instanceof HTMLElement ? target.dataset.retry : undefined;
      if (id !== undefined) actions.retry(id);
    });
  }

  #buildField(actions) {
    this.field = make("textarea", {
      rows: "1", dir: "auto", placeholder: "Write a message", "aria-label": "Write a message", enterkeyhint: "send", autocomplete: "off",
    });
    this.sendButton = button("send", "Send", () => this.#submit(actions), icon("send"));
    this.sendButton.disabled = true;
    this.form = make("div", { class: "write" }, this.field, this.sendButton);
    this.field.addEventListener("input", () => {
      this.#drawField();
      actions.typing(this.field.value.trim() !== "");
    });
    this.field.addEventListener("keydown", (event) => {
      // While an input method composes a letter, Enter belongs to it.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit(actions);
    });
  }

  #submit(actions) {
    const text = this.field.value;
    if (text.trim() === "") return;
    this.field.value = "";
    this.#drawField();
    this.field.focus();
    actions.send(text);
  }

  #drawField() {
    this.sendButton.disabled = this.field.value.trim() === "";
    // Browsers that size the field by its text need no rows.
    if (!CSS.supports("field-sizing", "content")) this.field.rows = Math.min(4, this.field.value.split("\n").length);
  }
}

function drawFate(item, entry) {
  item.dataset.status = entry.status;
  item.dataset.id = entry.id;
  const fate = item.querySelector(".fate");
  const time = make("time", { datetime: new Date(entry.at_ms).toISOString() }, wordsOfTime(entry.at_ms));
  if (!entry.isOwn) return fate.replaceChildren(time);
  if (entry.status !== "failed") return fate.replaceChildren(time, ` · ${wordsOfStatus(entry.status)}`);
  const again = button("again", "Try again to send this message", () => {}, "Try again");
  again.dataset.retry = entry.id;
  fate.replaceChildren(`${wordsOfStatus("failed")}. ${entry.reason}`, again);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(name, label, press, ...children) {
  const element = make("button", { type: "button", class: name, "aria-label": label, title: label }, ...children);
  element.addEventListener("click", () => press());
  return element;
}

function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  for (const shape of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    if (name === "call") path.setAttribute("class", "solid");
    drawing.append(path);
  }
  return drawing;
}
