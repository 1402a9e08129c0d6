//! The data channel of one port: texts over DCEP over SCTP over DTLS (RFC 8831, RFC 8832).
//!
//! The SCTP is `rtc-sctp`'s. Here is what stands around it: who may associate, which channel is taken, how much a peer
//! may make us hold, and what a text is.
//!
//! ```text
//!  DTLS data --> bytes a second --> Intake: what is held --> association --> stream --> DCEP: is it `procom`?
//!                                                                |               +--> text --> ChannelEvent
//!  DTLS data <-- packets <---------------------------------------+<-- text <------------------ ChannelCommand
//! ```
//!
//! The peer always associates and opens. A peer that breaks the rules loses its channel, for as long as its DTLS
//! association lives, and nothing else: not even a panic below reaches the port.

mod intake;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use gateway_core::channel::{ChannelCommand, ChannelEvent, ChannelText, MAX_CHANNEL_TEXT};
use rtc_datachannel::data_channel::{DataChannel, DataChannelConfig};
use rtc_datachannel::message::message_channel_open::ChannelType;
use rtc_sctp::{
    Association, AssociationHandle, Chunks, DatagramEvent, Endpoint, EndpointConfig, EndpointEvent,
    Event, Payload, PayloadProtocolIdentifier as Ppi, ServerConfig, StreamEvent, TransportConfig,
};
use rtc_shared::TransportProtocol;
use sansio::Protocol;

use intake::{Intake, Judgement, initial_tsn};
use limits::Allowance;

/// The SCTP port of our descriptions; it means nothing else (RFC 8841 §5).
pub(crate) const SCTP_PORT: u16 = 5000;
/// The only channel that is taken.
const LABEL: &str = "procom";
/// Channels a peer may open one after the other, taken or not.
const MAX_CHANNELS: usize = 16;
/// Associations that wait for their cookie: a repeated INIT begins another, and its answers cross.
const MAX_HALF_OPEN: usize = 4;
/// What is told to the peer as room for what it sends.
const WINDOW_BYTES: u32 = 128 * 1024;
/// What may wait for the peer's acknowledgement before it counts as one that does not listen.
const MAX_UNSENT_BYTES: usize = 512 * 1024;
/// The endpoint wants an address; there is one peer, wherever its datagrams come from.
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), SCTP_PORT);

/// The channel of one port.
pub(crate) struct Channel {
    /// None when the peer has lost it.
    machine: Option<Box<Machine>>,
    is_open: bool,
    events: VecDeque<ChannelEvent>,
    packets: VecDeque<Bytes>,
}

impl Channel {
    /// Waits for the peer, which takes texts of so many bytes (0: of any length; RFC 8841 §6).
    pub(crate) fn new(max_text: u32) -> Self {
        let ours = MAX_CHANNEL_TEXT as u32;
        let max_text = if max_text == 0 { ours } else { max_text.min(ours) };
        Self {
            machine: Some(Box::new(Machine::new(max_text))),
            is_open: false,
            events: VecDeque::new(),
            packets: VecDeque::new(),
        }
    }

    /// Takes what came over DTLS.
    pub(crate) fn handle_packet(&mut self, packet: Bytes, now: Instant) {
        self.guarded(|machine| machine.handle_packet(packet, now));
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.guarded(|machine| machine.handle_timeout(now));
    }

    /// Does what is asked; in vain where no channel is open.
    pub(crate) fn handle_command(&mut self, command: &ChannelCommand, now: Instant) {
        self.guarded(|machine| {
            let is_kept = match command {
                ChannelCommand::Say(text) => machine.say(text.as_str(), now),
                ChannelCommand::Close => machine.stream.is_none(),
            };
            if is_kept { machine.gather(now) } else { machine.abort(now) }
        });
    }

    pub(crate) fn poll_event(&mut self) -> Option<ChannelEvent> {
        self.events.pop_front()
    }

    /// A packet to go out over DTLS.
    pub(crate) fn poll_packet(&mut self) -> Option<Bytes> {
        self.packets.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.as_ref().and_then(|machine| machine.poll_timeout())
    }

    fn guarded(&mut self, step: impl FnOnce(&mut Machine) -> Standing) {
        let Some(machine) = &mut self.machine else { return };
        // A fault of the library, or of ours, is half done in the machine only, which is dropped whole.
        let standing = catch_unwind(AssertUnwindSafe(|| step(machine)));
        self.packets.extend(machine.packets.drain(..));
        for event in machine.events.drain(..) {
            self.is_open = event != ChannelEvent::Closed;
            self.events.push_back(event);
        }
        if !matches!(standing, Ok(Standing::Good)) {
            tracing::debug!(is_fault = standing.is_err(), "a data channel is given up");
            // Dropping what a panic left is guarded too.
            let machine = self.machine.take();
            let _ = catch_unwind(AssertUnwindSafe(|| drop(machine)));
            if std::mem::take(&mut self.is_open) {
                self.events.push_back(ChannelEvent::Closed);
            }
        }
    }
}

