//! What one receiver knows of one source: loss and jitter (RFC 3550 Appendix A.1, A.3 and A.8).

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::rtp::Header;

/// A step forward up to which packets count as lost, not as restarted (RFC 3550 Appendix A.1).
const MAX_DROPOUT: u64 = 3_000;
/// A step back up to which a packet counts as late (RFC 3550 Appendix A.1).
const MAX_MISORDER: u64 = 100;

/// Counts the packets of one SSRC.
#[derive(Debug)]
pub struct Statistics {
    ssrc: u32,
    clock_hz: u32,
    start: Instant,
    /// First and highest sequence number, with their wraps.
    first: u64,
    highest: u64,
    received: u64,
    /// The sequence number behind a packet far off; two in a row are a restart.
    expected_after_jump: Option<u16>,
    /// Expected and received at the last report, and at the last call of
    /// [`Statistics::take_interval`].
    at_report: (u64, u64),
    at_interval: (u64, u64),
    transit: u32,
    last_timestamp: u32,
    /// Jitter in 1/16 of a clock tick.
    jitter: u32,
}

impl Statistics {
    /// Begins with a source's first packet; `clock_hz` is its RTP clock.
    pub fn new(header: &Header, clock_hz: u32, now: Instant) -> Self {
        let first = 1 << 32 | u64::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            clock_hz: clock_hz.max(1),
            start: now,
            first,
            highest: first,
            received: 1,
            expected_after_jump: None,
            at_report: (0, 0),
            at_interval: (0, 0),
            transit: 0u32.wrapping_sub(header.timestamp),
            last_timestamp: header.timestamp,
            jitter: 0,
        }
    }

    /// The source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    #[inline]
    pub(super) fn touch(&self) {
        black_box((self.ssrc, self.received, self.jitter));
    }

    /// Counts the next packet of the source.
    pub fn handle_packet(&mut self, header: &Header, now: Instant) {
        let step = header.sequence.wrapping_sub(self.highest as u16).cast_signed();
        let number = self.highest.saturating_add_signed(i64::from(step));
        if number > self.highest + MAX_DROPOUT || number + MAX_MISORDER < self.highest {
            if self.expected_after_jump != Some(header.sequence) {
                self.expected_after_jump = Some(header.sequence.wrapping_add(1));
                return;
            }
            *self = Self::new(header, self.clock_hz, now);
            return;
        }
        self.expected_after_jump = None;
        self.highest = self.highest.max(number);
        self.received += 1;
        self.note_jitter(header.timestamp, now);
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        Duration::from_secs(u64::from(self.jitter_ticks())) / self.clock_hz
    }

    /// Interarrival jitter in units of the RTP clock.
    pub(super) fn jitter_ticks(&self) -> u32 {
        self.jitter >> 4
    }

    /// The highest sequence number with the count of its wraps, as reports have it.
    pub(super) fn highest_sequence(&self) -> u32 {
        (self.highest - (1 << 32)) as u32
    }

    /// All packets lost so far; negative where duplicates came.
    pub(super) fn cumulative_lost(&self) -> i32 {
        let lost = self.expected().cast_signed() - self.received.cast_signed();
        lost.clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// The share of packets lost since the last call, in 1/256 (RFC 3550 Appendix A.3).
    pub(super) fn take_fraction_lost(&mut self) -> u8 {
        let now = (self.expected(), self.received);
        let (expected, lost) = interval(self.at_report, now);
        self.at_report = now;
        if expected == 0 { 0 } else { (u64::from(lost) * 256 / u64::from(expected)).min(255) as u8 }
    }

    /// Packets expected and lost since the last call.
    pub fn take_interval(&mut self) -> (u32, u32) {
        let now = (self.expected(), self.received);
        let (expected, lost) = interval(self.at_interval, now);
        // More than expected are late ones of the interval before: they make good for the next.
        self.at_interval = (now.0, self.at_interval.1 + u64::from(expected - lost));
        (expected, lost)
    }

    fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    /// RFC 3550 Appendix A.8. Packets that repeat a timestamp, as those of a digit do, say nothing
    /// about jitter.
    fn note_jitter(&mut self, timestamp: u32, now: Instant) {
        if timestamp == self.last_timestamp {
            return;
        }
        self.last_timestamp = timestamp;
        let passed = now.saturating_duration_since(self.start);
        let arrival = (passed.as_micros() * u128::from(self.clock_hz) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        let difference = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        self.transit = transit;
        // A source that sets its clock anew has not been delayed by minutes.
        if difference < self.clock_hz.saturating_mul(10) {
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
    }
}

/// Expected and lost between two readings of (expected, received).
fn interval(before: (u64, u64), now: (u64, u64)) -> (u32, u32) {
    let expected = now.0.saturating_sub(before.0);
    let received = now.1.saturating_sub(before.1);
    let lost = expected.saturating_sub(received);
    (u32::try_from(expected).unwrap_or(u32::MAX), u32::try_from(lost).unwrap_or(u32::MAX))
}
