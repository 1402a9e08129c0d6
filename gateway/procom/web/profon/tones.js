/**
 * The sounds Profon makes itself, by WebAudio: ring tone, ringback and the click of a key.
 *
 * Frequencies of ringback and digits: ITU-T E.180 (425 Hz, 1 s on, 4 s off) and ITU-T Q.23.
 * @module profon/tones
 */

const ROWS_HZ = [697, 770, 852, 941];
const COLUMNS_HZ = [1209, 1336, 1477];
const KEYS = ["123", "456", "789", "*0#"];

/** One audio context, opened when first needed. A browser may keep it silent until the page is touched. */
export class Tones {
  #context = null;
  #timer = null;
  #playing = "none";
  /** Oscillators of the repeated sound, so that it can be cut off. */
  #sounding = [];

  /** Rings for an incoming call until another sound is chosen. */
  ring() {
    this.#repeat("ring", 3000, () => {
      for (const at of [0, 0.45]) this.#beep([660, 880], at, 0.32, 0.09);
    });
  }

  /** Knocks softly: another call comes in while one is talked on. */
  knock() {
    this.#repeat("knock", 6000, () => this.#beep([425], 0, 0.2, 0.03));
  }

  /** Tells the caller that it rings at the far side. */
  ringBack() {
    this.#repeat("ringback", 5000, () => this.#beep([425], 0, 1, 0.05));
  }

  /** Ends ringing of either kind. */
  stop() {
    clearInterval(this.#timer);
    for (const oscillator of this.#sounding.splice(0)) oscillator.disconnect();
    this.#playing = "none";
  }

  /** @param {string} digit */
  key(digit) {
    const row = KEYS.findIndex((keys) => keys.includes(digit));
    if (row < 0) return;
    this.#sound([ROWS_HZ[row], COLUMNS_HZ[KEYS[row].indexOf(digit)]], 0, 0.09, 0.03);
  }

  #repeat(name, every_ms, play) {
    if (this.#playing === name) return;
    this.stop();
    this.#playing = name;
    play();
    this.#timer = setInterval(play, every_ms);
  }

  #beep(...sound) {
    this.#sounding = this.#sounding.concat(this.#sound(...sound)).slice(-8);
  }

  /** @returns {OscillatorNode[]} */
  #sound(frequencies_hz, after_s, length_s, loudness) {
    this.#context ??= new AudioContext();
    const context = this.#context;
    context.resume().catch(() => {});
    const start = context.currentTime + after_s;
    const gain = context.createGain();
    gain.connect(context.destination);
    gain.gain.setValueAtTime(0, start);
    // Ramps instead of steps: a step is heard as a crack.
    gain.gain.linearRampToValueAtTime(loudness, start + 0.02);
    gain.gain.setValueAtTime(loudness, start + length_s - 0.04);
    gain.gain.linearRampToValueAtTime(0, start + length_s);
    return frequencies_hz.map((frequency) => {
      const oscillator = context.createOscillator();
      oscillator.frequency.value = frequency;
      oscillator.connect(gain);
      oscillator.start(start);
      oscillator.stop(start + length_s);
      return oscillator;
    });
  }
}
