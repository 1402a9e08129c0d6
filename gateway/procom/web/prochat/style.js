/**
 * How Prochat looks: text for a constructed style sheet, which no Content-Security-Policy has to allow. What a page may
 * set stands first, as custom properties with a default.
 * @module prochat/style
 */

const LIGHT = `
  --ground: #ffffff; --raised: #f4f3ef; --ink: #1b211e; --soft: #5a615c; --rule: #e2dfd6; --field: #8b877c;
  --theirs: #efede7; --trouble: #a8231b; --trouble-ground: #fbe6e3; --focus: #155fa8;
  --accent: var(--prochat-accent, #0e6a54); --on-accent: var(--prochat-on-accent, #ffffff);
  --head: var(--accent); --on-head: var(--on-accent);
  --shadow: 0 2px 6px rgb(30 26 16 / 12%), 0 12px 40px rgb(30 26 16 / 20%);
  color-scheme: light;`;

const DARK = `
  --ground: #181f25; --raised: #10151a; --ink: #edf1f2; --soft: #a7b2b8; --rule: #2c363e; --field: #76838c;
  --theirs: #27323a; --trouble: #ff9d94; --trouble-ground: #3d1a18; --focus: #8cc0f6;
  --accent: var(--prochat-accent-dark, var(--prochat-accent, #5fd3b0));
  --on-accent: var(--prochat-on-accent-dark, var(--prochat-on-accent, #06251c));
  --head: color-mix(in srgb, var(--accent) 24%, #10151a); --on-head: var(--ink);
  --shadow: 0 2px 6px rgb(0 0 0 / 40%), 0 12px 40px rgb(0 0 0 / 45%);
  color-scheme: dark;`;

