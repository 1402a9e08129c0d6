//! Writing compound RTCP packets into a buffer.

use super::{
    CNAME, GOODBYE, PAYLOAD_FEEDBACK, PICTURE_LOSS, RECEIVER_REPORT, ReportBlock, SENDER_REPORT,
    SOURCE_DESCRIPTION, SenderInfo,
};

/// Report blocks that one report can hold (RFC 3550 §6.4.1).
const MAX_BLOCKS: usize = 31;
/// The longest text of an item (RFC 3550 §6.5).
const MAX_TEXT_BYTES: usize = 255;

/// Puts packets behind each other. What does not fit into the buffer is left out as a whole packet.
#[derive(Debug)]
pub struct Builder<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Builder<'a> {
    /// Starts at the beginning of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Bytes written.
    pub fn length(&self) -> usize {
        self.length
    }

    /// A sender report (RFC 3550 §6.4.1), with at most 31 blocks.
    pub fn sender_report(&mut self, ssrc: u32, sender: &SenderInfo, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        self.packet(SENDER_REPORT, blocks.len(), |out| {
            out.word(ssrc)?;
            out.bytes(&sender.ntp.to_be_bytes())?;
            out.word(sender.rtp_timestamp)?;
            out.word(sender.packets)?;
            out.word(sender.octets)?;
            blocks.iter().try_for_each(|block| out.block(block))
        });
    }

    /// A receiver report (RFC 3550 §6.4.2), with at most 31 blocks.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(MAX_BLOCKS)];
        self.packet(RECEIVER_REPORT, blocks.len(), |out| {
            out.word(ssrc)?;
            blocks.iter().try_for_each(|block| out.block(block))
        });
    }

    /// A source description with nothing but the canonical name (RFC 3550 §6.5.1), cut at 255
    /// bytes.
    pub fn cname(&mut self, ssrc: u32, name: &str) {
        let name = &name.as_bytes()[..name.len().min(MAX_TEXT_BYTES)];
        self.packet(SOURCE_DESCRIPTION, 1, |out| {
            out.word(ssrc)?;
            out.bytes(&[CNAME, name.len() as u8])?;
            out.bytes(name)?;
            // The list ends with at least one zero, and the chunk at a word (RFC 3550 §6.5).
            let zeros = 4 - (2 + name.len()) % 4;
            out.bytes(&[0; 4][..zeros])
        });
    }

    /// A goodbye (RFC 3550 §6.6).
    pub fn goodbye(&mut self, ssrc: u32) {
        self.packet(GOODBYE, 1, |out| out.word(ssrc));
    }

    /// A request for a new picture (RFC 4585 §6.3.1).
    pub fn picture_loss(&mut self, sender: u32, media: u32) {
        self.packet(PAYLOAD_FEEDBACK, usize::from(PICTURE_LOSS), |out| {
            out.word(sender)?;
            out.word(media)
        });
    }

    fn packet(
        &mut self,
        packet_type: u8,
        count: usize,
        body: impl FnOnce(&mut Out<'_>) -> Option<()>,
    ) {
        let mut out = Out { rest: &mut self.buffer[self.length..], length: 0 };
        if out.word(0).and_then(|()| body(&mut out)).is_none() {
            return;
        }
        let bytes = out.length;
        let words =
            u16::try_from(bytes / 4 - 1).expect("31 blocks or 255 bytes of text are far less");
        let header = &mut self.buffer[self.length..][..4];
        header[..2].copy_from_slice(&[0x80 | count as u8, packet_type]);
        header[2..].copy_from_slice(&words.to_be_bytes());
        self.length += bytes;
    }
}

/// What is left of the buffer.
struct Out<'a> {
    rest: &'a mut [u8],
    length: usize,
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.rest.get_mut(self.length..self.length + bytes.len())?.copy_from_slice(bytes);
        self.length += bytes.len();
        Some(())
    }

    fn word(&mut self, word: u32) -> Option<()> {
        self.bytes(&word.to_be_bytes())
    }

    fn block(&mut self, block: &ReportBlock) -> Option<()> {
        self.word(block.ssrc)?;
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
        self.bytes(&[block.fraction_lost, lost[1], lost[2], lost[3]])?;
        self.word(block.highest_sequence)?;
        self.word(block.jitter)?;
        self.word(block.last_sender_report)?;
        self.word(block.delay_since)
    }
}
