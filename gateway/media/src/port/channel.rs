//! The data channel of a port: its line in descriptions (RFC 8841), and the way of its packets through DTLS (RFC 8261).
//!
//! ```text
//!  offer, answer --> a line beside the sound, on the same transport --> Channel
//!  DTLS association --poll_data--> Channel --poll_packet--> DTLS association
//! ```
//!
//! There is no transport for a channel alone: it goes in the bundle of the sound (RFC 9143).

use std::time::Instant;

use gateway_core::channel::{ChannelCommand, ChannelEvent, MAX_CHANNEL_TEXT};
use gateway_core::description::{Description, MediaKind, MediaLine};
use gateway_core::media::{MediaEvent, PathKind};

use super::{Keying, Port};
use crate::channel::{Channel, SCTP_PORT};

const PROTO: &str = "UDP/DTLS/SCTP";
const FORMAT: &str = "webrtc-datachannel";

/// A line for a channel that can be agreed: its place, and the longest text its describer takes.
pub(super) fn channel_line(description: &Description) -> Option<(usize, u32)> {
    let is_bundled =
        |line: &MediaLine| line.mid.as_ref().is_some_and(|mid| description.bundle.contains(mid));
    // In a bundle port 0 may only mean that there is no other transport; refused lines are not in it (RFC 9143 §7.1.3).
    let has_sound =
        description.media.iter().any(|line| line.kind == MediaKind::Audio && is_bundled(line));
    let place = description.media.iter().position(|line| {
        let is_channel = line.kind == MediaKind::Application && line.proto == PROTO;
        is_channel && line.formats.iter().any(|format| format == FORMAT) && is_bundled(line)
    })?;
    let (_, max_text) = description.media[place].sctp?;
    has_sound.then_some((place, max_text))
}

/// Our line beside ours of the sound, whose transport it shares.
pub(super) fn channel_beside(sound: &MediaLine, mid: Option<String>) -> MediaLine {
    let transport = sound.clone();
    MediaLine {
        port: transport.port,
        address: transport.address,
        mid,
        formats: vec![FORMAT.to_owned()],
        fingerprints: transport.fingerprints,
        setup: transport.setup,
        ice: transport.ice,
        candidates: transport.candidates,
        end_of_candidates: transport.end_of_candidates,
        trickle: transport.trickle,
        sctp: Some((SCTP_PORT, MAX_CHANNEL_TEXT as u32)),
        ..MediaLine::new(MediaKind::Application, PROTO)
    }
}

impl Port {
    /// Whether path, protection and profile allow a channel.
    pub(super) fn may_have_channel(&self) -> bool {
        let is_ice = self.path.kind() == PathKind::Ice;
        self.profile.channel && is_ice && matches!(self.keying, Keying::Dtls(_))
    }

    /// Whether texts may go from now on; over a new DTLS association everything begins anew.
    pub(super) fn set_channel(&mut self, max_text: Option<u32>, is_new_association: bool) {
        if max_text.is_some() && !is_new_association && self.channel.is_some() {
            return;
        }
        self.channel = max_text.map(Channel::new);
        self.note_channel(None);
    }

    /// Takes what a call asks of the channel.
    pub(crate) fn command_channel(&mut self, command: &ChannelCommand, now: Instant) {
        if let Some(channel) = &mut self.channel {
            channel.handle_command(command, now);
            self.progress(now);
        }
    }

    /// Lets the channel do what is due.
    pub(super) fn run_channel(&mut self, now: Instant) {
        if let Some(channel) = &mut self.channel
            && channel.poll_timeout().is_some_and(|at| at <= now)
        {
            channel.handle_timeout(now);
        }
    }

    /// Takes packets from DTLS to the channel and back, and tells what came of them.
    pub(super) fn pump_channel(&mut self, now: Instant) {
        let Keying::Dtls(Some(association)) = &mut self.keying else { return };
        while let Some(data) = association.poll_data() {
            // Without a channel nobody asked for it.
            if let Some(channel) = &mut self.channel {
                channel.handle_packet(data.freeze(), now);
            }
        }
        let Some(channel) = &mut self.channel else { return };
        while let Some(packet) = channel.poll_packet() {
            association.send(&packet, now);
        }
        while let Some(event) = self.channel.as_mut().and_then(Channel::poll_event) {
            self.note_channel(Some(event));
        }
    }

    /// Tells an event of the channel; none: what there was is gone.
    fn note_channel(&mut self, event: Option<ChannelEvent>) {
        let was_open = self.is_channel_open;
        self.is_channel_open = event.as_ref().is_some_and(|event| *event != ChannelEvent::Closed);
        let event = event.or_else(|| was_open.then_some(ChannelEvent::Closed));
        if let Some(event) = event {
            self.events.push_back(MediaEvent::Channel(self.id, event));
        }
    }
}