export const STYLE = `
:host { all: initial; display: block; ${LIGHT} }
:host([theme="dark"]) { ${DARK} }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { ${DARK} } }
:host([hidden]) { display: none; }

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
p, h2, ol { margin: 0; padding: 0; }
ol { list-style: none; }
svg { display: block; width: 24px; height: 24px; fill: none; stroke: currentcolor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.solid { fill: currentcolor; stroke: none; }
button, textarea { font: inherit; color: inherit; letter-spacing: inherit; }
button { border: 0; background: none; padding: 0; cursor: pointer; -webkit-tap-highlight-color: transparent; touch-action: manipulation; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.frame {
  position: fixed; z-index: var(--prochat-layer, 2147483000);
  right: max(var(--prochat-edge, 20px), env(safe-area-inset-right)); bottom: max(var(--prochat-edge, 20px), env(safe-area-inset-bottom));
  color: var(--ink); font: 16px/1.45 var(--prochat-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif);
  text-align: start;
}
:host([side="left"]) .frame { right: auto; left: max(var(--prochat-edge, 20px), env(safe-area-inset-left)); }

.launch {
  position: relative; display: grid; place-items: center; width: 60px; height: 60px; border-radius: 50%;
  background: var(--accent); color: var(--on-accent); box-shadow: var(--shadow); transition: transform 120ms ease;
}
.launch:hover { transform: scale(1.05); }
.launch:active { transform: scale(0.97); }
.launch svg { width: 32px; height: 32px; }
.badge {
  position: absolute; top: -3px; right: -3px; min-width: 24px; height: 24px; padding: 0 6px; border: 2px solid var(--ground);
  border-radius: 12px; background: #b3261e; color: #fff; font-size: 0.8125rem; font-weight: 700; line-height: 20px; text-align: center;
}

.panel {
  display: flex; flex-direction: column; overflow: hidden; width: min(384px, calc(100vw - 40px)); height: min(620px, calc(100dvh - 40px));
  border-radius: var(--prochat-radius, 20px); background: var(--ground); box-shadow: var(--shadow);
  animation: rise 160ms ease-out;
}
@keyframes rise { from { opacity: 0; transform: translateY(12px); } }

.head { display: flex; align-items: center; gap: 4px; padding-block: 14px; padding-inline: 18px 10px; background: var(--head); color: var(--on-head); }
.head > div { flex: 1; min-width: 0; }
.head h2 { overflow: hidden; font-size: 1.0625rem; font-weight: 700; line-height: 1.25; text-overflow: ellipsis; white-space: nowrap; }
.state { display: flex; align-items: center; gap: 6px; min-height: 1.3em; font-size: 0.8125rem; line-height: 1.3; }
.state::before { width: 8px; height: 8px; border: 1.5px solid currentcolor; border-radius: 50%; content: ""; }
.state[data-state="connected"]::before { background: currentcolor; }
.state[data-state="connecting"]::before, .state[data-state="reconnecting"]::before { animation: breathe 1.2s infinite; }
.state[data-state="idle"] { visibility: hidden; }
@keyframes breathe { 50% { opacity: 0.25; } }
.head button { display: grid; place-items: center; width: 44px; height: 44px; border-radius: 50%; }
.head button:hover { background: rgb(128 128 128 / 28%); }
.head button:focus-visible { outline-color: currentcolor; outline-offset: -4px; }

.notice { display: flex; align-items: center; gap: 10px; padding: 10px 16px; background: var(--trouble-ground); color: var(--trouble); font-size: 0.875rem; font-weight: 600; }

.log { flex: 1; overflow-y: auto; overscroll-behavior: contain; padding: 16px 16px 8px; scrollbar-width: thin; }
.log:focus-visible { outline-offset: -3px; }
.greeting { max-width: 85%; margin-bottom: 14px; color: var(--soft); }
.day { margin: 10px 0 12px; color: var(--soft); font-size: 0.75rem; font-weight: 600; text-align: center; }
.entry { display: flex; flex-direction: column; align-items: flex-start; margin-top: 10px; }
.entry.follows { margin-top: 3px; }
.entry.own { align-items: flex-end; }
.name { margin: 0 4px 3px; color: var(--soft); font-size: 0.75rem; overflow-wrap: anywhere; }
.bubble {
  max-width: 82%; padding: 9px 14px; border-radius: 18px; background: var(--theirs); overflow-wrap: anywhere; white-space: pre-wrap;
  unicode-bidi: plaintext; text-align: start;
}
.entry.own .bubble { background: var(--accent); color: var(--on-accent); }
.entry:not(.own):not(.follows) .bubble { border-start-start-radius: 6px; }
.entry.own:not(.follows) .bubble { border-start-end-radius: 6px; }
.entry[data-status="sending"] .bubble { opacity: 0.72; }
.entry[data-status="failed"] .bubble { background: var(--trouble-ground); color: var(--trouble); }
.fate { unicode-bidi: plaintext; margin: 3px 4px 0; color: var(--soft); font-size: 0.75rem; overflow-wrap: anywhere; }
.entry[data-status="failed"] .fate { color: var(--trouble); font-weight: 600; text-align: end; }
.again { margin-inline-start: 6px; padding: 4px 2px; font-weight: 700; text-decoration: underline; }
/* Only the newest of a run tells its time and fate. */
.entry:has(+ .entry.follows):not([data-status="failed"]) .fate { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

.typing { display: flex; align-items: center; gap: 5px; height: 34px; margin-top: 10px; padding: 0 14px; width: max-content; border-radius: 18px; background: var(--theirs); }
.typing i { width: 7px; height: 7px; border-radius: 50%; background: var(--soft); animation: breathe 1.2s infinite; }
.typing i:nth-of-type(2) { animation-delay: 0.2s; }
.typing i:nth-of-type(3) { animation-delay: 0.4s; }

.write { display: flex; align-items: flex-end; gap: 8px; padding: 10px 12px max(12px, env(safe-area-inset-bottom)); border-top: 1px solid var(--rule); }
.write textarea {
  flex: 1; min-width: 0; height: 46px; max-height: 132px; padding: 10px 14px; border: 1.5px solid var(--field); border-radius: 23px;
  background: var(--ground); resize: none; field-sizing: content; unicode-bidi: plaintext; line-height: 1.45;
}
@supports (field-sizing: content) { .write textarea { height: auto; min-height: 46px; } }
.write textarea::placeholder { color: var(--soft); opacity: 1; }
.write textarea:focus-visible { border-color: transparent; outline-offset: -1px; }
.send { display: grid; flex: none; place-items: center; width: 46px; height: 46px; border-radius: 50%; background: var(--accent); color: var(--on-accent); }
.send:disabled { background: var(--theirs); color: var(--soft); cursor: default; }
.send svg { width: 22px; height: 22px; }
:host(:dir(rtl)) .send svg { transform: scaleX(-1); }

@media (max-width: 480px) {
  .frame[data-open] { inset: 0 !important; }
  .panel { width: 100%; height: 100%; border-radius: 0; }
}
@media (prefers-reduced-motion: reduce) { *, *::before, *::after { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .launch, .panel, .bubble, .send, .write textarea { border: 1px solid buttontext; } }
`;
