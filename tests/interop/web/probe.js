// Runs in every page before its own code. Notes the frames of every WebSocket with the page's
// clock, and listens to every remote audio track: it keeps the samples and notes when each of
// `probedTones` (Hz) was first heard.
(() => {
  if (globalThis.probe) return;
  const probe = {
    frames: [], tones: {}, chunks: [], rate: 0, isListening: false, streams: [], context: null,
  };
  globalThis.probe = probe;
  const now = () => performance.timeOrigin + performance.now();

  const Socket = globalThis.WebSocket;
  globalThis.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      const note = (from, text) => probe.frames.push({ at_ms: now(), from, text: String(text) });
      // First in line, so that the time is the arrival and not the page's own work.
      this.addEventListener('message', (event) => note('gateway', event.data));
      this.addEventListener('close', (event) => note('closed', event.code));
      this.noteSent = (text) => note('client', text);
    }

    send(text) {
      this.noteSent(text);
      super.send(text);
    }
  };

  // Echo cancellation and its siblings take 17 dB off a steady tone.
  const devices = navigator.mediaDevices;
  if (devices) {
    const ask = devices.getUserMedia.bind(devices);
    devices.getUserMedia = (wanted) => ask({
      ...wanted,
      audio: wanted.audio && {
        echoCancellation: false, noiseSuppression: false, autoGainControl: false,
      },
    });
  }

  // Goertzel's filter: the share of a block's power at one frequency.
  const share = (block, hz, rate) => {
    const turn = 2 * Math.cos((2 * Math.PI * hz) / rate);
    let [one, two, power] = [0, 0, 1e-12];
    for (const sample of block) {
      [one, two] = [sample + turn * one - two, one];
      power += sample * sample;
    }
    return (one * one + two * two - turn * one * two) / ((power * block.length) / 2);
  };

  const follow = (track) => {
    const stream = new MediaStream([track]);
    const player = new Audio();
    // Chromium delivers silence to the graph unless some element plays the stream.
    player.muted = true;
    player.srcObject = stream;
    player.play().catch(() => {});
    // The track of a call before would go on giving silence.
    probe.context?.close();
    const context = new AudioContext();
    probe.context = context;
    probe.rate = context.sampleRate;
    probe.streams.push(stream);
    const tap = context.createScriptProcessor(1024, 1, 1);
    tap.onaudioprocess = (event) => {
      const block = event.inputBuffer.getChannelData(0).slice();
      if (probe.isListening) probe.chunks.push(block);
      for (const hz of globalThis.probedTones ?? []) {
        const isLoud = block.some((sample) => Math.abs(sample) > 0.02);
        if (!probe.tones[hz] && isLoud && share(block, hz, context.sampleRate) > 0.5) {
          probe.tones[hz] = now();
        }
      }
    };
    context.createMediaStreamSource(stream).connect(tap);
    tap.connect(context.destination);
    probe.keep = [...(probe.keep ?? []), context, tap, player];
  };

  const Connection = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Connection {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', (event) => {
        if (event.track.kind === 'audio') follow(event.track);
      });
    }
  };

  // Firefox's AudioContext never runs on a machine without a sound card; its MediaRecorder does.
  const record = () => {
    const recorder = new MediaRecorder(probe.streams.at(-1));
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    probe.stopRecorder = () => new Promise((done) => {
      recorder.onstop = async () => {
        const bytes = await new Blob(parts).arrayBuffer();
        const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes);
        probe.rate = sound.sampleRate;
        probe.chunks = [sound.getChannelData(0)];
        done();
      };
      recorder.stop();
    });
    recorder.start();
  };

  probe.listen = () => {
    probe.chunks = [];
    probe.isListening = true;
    if (probe.context?.state !== 'running' && probe.streams.length) record();
    return null;
  };

  // 16-bit samples in base64: JSON numbers would be six times as long.
  probe.heard = async () => {
    probe.isListening = false;
    await probe.stopRecorder?.();
    probe.stopRecorder = null;
    const samples = probe.chunks.flatMap((chunk) => [...chunk]);
    const bytes = new Uint8Array(new Int16Array(samples.map((s) => s * 32767)).buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return { rate_hz: probe.rate, samples: btoa(text) };
  };
})();
