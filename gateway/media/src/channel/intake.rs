//! What a peer makes us hold: SCTP packets looked at before the library takes them (RFC 9260 §3.3.1).
//!
//! The library has no bound on a message that never ends, nor on messages that wait for one which never comes. So every
//! chunk of data is charged, with its overhead, and the charge is lifted when all that came has been read:
//!
//! ```text
//!  packet --> DATA chunks --> new? --> charge --> above the bound: abort
//!                              '--> beyond the window: dropped          all read, nothing missing: charge = 0
//! ```

use std::collections::{BTreeSet, VecDeque};

use gateway_core::channel::MAX_CHANNEL_TEXT;

/// Sequence numbers beyond the last one without a gap that are taken.
const WINDOW_TSNS: u32 = 1024;
/// What a chunk costs beyond its bytes.
const CHUNK_OVERHEAD_BYTES: usize = 256;
/// What may be held unread: a longest text in small pieces, and what a window of repetitions brings.
const MAX_HELD_BYTES: usize = 4 * MAX_CHANNEL_TEXT + 128 * 1024;
/// What may arrive in all for streams that were given up.
const MAX_WASTED_BYTES: usize = 256 * 1024;

const COMMON_HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 4;
const DATA_HEADER_BYTES: usize = 16;
const INIT_BYTES: usize = 20;
const DATA: u8 = 0;
const INIT: u8 = 1;
const FORWARD_TSN: u8 = 192;
const ENDS: u8 = 1;

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Take,
    Drop,
    /// The peer makes us hold too much.
    Abort,
}

/// What one association holds.
#[derive(Debug)]
pub(super) struct Intake {
    /// The last number up to which everything came.
    cumulative: u32,
    /// What came beyond it: whether each ends a message.
    beyond: VecDeque<Option<bool>>,
    ends_message: bool,
    /// Messages that came and that were read, of streams that were not given up.
    ended: u64,
    read: u64,
    held: usize,
    wasted: usize,
    abandoned: BTreeSet<u16>,
}

impl Intake {
    /// Before the first chunk, which will have that number.
    pub(super) const fn new(initial_tsn: u32) -> Self {
        Self {
            cumulative: initial_tsn.wrapping_sub(1),
            beyond: VecDeque::new(),
            ends_message: true,
            ended: 0,
            read: 0,
            held: 0,
            wasted: 0,
            abandoned: BTreeSet::new(),
        }
    }

    /// Judges a packet, and charges it if it is taken.
    pub(super) fn judge(&mut self, packet: &[u8]) -> Judgement {
        let is_beyond = |tsn: u32| {
            let ahead = tsn.wrapping_sub(self.cumulative);
            ahead > WINDOW_TSNS && ahead < 1 << 31
        };
        let mut data = Chunks::of(packet).filter(|chunk| chunk[0] == DATA).filter_map(tsn);
        if data.any(is_beyond) {
            return Judgement::Drop;
        }
        for chunk in Chunks::of(packet) {
            match chunk[0] {
                DATA => self.charge(chunk),
                FORWARD_TSN => self.forward(chunk),
                _ => {}
            }
        }
        let is_too_much = self.held > MAX_HELD_BYTES || self.wasted > MAX_WASTED_BYTES;
        if is_too_much { Judgement::Abort } else { Judgement::Take }
    }

    /// A message was read.
    pub(super) fn note_read(&mut self) {
        self.read += 1;
        self.relieve();
    }

    /// A stream is not read any more; what it held cannot be told from the rest.
    pub(super) fn abandon(&mut self, stream: u16) {
        self.abandoned.insert(stream);
        self.wasted += std::mem::take(&mut self.held);
        self.read = self.ended;
    }

    /// A stream is gone, with all it held; its number may be used again.
    pub(super) fn release(&mut self, stream: u16) {
        self.abandoned.remove(&stream);
    }

    fn charge(&mut self, chunk: &[u8]) {
        let (Some(tsn), Some(stream)) = (tsn(chunk), stream(chunk)) else { return };
        let ahead = tsn.wrapping_sub(self.cumulative);
        if !(1..=WINDOW_TSNS).contains(&ahead) {
            return;
        }
        let at = (ahead - 1) as usize;
        if self.beyond.len() <= at {
            self.beyond.resize(at + 1, None);
        }
        if self.beyond[at].is_some() {
            return;
        }
        let ends = chunk[1] & ENDS != 0;
        self.beyond[at] = Some(ends);
        let cost = chunk.len().saturating_sub(DATA_HEADER_BYTES) + CHUNK_OVERHEAD_BYTES;
        if self.abandoned.contains(&stream) {
            self.wasted += cost;
        } else {
            self.held += cost;
            self.ended += u64::from(ends);
        }
        self.advance();
    }

    /// The peer gives up on what it sent before (RFC 3758 §3.2): only channels we do not take do so.
    fn forward(&mut self, chunk: &[u8]) {
        let Some(new) = tsn(chunk) else { return };
        let ahead = new.wrapping_sub(self.cumulative);
        if ahead >= 1 << 31 {
            return;
        }
        let passed = (ahead as usize).min(self.beyond.len());
        self.beyond.drain(..passed);
        self.cumulative = new;
        self.ends_message = true;
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(Some(ends)) = self.beyond.front().copied() {
            self.beyond.pop_front();
            self.cumulative = self.cumulative.wrapping_add(1);
            self.ends_message = ends;
        }
    }

    /// Nothing is missing, nothing begun, all read: nothing is held.
    fn relieve(&mut self) {
        if self.beyond.is_empty() && self.ends_message && self.read >= self.ended {
            self.held = 0;
        }
    }
}

/// The first number of the peer's data, if the packet asks for an association.
pub(super) fn initial_tsn(packet: &[u8]) -> Option<u32> {
    let first = Chunks::of(packet).next()?;
    let tsn = first.get(INIT_BYTES - 4..INIT_BYTES)?;
    (first[0] == INIT).then(|| u32::from_be_bytes([tsn[0], tsn[1], tsn[2], tsn[3]]))
}

fn tsn(chunk: &[u8]) -> Option<u32> {
    let tsn = chunk.get(4..8)?;
    Some(u32::from_be_bytes([tsn[0], tsn[1], tsn[2], tsn[3]]))
}

fn stream(chunk: &[u8]) -> Option<u16> {
    let id = chunk.get(8..10)?;
    Some(u16::from_be_bytes([id[0], id[1]]))
}

/// The chunks of a packet that are whole, each of at least its header.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(packet: &'a [u8]) -> Self {
        Self(packet.get(COMMON_HEADER_BYTES..).unwrap_or_default())
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = self.0.get(2..4)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let chunk = self.0.get(..length).filter(|chunk| chunk.len() >= CHUNK_HEADER_BYTES)?;
        // Padded to four bytes, but perhaps not the last (RFC 9260 §3.2).
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(chunk)
    }
}
