//! What flows through a port once it is agreed: sound, digits, reports.
//!
//! ```text
//!  datagram --> source --> open --> direction --> codec --> Inbound --> (plane) --> the joined port
//!                                                   \--> digits heard
//!  Inbound --> direction --> codec --> header anew --> Rewriter --> seal --> Transmit
//!  digits to press, reports ------------------------------^
//! ```

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway_core::description::Codec;
use gateway_core::media::{MediaEvent, QualityCodec};

use super::{Agreed, Path, Port};
use crate::counters::{Outcome, Way};
use crate::dtmf::{self, Digit};
use crate::io::{Random, Transmit, random_u64};
use crate::path::r#static::Source;
use crate::rewriter::Rewriter;
use crate::rtcp::Reporter;
use crate::rtp::{self, FIXED_HEADER_BYTES, Header};
use crate::srtp::{MAX_TAIL_BYTES, Refused};

/// Between two reports of quality.
const QUALITY_INTERVAL: Duration = Duration::from_secs(3);
/// Room for a report of ours (`Reporter::poll_report` needs 128 bytes) and its tail.
const REPORT_BYTES: usize = 160;

/// An opened packet on its way to the joined port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inbound {
    pub(crate) length: usize,
    header: Header,
    encoding: Encoding,
}

/// Name, clock and channels of a codec as one number, so that packets are matched without comparing text. Two
/// names with one number would need a peer that looks for them, to confuse its own sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoding(u64);