/// Whether the peer keeps its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Lost,
}

impl Standing {
    fn and(self, other: Self) -> Self {
        if self == Self::Lost { self } else { other }
    }
}

/// An association, up or not.
struct Held {
    handle: AssociationHandle,
    association: Association,
    intake: Intake,
}

struct Machine {
    endpoint: Endpoint,
    /// Until one of them is up.
    half_open: Vec<Held>,
    up: Option<Held>,
    /// The stream of the channel, while it is open.
    stream: Option<u16>,
    /// Streams the peer began.
    known: BTreeSet<u16>,
    channels: usize,
    bytes: Allowance,
    texts: Allowance,
    packets: VecDeque<Bytes>,
    events: VecDeque<ChannelEvent>,
}

impl Machine {
    fn new(max_text: u32) -> Self {
        let transport = TransportConfig::default()
            .with_sctp_port(SCTP_PORT)
            .with_max_receive_buffer_size(WINDOW_BYTES)
            .with_max_message_size(max_text);
        let server = Arc::new(ServerConfig::new(transport));
        let config = Arc::new(EndpointConfig::default());
        Self {
            endpoint: Endpoint::new(PEER, TransportProtocol::UDP, config, Some(server)),
            half_open: Vec::new(),
            up: None,
            stream: None,
            known: BTreeSet::new(),
            channels: 0,
            bytes: limits::BYTES,
            texts: limits::TEXTS,
            packets: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    fn handle_packet(&mut self, packet: Bytes, now: Instant) -> Standing {
        // What is too much is lost as if on the way: the peer's SCTP slows down.
        let cost = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        if !self.bytes.take(cost, now) {
            return Standing::Good;
        }
        let initial_tsn = initial_tsn(&packet);
        if initial_tsn.is_some() && self.up.is_some() {
            // A repetition that was late. A peer that begins anew does so with a new DTLS association.
            return Standing::Good;
        }
        match self.endpoint.handle(now, PEER, None, packet.clone()) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                let intake = Intake::new(initial_tsn.unwrap_or_default());
                self.half_open.push(Held { handle, association, intake });
                if self.half_open.len() > MAX_HALF_OPEN {
                    let oldest = self.half_open.remove(0);
                    self.forget(&oldest);
                }
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                let half_open = self.half_open.iter_mut();
                let Some(held) = half_open.chain(&mut self.up).find(|held| held.handle == handle)
                else {
                    return Standing::Good;
                };
                match held.intake.judge(&packet) {
                    Judgement::Take => held.association.handle_event(event),
                    Judgement::Drop => {}
                    Judgement::Abort => return self.abort(now),
                }
            }
            Some(_) | None => {}
        }
        self.gather(now)
    }

    fn handle_timeout(&mut self, now: Instant) -> Standing {
        for held in self.half_open.iter_mut().chain(&mut self.up) {
            if held.association.poll_timeout().is_some_and(|at| at <= now) {
                held.association.handle_timeout(now);
            }
        }
        self.gather(now)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let held = self.half_open.iter().chain(&self.up);
        held.filter_map(|held| held.association.poll_timeout()).min()
    }

    /// Says a text where a channel is open. False if the peer does not listen.
    fn say(&mut self, text: &str, now: Instant) -> bool {
        let (Some(held), Some(stream)) = (&mut self.up, self.stream) else { return true };
        let Ok(mut stream) = held.association.stream(stream) else { return false };
        let is_room = stream.buffered_amount().is_ok_and(|waiting| waiting <= MAX_UNSENT_BYTES);
        let (ppi, bytes) = match text {
            // SCTP cannot carry nothing (RFC 8831 §6.6).
            "" => (Ppi::StringEmpty, &[0][..]),
            _ => (Ppi::String, text.as_bytes()),
        };
        is_room && stream.write_with_ppi(now, bytes, ppi).is_ok()
    }

    /// Resets our half of a stream that is not taken; the peer's follows (RFC 8831 §6.7).
    fn refuse(&mut self, id: u16, now: Instant) {
        if let Some(held) = &mut self.up {
            if let Ok(mut stream) = held.association.stream(id) {
                // With anything unread in it the library would put the peer off for ever.
                while let Ok(Some(_)) = stream.read_sctp() {}
                let _ = stream.close(now);
            }
            held.intake.abandon(id);
        }
    }

    fn lose(&mut self, id: u16) {
        if self.stream == Some(id) {
            self.stream = None;
            self.events.push_back(ChannelEvent::Closed);
        }
    }

    fn abort(&mut self, now: Instant) -> Standing {
        if let Some(held) = &mut self.up {
            let _ = held.association.abort();
            take_packets(&mut held.association, &mut self.packets, now);
        }
        Standing::Lost
    }

