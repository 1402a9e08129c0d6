//! Our descriptions: what a port is, as its peer is told.

use std::net::{IpAddr, SocketAddr};

use gateway_core::description::{Codec, Description, Direction, MediaLine, Setup};
use gateway_core::media::Protection;

use super::{Keying, Path, Port, Settings};
use crate::path::ice::local_candidates;
use crate::protection::sdes;

impl Port {
    /// The line of an offer or answer, without what the keying adds.
    pub(super) fn line(&self, settings: &Settings, proto: &str, direction: Direction) -> MediaLine {
        let mut line = MediaLine::audio(proto);
        line.direction = direction;
        match &self.path {
            Path::Static(path) => {
                set_address(&mut line, path.pair.advertised);
            }
            Path::Ice(path) => {
                let muxed = &settings.ice.muxed;
                if let Some(first) = muxed.first() {
                    set_address(&mut line, first.advertised);
                }
                line.candidates = local_candidates(muxed);
                line.end_of_candidates = true;
                line.trickle = true;
                line.ice = Some(path.local().clone());
                line.rtcp_mux = true;
                line.ssrc = Some((self.flow.ssrc(), self.cname.clone()));
                line.msid = Some("gateway audio".to_owned());
            }
        }
        if let Keying::Dtls(_) = self.keying {
            line.fingerprints = vec![settings.identity.fingerprint().clone()];
        }
        line
    }

    /// Adds the keys of an offer.
    pub(super) fn add_offered_keys(&self, line: &mut MediaLine) {
        match &self.keying {
            Keying::Clear => {}
            Keying::Sdes { offered, .. } => {
                line.crypto = offered.iter().map(sdes::Line::render).collect();
            }
            Keying::Dtls(_) => line.setup = Some(Setup::ActPass),
        }
    }

    /// Adds the keys of an answer.
    pub(super) fn add_answered_keys(&self, line: &mut MediaLine) {
        match &self.keying {
            Keying::Clear => {}
            Keying::Sdes { agreement, .. } => {
                line.crypto = agreement.iter().map(|agreement| agreement.line().render()).collect();
            }
            Keying::Dtls(association) => {
                line.setup = association.as_ref().map(|association| association.role().setup());
            }
        }
    }

    /// A whole description around our lines at their places; the other lines stay refused.
    pub(super) fn description(
        &mut self,
        settings: &Settings,
        base: Option<&Description>,
        lines: Vec<(usize, MediaLine)>,
    ) -> Description {
        let session = self.session;
        self.session.1 += 1;
        let mut media: Vec<MediaLine> =
            base.map_or_else(Vec::new, |base| base.media.iter().map(MediaLine::refusal).collect());
        let is_bundled = |line: &MediaLine| {
            base.map_or(line.ice.is_some(), |base| {
                line.mid.as_ref().is_some_and(|mid| base.bundle.contains(mid))
            })
        };
        let mut bundle = Vec::new();
        for (place, line) in lines {
            bundle.extend(line.mid.iter().filter(|_| is_bundled(&line)).cloned());
            match media.get_mut(place) {
                Some(there) => *there = line,
                None => media.push(line),
            }
        }
        let is_ice_lite = settings.ice.is_lite && matches!(self.path, Path::Ice(_));
        Description { session, media, bundle, is_ice_lite }
    }
}

/// The protocol of an offer of ours (RFC 3551, RFC 3711 §12, RFC 5764 §8, RFC 8834 §4.2).
pub(super) fn proto(protection: Protection, is_ice: bool) -> &'static str {
    match protection {
        Protection::Clear if is_ice => "RTP/AVPF",
        Protection::Clear => "RTP/AVP",
        Protection::Sdes if is_ice => "RTP/SAVPF",
        Protection::Sdes => "RTP/SAVP",
        Protection::Dtls if is_ice => "UDP/TLS/RTP/SAVPF",
        Protection::Dtls | Protection::Zrtp => "UDP/TLS/RTP/SAVP",
    }
}

/// Puts codecs into a line.
pub(super) fn set_codecs(line: &mut MediaLine, codecs: Vec<Codec>, ptime_ms: Option<u32>) {
    line.formats = codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
    line.codecs = codecs;
    line.ptime_ms = ptime_ms;
}

fn set_address(line: &mut MediaLine, address: SocketAddr) {
    line.address = Some(address.ip());
    line.port = address.port();
}

/// Where a line says its peer is; `None` for the unspecified address of old holds (RFC 3264 §8.4).
pub(super) fn peer_address(address: Option<SocketAddr>) -> Option<SocketAddr> {
    let is_place = |address: &SocketAddr| {
        let ip: IpAddr = address.ip();
        !ip.is_unspecified() && address.port() != 0
    };
    address.filter(is_place)
}
