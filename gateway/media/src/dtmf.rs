//! Digits as telephone events in the media (RFC 4733), received and sent.
//!
//! ```text
//!  packets of one press:  M, 160   320   480 .. E, 800   E, 800   E, 800    (duration)
//!       Receiver:     merged into one Digit with its duration, told at the first end packet
//!       Sender:       made from one Digit, a packet every 20 ms, the end three times
//! ```
//!
//! Both are pure: packets and the time go in, digits or packets come out. Sequence numbers and SSRC
//! of sent packets are the [`Rewriter`](crate::rewriter::Rewriter)'s, so that digits fit into the
//! sound around them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The digits of events 0 to 15 (RFC 4733 §3.2).
const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];
/// One event in a payload (RFC 4733 §2.3).
const EVENT_BYTES: usize = 4;
/// Events of one packet that are looked at (RFC 4733 §2.5.1.5); one press has one.
const MAX_EVENTS: usize = 4;
/// A press whose packets stay away for so long has ended: three updates of 50 ms
/// (RFC 4733 §2.5.2.2).
const LOST_AFTER: Duration = Duration::from_millis(150);
/// Packets of a press that was told may come for so long: its end is sent three times, and delayed.
/// Not longer, since another source has other timestamps.
const LATE_FOR: Duration = Duration::from_secs(2);
/// A press longer than this is told as this long: a stuck key must not count for ever.
const LONGEST: Duration = Duration::from_secs(30);
/// The shortest press we send; ITU-T Q.24 has receivers accept 40 ms and more.
const SHORTEST: Duration = Duration::from_millis(40);
/// Between two packets of one press (RFC 4733 §2.5.1.2).
const INTERVAL: Duration = Duration::from_millis(20);
/// Between two presses; ITU-T Q.24 has receivers accept 40 ms and more.
const PAUSE: Duration = Duration::from_millis(60);
/// How often the end is told (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// Presses that may wait to be sent.
const MAX_WAITING: usize = 32;
/// Loudness of what we send, in -dBm0 (RFC 4733 §2.3.4).
const VOLUME: u8 = 10;

/// One press of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0`-`9`, `*`, `#`, `A`-`D`.
    pub key: char,
    /// How long it was pressed, or is to be.
    pub duration: Duration,
}

/// Merges the packets of each press into one [`Digit`].
#[derive(Debug)]
pub struct Receiver {
    clock_hz: u32,
    ongoing: Option<Ongoing>,
    /// Timestamp and time of the last press that was told.
    told: Option<(u32, Instant)>,
    heard: VecDeque<Digit>,
}

/// A press of which the end has not come.
#[derive(Clone, Copy, Debug)]
struct Ongoing {
    key: char,
    /// Of the segment that is running (RFC 4733 §2.5.1.3).
    timestamp: u32,
    segment_ticks: u16,
    /// Of the segments before it.
    earlier_ticks: u64,
    updated_at: Instant,
}

impl Receiver {
    /// A receiver for events with this RTP clock, in Hz.
    pub fn new(clock_hz: u32) -> Self {
        let heard = VecDeque::with_capacity(MAX_EVENTS + 1);
        Self { clock_hz: clock_hz.max(1), ongoing: None, told: None, heard }
    }

    /// Takes the timestamp and payload of a packet of the telephone-event payload type.
    pub fn handle_packet(&mut self, timestamp: u32, payload: &[u8], now: Instant) {
        let mut timestamp = timestamp;
        for event in payload.chunks_exact(EVENT_BYTES).take(MAX_EVENTS) {
            let ticks = u16::from_be_bytes([event[2], event[3]]);
            if let Some(key) = DIGITS.get(usize::from(event[0])) {
                self.handle_event(*key, timestamp, ticks, event[1] & 0x80 != 0, now);
            }
            // Where a packet has several events, each begins where the one before it ended
            // (RFC 4733 §2.5.1.5).
            timestamp = timestamp.wrapping_add(u32::from(ticks));
        }
    }

