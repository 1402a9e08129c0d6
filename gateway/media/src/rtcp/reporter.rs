//! The reports of one leg: made from what passes a port, and read from what its peer says
//! (RFC 3550 §6).

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::media::{Quality, QualityCodec};

use super::build::Builder;
use super::parse::{Malformed, Packet, ReportBlocks, parse};
use super::statistics::Statistics;
use super::{ReportBlock, SenderInfo};
use crate::quality::LossWindow;
use crate::rtp::Header;

/// Between two reports before they are spread (RFC 3550 §6.2): at the 5 % of bandwidth that RTCP
/// may have, two participants of a voice call are always at this minimum.
const INTERVAL: Duration = Duration::from_secs(5);
/// e - 3/2 corrects for what spreading does to the mean (RFC 3550 §6.3.1), here times 10,000.
const COMPENSATION: u32 = 12_183;
/// A peer's report counts for so long.
const REPORT_COUNTS_FOR: Duration = Duration::from_secs(20);
/// More packets than a stream has between two reports: its numbers began anew.
const MOST_IN_A_REPORT: u32 = 100_000;
/// No round trip is longer: a peer's clock or arithmetic is wrong.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(30);
/// Where our NTP time starts, in seconds; so that a report is never at 0, which means "none".
const NTP_START: u64 = 1 << 31;

/// What a compound packet asked for, beyond what [`Reporter`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The peer needs a new picture: the one thing that crosses to the other leg.
    pub picture_lost: bool,
    /// The peer's source says that it leaves. Something to count; a call ends in signalling.
    pub said_goodbye: bool,
}

/// Counts, reports and reads reports for one leg.
#[derive(Debug)]
pub struct Reporter {
    ssrc: u32,
    cname: String,
    clock_hz: u32,
    start: Instant,
    next_at: Instant,
    packets_sent: u32,
    octets_sent: u32,
    /// Packets sent at the last and at the last but one report (RFC 3550 §6.4).
    sent_at_reports: [u32; 2],
    source: Option<Statistics>,
    loss: LossWindow,
    sender_report: Option<SenderReport>,
    peer_saw: Option<PeerSaw>,
    peer_lost: PeerLoss,
}

/// The last sender report of the peer's.
#[derive(Clone, Copy, Debug)]
struct SenderReport {
    ssrc: u32,
    middle_ntp: u32,
    at: Instant,
}

/// What the peer told about our stream.
#[derive(Clone, Copy, Debug)]
struct PeerSaw {
    loss: f32,
    jitter: Duration,
    round_trip: Option<Duration>,
    at: Instant,
}

/// What the peer lost of our stream lately. The share that one report tells is of a few seconds and
/// of a few packets; the counts it tells are of the whole stream.
#[derive(Debug)]
struct PeerLoss {
    /// The highest sequence number and the cumulative loss of the last report.
    counts: Option<(u32, i32)>,
    /// Lost and not recorded yet; negative where late packets made good for lost ones.
    owed: i64,
    window: LossWindow,
}

impl PeerLoss {
    fn handle_block(&mut self, block: &ReportBlock, now: Instant) -> f32 {
        let counts = (block.highest_sequence, block.cumulative_lost);
        let told = f32::from(block.fraction_lost) / 256.0;
        let Some((highest, lost)) = self.counts.replace(counts) else { return told };
        let expected = counts.0.wrapping_sub(highest);
        if !(1..=MOST_IN_A_REPORT).contains(&expected) {
            return told;
        }
        let owed = self.owed + i64::from(counts.1) - i64::from(lost);
        let counted = owed.clamp(0, i64::from(expected));
        self.owed = (owed - counted).clamp(-i64::from(MOST_IN_A_REPORT), 0);
        self.window.record(expected, counted as u32, now);
        self.window.loss(now).unwrap_or(told)
    }
}