impl Encoding {
    fn of(codec: &Codec) -> Self {
        let name = codec.name.bytes().map(|byte| byte.to_ascii_lowercase());
        let clock = codec.clock_hz.to_be_bytes();
        let bytes = name.chain(clock).chain([codec.channels]);
        // FNV-1a, 64 bits.
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// One agreed codec, as packets need it.
#[derive(Clone, Copy, Debug)]
struct Lane {
    receive_type: u8,
    send_type: u8,
    encoding: Encoding,
    clock_hz: u32,
    is_event: bool,
    quality: Option<QualityCodec>,
}

impl Lane {
    fn new(agreed: &Agreed) -> Self {
        let codec = &agreed.codec;
        Self {
            receive_type: agreed.receive_type,
            send_type: agreed.send_type,
            encoding: Encoding::of(codec),
            clock_hz: codec.clock_hz,
            is_event: codec.is_telephone_event(),
            quality: match codec.name.to_ascii_lowercase().as_str() {
                "opus" => Some(QualityCodec::Opus),
                "g722" => Some(QualityCodec::G722),
                "pcmu" | "pcma" => Some(QualityCodec::G711),
                _ => None,
            },
        }
    }
}

/// The state of what flows.
pub(super) struct Flow {
    lanes: Vec<Lane>,
    /// The clock of the sound we send.
    clock_hz: u32,
    rewriter: Rewriter,
    reporter: Reporter,
    spread: u32,
    digits_in: Option<dtmf::Receiver>,
    digits_out: Option<(u8, dtmf::Sender)>,
    heard: QualityCodec,
    heard_ssrc: Option<u32>,
    quality_at: Option<Instant>,
}

impl Flow {
    pub(super) fn new(cname: &str, random: &mut Random, now: Instant) -> Self {
        let [numbers, seed] = [random_u64(random), random_u64(random)];
        let (ssrc, timestamp) = ((numbers >> 32) as u32, numbers as u32);
        let (sequence, spread) = ((seed >> 48) as u16, seed as u32);
        Self {
            lanes: Vec::new(),
            clock_hz: 8_000,
            rewriter: Rewriter::new(ssrc, sequence, timestamp, 8_000),
            reporter: Reporter::new(ssrc, cname.to_owned(), 8_000, spread, now),
            spread,
            digits_in: None,
            digits_out: None,
            heard: QualityCodec::G711,
            heard_ssrc: None,
            quality_at: None,
        }
    }

    /// See [`super::touch`].
    #[inline]
    pub(super) fn touch(&self) {
        black_box((self.lanes.len(), self.heard_ssrc));
        self.reporter.touch();
    }

    /// See [`super::touch`].
    #[inline]
    pub(super) fn touch_sending(&self) {
        black_box(self.digits_out.is_some());
        self.rewriter.touch();
    }

    /// See [`super::touch`].
    #[inline]
    pub(super) fn touch_lanes(&self) {
        black_box(self.lanes.first().map(|lane| lane.encoding));
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.rewriter.ssrc()
    }

    pub(super) fn expect_new_source(&mut self) {
        self.rewriter.expect_new_source();
    }

    pub(super) fn set_agreed(&mut self, agreed: &[Agreed]) {
        self.lanes = agreed.iter().map(Lane::new).collect();
        if let Some(first) = self.lanes.iter().find(|lane| !lane.is_event).copied() {
            self.set_clock(first.clock_hz);
            self.heard = first.quality.unwrap_or(self.heard);
        }
    }

    /// Follows the clock of the sound we send: digits are of the same clock (RFC 4733 §2.1).
    fn set_clock(&mut self, clock_hz: u32) {
        let is_event = |lane: &&Lane| lane.is_event && lane.clock_hz == clock_hz;
        let event = self.lanes.iter().find(is_event).map(|lane| lane.send_type);
        let is_same = self.clock_hz == clock_hz
            && event == self.digits_out.as_ref().map(|(send_type, _)| *send_type);
        self.clock_hz = clock_hz;
        self.rewriter.set_clock(clock_hz);
        if !is_same {
            self.digits_out = event.map(|send_type| (send_type, dtmf::Sender::new(clock_hz)));
        }
    }

    /// A number that only has to differ from others: it spreads the times of reports (RFC 3550 §6.3.1).
    fn next_spread(&mut self) -> u32 {
        self.spread = self.spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.spread
    }
}

impl Port {
    /// Takes an RTP datagram; what is to go on is in the first bytes of `packet` afterwards.
    pub(crate) fn handle_rtp(
        &mut self,
        source: SocketAddr,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<Inbound, Outcome> {
        // Before the answer nothing is agreed, not even that there is no protection.
        if self.remote.is_none() {
            return Err(Outcome::NoKeys);
        }
        let judged = self.judge(source);
        if judged == Source::Stranger {
            return Err(Outcome::WrongSource);
        }
        let is_proven_by_tag = self.guard.suite().is_some();
        if judged == (Source::Learnable { is_signalling_peer: false }) && !is_proven_by_tag {
            return Err(Outcome::WrongSource);
        }
        let length = opened(self.guard.open_rtp(packet))?;
        let header = Header::parse(&packet[..length]).ok_or(Outcome::Malformed)?;
        let lane = self.flow.lanes.iter().find(|lane| lane.receive_type == header.payload_type);
        let lane = lane.copied().ok_or(Outcome::NoCodec)?;
        if let Path::Static(path) = &mut self.path {
            path.accept_rtp(source);
        }
        if lane.is_event {
            self.hear_digits(&lane, &header, header.payload(&packet[..length]), now);
        } else {
            self.flow.reporter.set_clock(lane.clock_hz);
            self.flow.heard = lane.quality.unwrap_or(self.flow.heard);
        }
        self.flow.heard_ssrc = Some(header.ssrc);
        self.flow.reporter.handle_received(&header, now);
        if self.watch.note_sound(now) {
            self.events.push_back(MediaEvent::Heard(self.id));
        }
        if !self.direction.receives() {
            return Err(Outcome::NotWanted);
        }
        Ok(Inbound { length, header, encoding: lane.encoding })
    }

    /// Makes of a packet of the joined port one of ours, in `buffer` in place of what was there.
    pub(crate) fn send_rtp(
        &mut self,
        packet: &[u8],
        inbound: &Inbound,
        buffer: Vec<u8>,
        now: Instant,
    ) -> Result<Transmit, Outcome> {
        if !self.direction.sends() {
            return Err(Outcome::NotWanted);
        }
        let lane = self.flow.lanes.iter().find(|lane| lane.encoding == inbound.encoding);
        let lane = lane.copied().ok_or(Outcome::NoCodec)?;
        // Digits have the clock of the sound around them, so they announce a change as well as sound does.
        if lane.clock_hz != self.flow.clock_hz {
            self.flow.set_clock(lane.clock_hz);
        }
        let is_pressing = self.flow.digits_out.as_ref().is_some_and(|(_, out)| out.is_sending());
        if is_pressing {
            return Err(Outcome::NotWanted);
        }
        let header = Header {
            payload_type: lane.send_type,
            header_bytes: FIXED_HEADER_BYTES,
            padding_bytes: 0,
            ..inbound.header
        };
        let payload = inbound.header.payload(packet);
        let (mut buffer, length) = compose(&header, payload, buffer);
        self.flow.rewriter.rewrite(&mut buffer[..length], now).map_err(|_| Outcome::OutOfPlace)?;
        self.seal_and_address(buffer, length)
    }

    /// Takes an RTCP datagram. True if it asks for a new picture.
    pub(crate) fn handle_rtcp(
        &mut self,
        source: SocketAddr,
        is_own_socket: bool,
        packet: &mut [u8],
        now: Instant,
    ) -> Result<bool, Outcome> {
        if self.remote.is_none() {
            return Err(Outcome::NoKeys);
        }
        let judged = match &self.path {
            Path::Static(path) if is_own_socket => path.judge_rtcp(source),
            Path::Static(_) | Path::Ice(_) => self.judge(source),
        };
        if judged != Source::Peer {
            return Err(Outcome::WrongSource);
        }
        let length = opened(self.guard.open_rtcp(packet))?;
        let feedback = self.flow.reporter.handle_rtcp(&packet[..length], now);
        let feedback = feedback.map_err(|_| Outcome::Malformed)?;
        self.watch.note_life(now);
        // A goodbye ends nothing: calls end in signalling (security row 8).
        Ok(feedback.picture_lost)
    }

    /// Asks the peer for a new picture, because the joined port's peer does.
    pub(crate) fn send_picture_loss(&mut self, now: Instant) {
        let Some(media_ssrc) = self.flow.heard_ssrc else { return };
        let mut buffer = vec![0; REPORT_BYTES + MAX_TAIL_BYTES];
        let timestamp = self.flow.rewriter.timestamp_at(now);
        let room = &mut buffer[..REPORT_BYTES];
        let length = self.flow.reporter.picture_loss(media_ssrc, timestamp, now, room);
        self.send_rtcp(buffer, length);
    }

    /// Lets a digit be sent as telephone event.
    pub(crate) fn press(&mut self, key: char, duration: Duration, now: Instant) {
        if let Some((_, sender)) = &mut self.flow.digits_out
            && self.direction.sends()
        {
            // A key that is none, or one too many, is not sent: the call goes on.
            let _ = sender.press(Digit { key, duration });
        }
        self.run_flow(now);
    }

    /// Does what is due: digits, reports, quality.
    pub(super) fn run_flow(&mut self, now: Instant) {
        self.send_digits(now);
        if let Some(digits) = &mut self.flow.digits_in {
            digits.handle_timeout(now);
        }
        self.tell_digits();
        self.report(now);
        let is_due = self.flow.quality_at.is_some_and(|at| at <= now);
        if is_due && self.is_joined && self.is_secured_told {
            let quality = self.flow.reporter.quality(self.flow.heard, now);
            self.events.push_back(MediaEvent::Quality(self.id, quality));
        }
        if is_due || self.flow.quality_at.is_none() {
            self.flow.quality_at = Some(now + QUALITY_INTERVAL);
        }
    }

    pub(super) fn flow_timeout(&self, now: Instant) -> Option<Instant> {
        let can_report = self.guard.is_open() && self.path.rtcp_destination().is_some();
        let report = can_report.then(|| self.flow.reporter.poll_timeout());
        let out = self.flow.digits_out.as_ref().and_then(|(_, out)| out.poll_timeout(now));
        let heard = self.flow.digits_in.as_ref().and_then(dtmf::Receiver::poll_timeout);
        [report, out, heard, self.flow.quality_at].into_iter().flatten().min()
    }

    fn judge(&self, source: SocketAddr) -> Source {
        match &self.path {
            Path::Static(path) => path.judge_rtp(source),
            Path::Ice(path) if path.is_authenticated(source) => Source::Peer,
            Path::Ice(_) => Source::Stranger,
        }
    }

    fn hear_digits(&mut self, lane: &Lane, header: &Header, payload: &[u8], now: Instant) {
        let clock_hz = lane.clock_hz;
        let digits = self.flow.digits_in.get_or_insert_with(|| dtmf::Receiver::new(clock_hz));
        digits.handle_packet(header.timestamp, payload, now);
        self.tell_digits();
    }

    fn tell_digits(&mut self) {
        let Some(digits) = &mut self.flow.digits_in else { return };
        while let Some(digit) = digits.poll_digit() {
            self.events.push_back(MediaEvent::Digit(self.id, digit.key, digit.duration));
        }
    }

    fn send_digits(&mut self, now: Instant) {
        loop {
            let timestamp = self.flow.rewriter.timestamp_at(now);
            let Some((send_type, sender)) = &mut self.flow.digits_out else { return };
            let Some(packet) = sender.poll_packet(timestamp, now) else { return };
            let header = Header {
                payload_type: *send_type,
                is_marked: packet.is_marked,
                sequence: self.flow.rewriter.insert(packet.timestamp, now),
                timestamp: packet.timestamp,
                ssrc: self.flow.rewriter.ssrc(),
                header_bytes: FIXED_HEADER_BYTES,
                padding_bytes: 0,
            };
            let (buffer, length) = compose(&header, &packet.payload, Vec::new());
            match self.seal_and_address(buffer, length) {
                Ok(transmit) => {
                    self.counters.count(Way::Out, Outcome::Passed);
                    self.transmits.push_back(transmit);
                }
                Err(outcome) => self.counters.count(Way::Out, outcome),
            }
        }
    }

    fn report(&mut self, now: Instant) {
        if !self.guard.is_open() || self.path.rtcp_destination().is_none() {
            // The report that is due is made when there is a way for it.
            return;
        }
        let spread = self.flow.next_spread();
        let timestamp = self.flow.rewriter.timestamp_at(now);
        let mut buffer = vec![0; REPORT_BYTES + MAX_TAIL_BYTES];
        let room = &mut buffer[..REPORT_BYTES];
        if let Some(length) = self.flow.reporter.poll_report(timestamp, spread, now, room) {
            self.send_rtcp(buffer, length);
        }
    }

    fn send_rtcp(&mut self, mut buffer: Vec<u8>, length: usize) {
        let Some((socket, destination)) = self.path.rtcp_destination() else { return };
        if let Some(Ok(length)) = self.guard.seal_rtcp(&mut buffer, length) {
            buffer.truncate(length);
            self.transmits.push_back(Transmit { socket, destination, bytes: buffer });
        }
    }

    fn seal_and_address(
        &mut self,
        mut buffer: Vec<u8>,
        length: usize,
    ) -> Result<Transmit, Outcome> {
        let (socket, destination) = self.path.rtp_destination().ok_or(Outcome::NoRoute)?;
        let sealed = self.guard.seal_rtp(&mut buffer, length).ok_or(Outcome::NoKeys)?;
        let sealed = sealed.map_err(|_| Outcome::OutOfPlace)?;
        buffer.truncate(sealed);
        self.flow.reporter.handle_sent(length - FIXED_HEADER_BYTES);
        Ok(Transmit { socket, destination, bytes: buffer })
    }
}

/// A packet with a plain header and room for a tail.
fn compose(header: &Header, payload: &[u8], mut buffer: Vec<u8>) -> (Vec<u8>, usize) {
    let mut fixed = [0; FIXED_HEADER_BYTES];
    rtp::write_header(&mut fixed, header).expect("the buffer is as long as a header");
    let length = FIXED_HEADER_BYTES + payload.len();
    buffer.clear();
    buffer.reserve(length + MAX_TAIL_BYTES);
    buffer.extend_from_slice(&fixed);
    buffer.extend_from_slice(payload);
    buffer.resize(length + MAX_TAIL_BYTES, 0);
    (buffer, length)
}

fn opened(result: Option<Result<usize, Refused>>) -> Result<usize, Outcome> {
    match result {
        None => Err(Outcome::NoKeys),
        Some(Ok(length)) => Ok(length),
        Some(Err(Refused::Malformed | Refused::NoRoom)) => Err(Outcome::Malformed),
        Some(Err(Refused::Replayed)) => Err(Outcome::Replayed),
        Some(Err(Refused::NotAuthentic | Refused::NotEncrypted)) => Err(Outcome::NotAuthentic),
        Some(Err(Refused::TooManyStreams | Refused::KeyExhausted)) => Err(Outcome::Excess),
    }
}
