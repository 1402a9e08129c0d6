/**
 * The few things Profon does with the document. No style attributes and no markup from text: a strict
 * Content-Security-Policy holds.
 * @module profon/dom
 */

/**
 * @param {string} id
 * @returns {any} the element, which the page is known to hold
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page lacks #${id}`);
  return element;
}

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Sets text only when it differs, so that a live region speaks once.
 * @param {string} id
 * @param {string} text
 */
export function say(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {string} id
 * @param {boolean} isShown
 */
export function show(id, isShown) {
  const element = byId(id);
  if (element.hidden === isShown) element.hidden = !isShown;
}

/**
 * @param {string} id of a `use` element
 * @param {string} icon name without its prefix
 */
export function setIcon(id, icon) {
  byId(id).setAttribute("href", `#i-${icon}`);
}
