//! One unbroken stream towards each receiver (RFC 3550 §5.1), whatever happens to its source.
//!
//! A receiver takes a new SSRC or a jump for a new stream, and a jump back for old packets. Sources
//! change all the time: transfers, re-INVITEs, announcements, digits put in between. So every
//! packet towards a port passes a [`Rewriter`], which gives it the port's own SSRC and continues
//! sequence number and timestamp.
//!
//! ```text
//!  source A  17 18 20 19 21                                in: any SSRC, sequence, timestamp
//!  source B                 900 901 903
//!                |              |
//!  receiver   5  6  8  7  9    10  11  13                  out: one SSRC, order and gaps kept
//! ```
//!
//! Within one source order, gaps and duplicates stay as they are: they are what the receiver's
//! jitter buffer, loss concealment and reports are about. A packet older than the source's first,
//! or than the last few changes, has no place in the stream any more and is dropped.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::rtp::{self, Header};

/// A step forward up to which the source is still the same run of packets (RFC 3550 Appendix A.1).
const MAX_DROPOUT: u64 = 3_000;
/// A step back up to which a packet is only late (RFC 3550 Appendix A.1).
const MAX_MISORDER: u64 = 100;
/// A timestamp may leave real time by this much before it counts as restarted: comfort noise and
/// long digits stay below it.
const MAX_TIMESTAMP_DRIFT: Duration = Duration::from_secs(10);
/// How far a new source's first timestamp is at least ahead of what was sent before.
const FRAME: Duration = Duration::from_millis(20);
/// How many runs of packets are remembered, so that late ones find their place.
const MAX_RUNS: usize = 4;
/// Where counting starts, so that no packet lies before zero.
const FIRST_TURN: u64 = 1 << 32;

/// Why a packet is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// It is no RTP packet.
    #[error("malformed packet")]
    Malformed,
    /// Its place in the stream is taken by another source, or forgotten.
    #[error("too late")]
    TooLate,
    /// It stands far from its source's last packet; a second one next to it would prove a restart
    /// (RFC 3550 Appendix A.1).
    #[error("out of sequence")]
    OutOfSequence,
}

/// A stretch of one source that has one offset to the stream.
#[derive(Clone, Copy, Debug)]
struct Run {
    ssrc: u32,
    /// The first and highest sequence numbers, without their wrap.
    first: u64,
    highest: u64,
    /// What to add to the source's numbers, wrapping.
    sequence_shift: u64,
    timestamp_shift: u32,
    /// Something was put in behind its highest packet.
    is_closed: bool,
}

/// The newest packet of the stream.
#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: u64,
    timestamp: u32,
    at: Instant,
}

/// Keeps one stream towards one receiver.
#[derive(Debug)]
pub struct Rewriter {
    ssrc: u32,
    clock_hz: u32,
    first_sequence: u16,
    first_timestamp: u32,
    newest: Option<Newest>,
    /// The current run first.
    runs: [Option<Run>; MAX_RUNS],
    /// The sequence number behind a packet that was [`Dropped::OutOfSequence`].
    expected_after_jump: Option<(u32, u16)>,
    is_source_new: bool,
}