/// A name for a source, new for each leg and of no meaning (RFC 7022 §4.2): 96 random bits.
pub fn random_cname(random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut bytes = [0; 12];
    random(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Reporter {
    /// Begins to report as `ssrc`, the SSRC of our stream on this leg, whose RTP clock is
    /// `clock_hz`.
    ///
    /// The first report is due after half an interval (RFC 3550 §6.2), spread by `random`.
    pub fn new(ssrc: u32, cname: String, clock_hz: u32, random: u32, now: Instant) -> Self {
        Self {
            ssrc,
            cname,
            clock_hz: clock_hz.max(1),
            start: now,
            next_at: now + spread(INTERVAL / 2, random),
            packets_sent: 0,
            octets_sent: 0,
            sent_at_reports: [0; 2],
            source: None,
            loss: LossWindow::new(now),
            sender_report: None,
            peer_saw: None,
            peer_lost: PeerLoss { counts: None, owed: 0, window: LossWindow::new(now) },
        }
    }

    /// Fetches what counting a packet needs into the caches.
    #[inline]
    pub fn touch(&self) {
        black_box((self.clock_hz, self.packets_sent));
        black_box(self.source.as_ref().map(Statistics::touch));
    }

    /// Follows a change of codec: the clock of both streams from now on, in Hz.
    pub fn set_clock(&mut self, clock_hz: u32) {
        if self.clock_hz != clock_hz.max(1) {
            self.clock_hz = clock_hz.max(1);
            self.source = None;
        }
    }

    /// Counts a packet sent to the peer, with the bytes of its payload.
    pub fn handle_sent(&mut self, payload_bytes: usize) {
        self.packets_sent = self.packets_sent.wrapping_add(1);
        self.octets_sent = self.octets_sent.wrapping_add(payload_bytes as u32);
    }

    /// Counts a packet of the peer's, opened and from an accepted source. A new SSRC takes the
    /// place of the old.
    pub fn handle_received(&mut self, header: &Header, now: Instant) {
        match &mut self.source {
            Some(source) if source.ssrc() == header.ssrc => source.handle_packet(header, now),
            Some(_) | None => {
                self.take_loss(now);
                self.source = Some(Statistics::new(header, self.clock_hz, now));
            }
        }
    }

    /// Reads a clear compound packet of the peer's.
    ///
    /// # Errors
    /// [`Malformed`]; nothing is taken from such a packet.
    pub fn handle_rtcp(&mut self, datagram: &[u8], now: Instant) -> Result<Feedback, Malformed> {
        let mut feedback = Feedback::default();
        for packet in parse(datagram)? {
            match packet {
                Packet::SenderReport { ssrc, sender, blocks } => {
                    let middle_ntp = (sender.ntp >> 16) as u32;
                    self.sender_report = Some(SenderReport { ssrc, middle_ntp, at: now });
                    self.handle_blocks(blocks, now);
                }
                Packet::ReceiverReport { blocks, .. } => self.handle_blocks(blocks, now),
                Packet::PictureLoss { .. } => feedback.picture_lost = true,
                Packet::Goodbye(_) => feedback.said_goodbye = true,
                Packet::SourceDescription { .. } | Packet::Other { .. } => {}
            }
        }
        Ok(feedback)
    }

    /// When the next report is due.
    pub fn poll_timeout(&self) -> Instant {
        self.next_at
    }

    /// Writes the report that is due into `buffer` and returns its length; `None` while none is
    /// due.
    ///
    /// `rtp_timestamp` is our stream's timestamp now; `random` spreads the time of the next report
    /// (RFC 3550 §6.3.1). 128 bytes are enough.
    pub fn poll_report(
        &mut self,
        rtp_timestamp: u32,
        random: u32,
        now: Instant,
        buffer: &mut [u8],
    ) -> Option<usize> {
        if now < self.next_at {
            return None;
        }
        self.next_at = now + spread(INTERVAL, random);
        let mut builder = Builder::new(buffer);
        self.report(rtp_timestamp, now, &mut builder);
        Some(builder.length())
    }

    /// Writes a report that ends with a goodbye (RFC 3550 §6.6), for when the port closes, and
    /// returns its length.
    pub fn goodbye(&mut self, rtp_timestamp: u32, now: Instant, buffer: &mut [u8]) -> usize {
        let mut builder = Builder::new(buffer);
        self.report(rtp_timestamp, now, &mut builder);
        builder.goodbye(self.ssrc);
        builder.length()
    }

    /// Writes a report that ends with a request for a new picture of `media`, and returns its
    /// length.
    pub fn picture_loss(
        &mut self,
        media: u32,
        rtp_timestamp: u32,
        now: Instant,
        buffer: &mut [u8],
    ) -> usize {
        let mut builder = Builder::new(buffer);
        self.report(rtp_timestamp, now, &mut builder);
        builder.picture_loss(self.ssrc, media);
        builder.length()
    }

    /// How the media of this leg did over the last seconds.
    pub fn quality(&mut self, codec: QualityCodec, now: Instant) -> Quality {
        self.take_loss(now);
        let jitter = self.source.as_ref().map_or(Duration::ZERO, Statistics::jitter);
        let peer_saw = self.peer_saw.filter(|saw| now < saw.at + REPORT_COUNTS_FOR);
        Quality {
            loss_in: self.loss.loss(now).unwrap_or(0.0),
            loss_out: peer_saw.map(|saw| saw.loss),
            jitter_ms: milliseconds(jitter),
            jitter_out_ms: peer_saw.map(|saw| milliseconds(saw.jitter)),
            rtt_ms: peer_saw.and_then(|saw| saw.round_trip).map(milliseconds),
            codec,
        }
    }

    /// A sender report if we sent since the last but one report, else a receiver report
    /// (RFC 3550 §6.4); and our name.
    fn report(&mut self, rtp_timestamp: u32, now: Instant, builder: &mut Builder<'_>) {
        let block = self.report_block(now);
        if self.sent_at_reports[1] == self.packets_sent {
            builder.receiver_report(self.ssrc, block.as_slice());
        } else {
            let sender = SenderInfo {
                ntp: self.ntp(now),
                rtp_timestamp,
                packets: self.packets_sent,
                octets: self.octets_sent,
            };
            builder.sender_report(self.ssrc, &sender, block.as_slice());
        }
        self.sent_at_reports = [self.packets_sent, self.sent_at_reports[0]];
        builder.cname(self.ssrc, &self.cname);
    }

    fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_mut()?;
        let report = self.sender_report.filter(|report| report.ssrc == source.ssrc());
        Some(ReportBlock {
            ssrc: source.ssrc(),
            fraction_lost: source.take_fraction_lost(),
            cumulative_lost: source.cumulative_lost(),
            highest_sequence: source.highest_sequence(),
            jitter: source.jitter_ticks(),
            last_sender_report: report.map_or(0, |report| report.middle_ntp),
            delay_since: report.map_or(0, |report| (fixed_point(now, report.at) >> 16) as u32),
        })
    }

    fn handle_blocks(&mut self, blocks: ReportBlocks<'_>, now: Instant) {
        for block in blocks.filter(|block| block.ssrc == self.ssrc) {
            let seconds = Duration::from_secs(u64::from(block.jitter));
            let loss = self.peer_lost.handle_block(&block, now);
            let earlier = self.peer_saw.and_then(|saw| saw.round_trip);
            self.peer_saw = Some(PeerSaw {
                loss,
                jitter: seconds / self.clock_hz,
                round_trip: self.round_trip(&block, now).or(earlier),
                at: now,
            });
        }
    }

    /// Now, minus when our report left, minus how long the peer held it (RFC 3550 §6.4.1).
    fn round_trip(&self, block: &ReportBlock, now: Instant) -> Option<Duration> {
        if block.last_sender_report == 0 {
            return None;
        }
        let now = (self.ntp(now) >> 16) as u32;
        let units = now.wrapping_sub(block.last_sender_report).wrapping_sub(block.delay_since);
        // A peer that rounds up may come out below zero on a short path.
        let units = if units.cast_signed() < 0 && units.cast_signed() > -655 { 0 } else { units };
        let round_trip = Duration::from_secs(u64::from(units)) / 0x1_0000;
        (round_trip <= LONGEST_ROUND_TRIP).then_some(round_trip)
    }

    /// Elapsed time in NTP's form: RFC 3550 §6.4.1 allows it where wallclock time is not at hand,
    /// and it tells a peer nothing about our clock.
    fn ntp(&self, now: Instant) -> u64 {
        (NTP_START << 32) + fixed_point(now, self.start)
    }

    fn take_loss(&mut self, now: Instant) {
        if let Some(source) = &mut self.source {
            let (expected, lost) = source.take_interval();
            self.loss.record(expected, lost, now);
        }
    }
}

/// Time from `earlier` to `now` in seconds and 2^-32 seconds.
fn fixed_point(now: Instant, earlier: Instant) -> u64 {
    let passed = now.saturating_duration_since(earlier);
    let fraction = (u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000;
    (passed.as_secs() << 32) + fraction
}

/// Half to one and a half of the interval, so that participants do not fall into step
/// (RFC 3550 §6.3.1).
fn spread(interval: Duration, random: u32) -> Duration {
    let factor = u64::from(u32::MAX / 2) + u64::from(random);
    let nanos = interval.as_nanos() * u128::from(factor) / u128::from(u32::MAX);
    Duration::from_nanos(nanos as u64) * 10_000 / COMPENSATION
}

fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1_000.0
}