    /// Takes out of the associations what they have to say.
    fn gather(&mut self, now: Instant) -> Standing {
        self.settle_half_open(now);
        let mut standing = Standing::Good;
        while let Some(event) = self.up.as_mut().and_then(|held| held.association.poll()) {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => {
                    standing = standing.and(self.read(id, now));
                }
                // In spite of its name it tells of one stream.
                Event::AssociationLost { id, .. } => {
                    self.known.remove(&id);
                    if let Some(held) = &mut self.up {
                        held.intake.release(id);
                    }
                    self.lose(id);
                }
                Event::HandshakeFailed { .. } => standing = Standing::Lost,
                Event::Connected | Event::Stream(_) | Event::DatagramReceived | _ => {}
            }
        }
        if standing == Standing::Lost {
            return self.abort(now);
        }
        let Some(held) = &mut self.up else { return Standing::Good };
        take_packets(&mut held.association, &mut self.packets, now);
        let mut is_over = held.association.is_closed();
        while held.association.poll_endpoint_event().is_some() {
            is_over = true;
        }
        // An ABORT raises no event of its own.
        if is_over { Standing::Lost } else { Standing::Good }
    }

    fn settle_half_open(&mut self, now: Instant) {
        let mut connected = None;
        for (at, held) in self.half_open.iter_mut().enumerate() {
            // There are no streams yet whose events could be missed.
            if !held.association.is_handshaking() {
                connected = Some(at);
            }
            take_packets(&mut held.association, &mut self.packets, now);
        }
        if let Some(at) = connected {
            self.up = Some(self.half_open.swap_remove(at));
            for other in std::mem::take(&mut self.half_open) {
                self.forget(&other);
            }
        }
    }

    fn forget(&mut self, held: &Held) {
        self.endpoint.handle_event(held.handle, EndpointEvent::drained());
    }

    /// Reads a stream until nothing is left: it is told only once.
    fn read(&mut self, id: u16, now: Instant) -> Standing {
        loop {
            let Some(held) = &mut self.up else { return Standing::Good };
            let Ok(mut stream) = held.association.stream(id) else { return Standing::Good };
            let Ok(Some(chunks)) = stream.read_sctp() else { return Standing::Good };
            held.intake.note_read();
            if self.stream == Some(id) {
                if !self.hear(&chunks, now) {
                    return Standing::Lost;
                }
            } else if self.known.insert(id) {
                self.channels += 1;
                if self.channels > MAX_CHANNELS {
                    return Standing::Lost;
                }
                if !self.open(id, &chunks, now) {
                    self.refuse(id, now);
                    return Standing::Good;
                }
            }
        }
    }

    /// The first message of a stream. False if its channel is not taken.
    fn open(&mut self, id: u16, chunks: &Chunks, now: Instant) -> bool {
        let (Some(held), None) = (&mut self.up, self.stream) else { return false };
        let Ok(payload) = chunks.to_payload(MAX_CHANNEL_TEXT) else { return false };
        let config = DataChannelConfig::default();
        let accepted = DataChannel::accept(config, held.handle.0, id, chunks.ppi, &payload);
        let Ok(mut accepted) = accepted else { return false };
        let config = accepted.config();
        // Messages rely on order and arrival.
        if config.label != LABEL || config.channel_type != ChannelType::Reliable {
            return false;
        }
        let Ok(mut stream) = held.association.stream(id) else { return false };
        while let Some(message) = accepted.poll_write() {
            if stream.write_with_ppi(now, &message.payload, message.ppi).is_err() {
                return false;
            }
        }
        self.stream = Some(id);
        self.events.push_back(ChannelEvent::Opened);
        true
    }

    /// A message of the channel. False if it is none that may be.
    fn hear(&mut self, chunks: &Chunks, now: Instant) -> bool {
        let text = match chunks.ppi {
            Ppi::StringEmpty => Some(String::new()),
            Ppi::String => {
                let payload = chunks.to_payload(MAX_CHANNEL_TEXT).ok();
                payload.and_then(|payload| String::from_utf8(payload.to_vec()).ok())
            }
            // The peer repeats itself.
            Ppi::Dcep => return true,
            Ppi::Binary | Ppi::BinaryEmpty | Ppi::Unknown | _ => None,
        };
        let Some(text) = text.filter(|_| self.texts.take(1, now)) else { return false };
        self.events.push_back(ChannelEvent::Heard(ChannelText::from(text)));
        true
    }
}

fn take_packets(association: &mut Association, packets: &mut VecDeque<Bytes>, now: Instant) {
    while let Some(transmit) = association.poll_transmit(now) {
        if let Payload::RawEncode(slices) = transmit.message {
            packets.extend(slices);
        }
    }
}