    /// Ends a press whose packets stay away.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.finish();
        }
    }

    /// When [`Receiver::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.ongoing.map(|ongoing| ongoing.updated_at + LOST_AFTER)
    }

    /// The next press that has ended.
    pub fn poll_digit(&mut self) -> Option<Digit> {
        self.heard.pop_front()
    }

    fn handle_event(&mut self, key: char, timestamp: u32, ticks: u16, is_end: bool, now: Instant) {
        let is_old = |other: u32| timestamp.wrapping_sub(other).cast_signed() <= 0;
        if self.told.is_some_and(|(told, at)| is_old(told) && now < at + LATE_FOR) {
            return;
        }
        match self.ongoing {
            Some(ongoing) if ongoing.timestamp == timestamp && ongoing.key == key => {
                self.update(
                    Ongoing { segment_ticks: ongoing.segment_ticks.max(ticks), ..ongoing },
                    now,
                );
            }
            Some(ongoing) if is_old(ongoing.timestamp) => return,
            Some(ongoing) if ongoing.is_followed_by(key, timestamp) => {
                let earlier_ticks = ongoing.ticks();
                self.update(
                    Ongoing { timestamp, segment_ticks: ticks, earlier_ticks, ..ongoing },
                    now,
                );
            }
            Some(_) | None => {
                self.finish();
                let started = Ongoing {
                    key,
                    timestamp,
                    segment_ticks: ticks,
                    earlier_ticks: 0,
                    updated_at: now,
                };
                self.update(started, now);
            }
        }
        if is_end {
            self.finish();
        }
    }

    fn update(&mut self, ongoing: Ongoing, now: Instant) {
        self.ongoing = Some(Ongoing { updated_at: now, ..ongoing });
    }

    fn finish(&mut self) {
        let Some(ongoing) = self.ongoing.take() else { return };
        self.told = Some((ongoing.timestamp, ongoing.updated_at));
        let micros = ongoing.ticks() * 1_000_000 / u64::from(self.clock_hz);
        // Whoever does not fetch digits loses the oldest, not the memory.
        if self.heard.len() > MAX_EVENTS {
            self.heard.pop_front();
        }
        let duration = Duration::from_micros(micros).min(LONGEST);
        self.heard.push_back(Digit { key: ongoing.key, duration });
    }
}

impl Ongoing {
    fn ticks(&self) -> u64 {
        self.earlier_ticks + u64::from(self.segment_ticks)
    }

    /// Whether an event with this timestamp goes on with this press: it was cut at the longest
    /// duration that a packet can tell (RFC 4733 §2.5.1.3).
    fn is_followed_by(&self, key: char, timestamp: u32) -> bool {
        let next = self.timestamp.wrapping_add(u32::from(u16::MAX));
        key == self.key && self.segment_ticks == u16::MAX && timestamp == next
    }
}

/// More presses than a person makes wait to be sent, or the key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the digit cannot be sent")]
pub struct NotSent;

/// One packet of a press, to be put into the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The payload (RFC 4733 §2.3).
    pub payload: [u8; EVENT_BYTES],
    /// The timestamp: that of the press's start, in all its packets (RFC 4733 §2.2.1).
    pub timestamp: u32,
    /// The marker: the first packet of a press (RFC 4733 §2.2.2).
    pub is_marked: bool,
}

/// Makes the packets of presses, one press after the other.
#[derive(Debug)]
pub struct Sender {
    clock_hz: u32,
    waiting: VecDeque<Digit>,
    state: Sending,
}

#[derive(Clone, Copy, Debug)]
enum Sending {
    /// Nothing is sent; the next press may begin at this time.
    Idle { free_at: Option<Instant> },
    /// A press goes on.
    Pressed { digit: Digit, started_at: Instant, timestamp: u32, next_at: Instant },
    /// The end is told again and again.
    Ending { digit: Digit, ended_at: Instant, timestamp: u32, next_at: Instant, left: u8 },
}

impl Sender {
    /// A sender for events with this RTP clock, in Hz.
    pub fn new(clock_hz: u32) -> Self {
        let waiting = VecDeque::with_capacity(MAX_WAITING);
        Self { clock_hz: clock_hz.max(1), waiting, state: Sending::Idle { free_at: None } }
    }