impl Rewriter {
    /// Begins a stream; the three numbers should be random (RFC 3550 §5.1), `clock_hz` is the
    /// codec's RTP clock.
    ///
    /// The top bit of `first_sequence` is cleared: with a start in the lower half an SRTP receiver
    /// that misses the first packets still guesses the roll-over counter right (RFC 3711 §3.3.1).
    pub fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32, clock_hz: u32) -> Self {
        Self {
            ssrc,
            clock_hz: clock_hz.max(1),
            first_sequence: first_sequence & 0x7fff,
            first_timestamp,
            newest: None,
            runs: [None; MAX_RUNS],
            expected_after_jump: None,
            is_source_new: false,
        }
    }

    /// Fetches what [`Rewriter::rewrite`] needs into the caches.
    #[inline]
    pub fn touch(&self) {
        black_box((self.newest, self.runs[0], self.clock_hz));
    }

    /// The SSRC of the stream.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Changes the RTP clock, when the codec changes in the middle of a call (RFC 7160 §4.1 tells
    /// why that is hard): the next packet counts as a new source.
    pub fn set_clock(&mut self, clock_hz: u32) {
        if self.clock_hz != clock_hz.max(1) {
            self.clock_hz = clock_hz.max(1);
            self.expect_new_source();
        }
    }

    /// Tells that the next packet is from a new source even if its SSRC is the old one: another
    /// join, a re-INVITE.
    pub fn expect_new_source(&mut self) {
        self.is_source_new = true;
    }

    /// Gives the clear packet its place in the stream: SSRC, sequence number and timestamp are
    /// replaced in place, and the marker is set on the first packet of a new source, so that the
    /// receiver may adapt (RFC 3551 §4.1).
    ///
    /// # Errors
    /// See [`Dropped`]; the packet is then unchanged.
    pub fn rewrite(&mut self, packet: &mut [u8], now: Instant) -> Result<(), Dropped> {
        let header = Header::parse_protected(packet).ok_or(Dropped::Malformed)?;
        let current = self.runs[0].filter(|run| run.ssrc == header.ssrc && !self.is_source_new);
        match current {
            Some(run) => {
                let number = extend(run.highest, header.sequence);
                self.rewrite_same_source(packet, &header, run, number, now)
            }
            None => match self.find_late(&header) {
                Some((run, number)) => {
                    place(packet, self.ssrc, &header, &run, number);
                    Ok(())
                }
                None => {
                    self.begin_source(packet, &header, now);
                    Ok(())
                }
            },
        }
    }

    /// Takes the next sequence number for a packet of our own, such as a digit's, and notes its
    /// timestamp as sent.
    ///
    /// Later packets of the source move up by one.
    pub fn insert(&mut self, timestamp: u32, now: Instant) -> u16 {
        let sequence = self.next_sequence();
        if let Some(run) = &mut self.runs[0] {
            run.is_closed = true;
        }
        // A digit keeps the timestamp of its start (RFC 4733 §2.2): the stream's newest must not go
        // back with it.
        let timestamp = match self.newest {
            Some(newest) if is_before(timestamp, newest.timestamp) => self.timestamp_at(now),
            Some(_) | None => timestamp,
        };
        self.newest = Some(Newest { sequence, timestamp, at: now });
        sequence as u16
    }

    /// The stream's timestamp at this moment, for a sender report or for the start of a digit.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        match self.newest {
            Some(newest) => {
                newest.timestamp.wrapping_add(self.ticks(now.saturating_duration_since(newest.at)))
            }
            None => self.first_timestamp,
        }
    }

    fn rewrite_same_source(
        &mut self,
        packet: &mut [u8],
        header: &Header,
        run: Run,
        number: u64,
        now: Instant,
    ) -> Result<(), Dropped> {
        let is_jump = number > run.highest + MAX_DROPOUT || number + MAX_MISORDER < run.highest;
        if is_jump {
            if self.expected_after_jump == Some((header.ssrc, header.sequence)) {
                self.begin_source(packet, header, now);
                return Ok(());
            }
            self.expected_after_jump = Some((header.ssrc, header.sequence.wrapping_add(1)));
            return Err(Dropped::OutOfSequence);
        }
        self.expected_after_jump = None;
        if number <= run.highest {
            let run = self.run_holding(header.ssrc, number).ok_or(Dropped::TooLate)?;
            place(packet, self.ssrc, header, &run, number);
            return Ok(());
        }
        let run = self.advance(run, header, number, now);
        self.note_newest(place(packet, self.ssrc, header, &run, number), now);
        Ok(())
    }

    /// Moves the current run on to `number`, or begins another where the offsets have to change.
    fn advance(&mut self, run: Run, header: &Header, number: u64, now: Instant) -> Run {
        let mut next = Run { highest: number, ..run };
        let timestamp = header.timestamp.wrapping_add(run.timestamp_shift);
        let is_restarted = !self.is_plausible(timestamp, now);
        if run.is_closed || is_restarted {
            next.first = number;
            next.is_closed = false;
            let gap = number - run.highest - 1;
            next.sequence_shift = (self.next_sequence() + gap).wrapping_sub(number);
            if is_restarted {
                next.timestamp_shift = self.continued_timestamp(now).wrapping_sub(header.timestamp);
            }
            self.runs.rotate_right(1);
        }
        self.runs[0] = Some(next);
        next
    }

    /// Lets the packet follow whatever was sent last.
    fn begin_source(&mut self, packet: &mut [u8], header: &Header, now: Instant) {
        let number = FIRST_TURN + u64::from(header.sequence);
        let run = Run {
            ssrc: header.ssrc,
            first: number,
            highest: number,
            sequence_shift: self.next_sequence().wrapping_sub(number),
            timestamp_shift: self.continued_timestamp(now).wrapping_sub(header.timestamp),
            is_closed: false,
        };
        let had_source = self.runs[0].is_some();
        self.runs.rotate_right(1);
        self.runs[0] = Some(run);
        self.expected_after_jump = None;
        self.is_source_new = false;
        self.note_newest(place(packet, self.ssrc, header, &run, number), now);
        if had_source {
            rtp::set_marker(packet);
        }
    }

    /// The run of a source that is no longer current, if this packet is a late one of it.
    fn find_late(&self, header: &Header) -> Option<(Run, u64)> {
        let of_source = |run: &&Run| run.ssrc == header.ssrc;
        let newest = self.runs.iter().flatten().find(of_source)?;
        let number = extend(newest.highest, header.sequence);
        let is_late = number <= newest.highest && number + MAX_MISORDER >= newest.highest;
        // The same SSRC from a source declared new: nothing tells its packets from late ones of the
        // old.
        let is_other = self.runs[0].is_some_and(|run| run.ssrc != header.ssrc);
        if !is_late || !is_other {
            return None;
        }
        self.run_holding(header.ssrc, number).map(|run| (run, number))
    }

    fn run_holding(&self, ssrc: u32, number: u64) -> Option<Run> {
        let holds = |run: &&Run| run.ssrc == ssrc && (run.first..=run.highest).contains(&number);
        self.runs.iter().flatten().find(holds).copied()
    }

    fn next_sequence(&self) -> u64 {
        self.newest
            .map_or(FIRST_TURN + u64::from(self.first_sequence), |newest| newest.sequence + 1)
    }

    /// Real time since the newest packet, but at least one frame, behind its timestamp.
    fn continued_timestamp(&self, now: Instant) -> u32 {
        match self.newest {
            Some(newest) => {
                let passed = now.saturating_duration_since(newest.at).max(FRAME);
                newest.timestamp.wrapping_add(self.ticks(passed))
            }
            None => self.first_timestamp,
        }
    }

    /// Whether the timestamp is about where real time puts it.
    fn is_plausible(&self, timestamp: u32, now: Instant) -> bool {
        let drift = timestamp.wrapping_sub(self.timestamp_at(now)).cast_signed().unsigned_abs();
        drift <= self.ticks(MAX_TIMESTAMP_DRIFT)
    }

    fn note_newest(&mut self, placed: (u64, u32), now: Instant) {
        let (sequence, timestamp) = placed;
        self.newest = Some(match self.newest {
            // Digits and sound of one source need not be in the order of their timestamps.
            Some(newest) if is_before(timestamp, newest.timestamp) => Newest { sequence, ..newest },
            Some(_) | None => Newest { sequence, timestamp, at: now },
        });
    }

    fn ticks(&self, duration: Duration) -> u32 {
        // RTP timestamps wrap, so only the low bits matter.
        (duration.as_micros() * u128::from(self.clock_hz) / 1_000_000) as u32
    }
}

/// Writes the packet's place in the stream and returns it.
fn place(packet: &mut [u8], ssrc: u32, header: &Header, run: &Run, number: u64) -> (u64, u32) {
    let sequence = number.wrapping_add(run.sequence_shift);
    let timestamp = header.timestamp.wrapping_add(run.timestamp_shift);
    rtp::set_stream(packet, sequence as u16, timestamp, ssrc);
    (sequence, timestamp)
}

/// The number nearest to `highest` that ends in these 16 bits.
fn extend(highest: u64, sequence: u16) -> u64 {
    let step = sequence.wrapping_sub(highest as u16).cast_signed();
    highest.saturating_add_signed(i64::from(step))
}

fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

#[cfg(test)]
mod tests;
