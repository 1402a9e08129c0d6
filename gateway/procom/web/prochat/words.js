/**
 * What Prochat says, in one place. Pure.
 * @module prochat/words
 */

const STATUSES = Object.freeze({
  sending: "Sending", queued: "Sent", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Not sent",
});

const CONNECTIONS = Object.freeze({
  idle: "", connecting: "Connecting", connected: "Online", reconnecting: "Reconnecting", closed: "Not connected",
});

/** @param {string} status */
export function wordsOfStatus(status) {
  return STATUSES[status] ?? "";
}

/** @param {string} state */
export function wordsOfConnection(state) {
  return CONNECTIONS[state] ?? "";
}

/** @param {{code?: string, reason?: string}} error why the chat could not begin or go on */
export function wordsOfTrouble(error) {
  switch (error.code) {
    case "unreachable": return "The chat cannot be reached right now. It tries again by itself.";
    case "bad-token": return "This chat is no longer valid. Load the page again.";
    case "insecure-url": return "This chat needs a page that was loaded over HTTPS.";
    case "too-many-sessions":
    case "overload": return "Too many people are chatting right now. Try again in a minute.";
    default: return error.reason?.trim() || "The chat has ended.";
  }
}

/** @param {number} count */
export function wordsOfUnread(count) {
  if (count === 0) return "Open the chat";
  return count === 1 ? "Open the chat, 1 new message" : `Open the chat, ${count} new messages`;
}

/** @param {number} at_ms @returns {string} the time of day where the reader is */
export function wordsOfTime(at_ms) {
  return new Date(at_ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** @param {number} at_ms @param {number} now_ms @returns {string} */
export function wordsOfDay(at_ms, now_ms = Date.now()) {
  const days = Math.round((startOfDay(now_ms) - startOfDay(at_ms)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return new Date(at_ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

function startOfDay(at_ms) {
  return new Date(at_ms).setHours(0, 0, 0, 0);
}