    /// Lets a press follow those that wait. Its duration is kept between 40 ms and what one packet
    /// can tell.
    ///
    /// # Errors
    /// [`NotSent`] for a key that is no digit, and beyond 32 waiting presses.
    pub fn press(&mut self, digit: Digit) -> Result<(), NotSent> {
        if event_of(digit.key).is_none() || self.waiting.len() >= MAX_WAITING {
            return Err(NotSent);
        }
        let longest = Duration::from_secs(u64::from(u16::MAX)) / self.clock_hz;
        let duration = digit.duration.min(longest).max(SHORTEST.min(longest));
        self.waiting.push_back(Digit { duration, ..digit });
        Ok(())
    }

    /// Whether a press is being sent: the sound of the source is then left out (RFC 4733 §2.5.1.2).
    pub fn is_sending(&self) -> bool {
        match self.state {
            Sending::Idle { .. } => false,
            Sending::Pressed { .. } | Sending::Ending { .. } => true,
        }
    }

    /// When [`Sender::poll_packet`] has something to give; `now` if at once.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.state {
            Sending::Idle { .. } if self.waiting.is_empty() => None,
            Sending::Idle { free_at } => Some(free_at.unwrap_or(now).max(now)),
            Sending::Pressed { next_at, .. } | Sending::Ending { next_at, .. } => Some(next_at),
        }
    }

    /// The packet that is due, if any; to be called until there is none.
    ///
    /// `stream_timestamp` is what the stream's timestamp is now
    /// ([`Rewriter::timestamp_at`](crate::rewriter::Rewriter::timestamp_at)).
    pub fn poll_packet(&mut self, stream_timestamp: u32, now: Instant) -> Option<EventPacket> {
        match self.state {
            Sending::Idle { free_at } => {
                if free_at.is_some_and(|free_at| now < free_at) {
                    return None;
                }
                let digit = self.waiting.pop_front()?;
                let (timestamp, next_at) = (stream_timestamp, now + INTERVAL);
                self.state = Sending::Pressed { digit, started_at: now, timestamp, next_at };
                Some(self.packet(digit, INTERVAL.min(digit.duration), timestamp, Part::First))
            }
            Sending::Pressed { next_at, .. } | Sending::Ending { next_at, .. } if now < next_at => {
                None
            }
            Sending::Pressed { digit, started_at, timestamp, next_at } => {
                let pressed = now.saturating_duration_since(started_at) + INTERVAL;
                if pressed < digit.duration {
                    let next_at = next_at.max(now - INTERVAL) + INTERVAL;
                    self.state = Sending::Pressed { digit, started_at, timestamp, next_at };
                    return Some(self.packet(digit, pressed, timestamp, Part::Middle));
                }
                let ended_at = started_at + digit.duration;
                let (next_at, left) = (now + INTERVAL, END_PACKETS - 1);
                self.state = Sending::Ending { digit, ended_at, timestamp, next_at, left };
                Some(self.packet(digit, digit.duration, timestamp, Part::End))
            }
            Sending::Ending { digit, ended_at, timestamp, left, .. } => {
                self.state = if left > 1 {
                    let (next_at, left) = (now + INTERVAL, left - 1);
                    Sending::Ending { digit, ended_at, timestamp, next_at, left }
                } else {
                    Sending::Idle { free_at: Some((ended_at + PAUSE).max(now + INTERVAL)) }
                };
                Some(self.packet(digit, digit.duration, timestamp, Part::End))
            }
        }
    }

    fn packet(&self, digit: Digit, pressed: Duration, timestamp: u32, part: Part) -> EventPacket {
        let event = event_of(digit.key).expect("checked when it was pressed");
        let ticks = pressed.as_micros() * u128::from(self.clock_hz) / 1_000_000;
        let [high, low] = u16::try_from(ticks).unwrap_or(u16::MAX).to_be_bytes();
        let end = if part == Part::End { 0x80 } else { 0 };
        EventPacket {
            payload: [event, end | VOLUME, high, low],
            timestamp,
            is_marked: part == Part::First,
        }
    }
}

/// Which packet of a press.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Middle,
    End,
}

/// The event of a key (RFC 4733 §3.2).
fn event_of(key: char) -> Option<u8> {
    let place = DIGITS.iter().position(|digit| *digit == key.to_ascii_uppercase())?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests;
