//! What a peer's line asks for, judged before anything is changed.

use gateway_core::cause::Cause;
use gateway_core::description::{Codec, Description, IceCredentials, MediaKind, MediaLine};
use gateway_core::media::{PathKind, Profile, Protection};

use super::{Agreed, Impossible, Keying, Means, Path, Settings, codecs};
use crate::io::random_text;
use crate::path::ice::IcePath;
use crate::path::may_be_sent_to;
use crate::path::r#static::StaticPath;
use crate::protection::dtls::{Association, Role};
use crate::protection::guard::offered_by;
use crate::protection::sdes::{self, Agreement};
use crate::srtp::Suite;

/// What a peer's line leads to, before anything is changed.
pub(super) struct Plan {
    pub(super) place: usize,
    pub(super) line: MediaLine,
    pub(super) agreed: Vec<Agreed>,
    pub(super) keys: NewKeys,
    pub(super) is_peer_lite: bool,
    /// Where a channel is agreed: its place, and the longest text the peer takes.
    pub(super) channel: Option<(usize, u32)>,
}

/// The keys that a line leads to.
pub(super) enum NewKeys {
    Clear,
    Sdes(Agreement),
    Dtls(Option<Box<Association>>),
    /// The handshake that began before the answer.
    Early,
}

pub(super) fn impossible(cause: Cause, reason: &str) -> Impossible {
    (cause, reason.to_owned())
}

pub(super) fn broken(reason: &str) -> Impossible {
    impossible(Cause::Failed, reason)
}

pub(super) fn no_codec() -> Impossible {
    impossible(Cause::NotAcceptable, "the two sides have no codec in common")
}

pub(super) fn like_line(like: Option<&Description>) -> Result<Option<&MediaLine>, Impossible> {
    match like {
        None => Ok(None),
        Some(like) => like.audio().map(Some).ok_or_else(no_codec),
    }
}

pub(super) fn audio_line(offer: &Description) -> Result<(usize, &MediaLine), Impossible> {
    let is_audio = |line: &MediaLine| line.kind == MediaKind::Audio && !line.is_refused();
    let place = offer.media.iter().position(is_audio);
    let place = place.ok_or_else(|| impossible(Cause::NotAcceptable, "the offer has no sound"))?;
    Ok((place, &offer.media[place]))
}

pub(super) fn common_codecs(
    line: &MediaLine,
    like: Option<&MediaLine>,
) -> Result<Vec<Codec>, Impossible> {
    let codecs = codecs::for_answer(line, like);
    if codecs.iter().any(Codec::carries_sound) { Ok(codecs) } else { Err(no_codec()) }
}

pub(super) fn choose_protection(
    profile: &Profile,
    line: &MediaLine,
) -> Result<Protection, Impossible> {
    let offered = offered_by(line);
    let chosen = profile.accepts.iter().find(|accepted| offered.contains(accepted)).copied();
    chosen.ok_or_else(|| {
        impossible(Cause::Security, "the offer has no protection that this leg accepts")
    })
}

/// ICE is answered with ICE where it needs one port only; else as by a peer without it (RFC 8839 §4.2.5).
pub(super) fn path_kind(line: &MediaLine) -> PathKind {
    if line.ice.is_some() && line.rtcp_mux { PathKind::Ice } else { PathKind::Static }
}

/// An address without ICE is sent to without asking: it must not lead back into this host or network link.
pub(super) fn check_address(
    line: &MediaLine,
    kind: PathKind,
    settings: &Settings,
) -> Result<(), Impossible> {
    let missing = || impossible(Cause::NotAcceptable, "the description names no usable address");
    match kind {
        PathKind::Ice => line.ice.as_ref().map(|_| ()).ok_or_else(missing),
        PathKind::Static => {
            let allow_loopback = settings.ice.allow_loopback;
            let is_usable = |ip| may_be_sent_to(ip, allow_loopback);
            let rtp = line.rtp_address().ok_or_else(missing)?;
            let rtcp = line.rtcp_address().ok_or_else(missing)?;
            let is_hold = rtp.ip().is_unspecified();
            if is_hold || is_usable(rtp.ip()) && is_usable(rtcp.ip()) {
                Ok(())
            } else {
                Err(missing())
            }
        }
    }
}

pub(super) fn open_path(
    kind: PathKind,
    profile: &Profile,
    wants_v6: bool,
    means: &mut Means<'_>,
) -> Result<Path, Impossible> {
    match kind {
        PathKind::Static => {
            let pair = means.sockets.open(wants_v6);
            let pair = pair.ok_or_else(|| impossible(Cause::Overload, "no media port is free"))?;
            Ok(Path::Static(StaticPath::new(pair, profile.signalling_peer)))
        }
        PathKind::Ice => {
            let local = ice_credentials(means);
            let path = IcePath::new(means.settings.ice.clone(), local, means.now);
            Ok(Path::Ice(Box::new(path.ok_or_else(|| broken("no ICE agent"))?)))
        }
    }
}

/// At least 24 and 128 bits of randomness (RFC 8445 §5.3).
pub(super) fn ice_credentials(means: &mut Means<'_>) -> IceCredentials {
    IceCredentials { ufrag: random_text(means.random, 8), pwd: random_text(means.random, 24) }
}

/// The keys of our answer to a peer's offer.
pub(super) fn answered_keys(
    keying: &Keying,
    line: &MediaLine,
    means: &mut Means<'_>,
) -> Result<NewKeys, Impossible> {
    match keying {
        Keying::Clear => Ok(NewKeys::Clear),
        Keying::Sdes { agreement, .. } => {
            sdes::answer(&line.crypto, &Suite::PREFERRED, agreement.as_ref(), means.random)
                .map(NewKeys::Sdes)
                .map_err(|fault| (Cause::Security, fault.to_string()))
        }
        Keying::Dtls(Some(standing)) if standing.is_with(&line.fingerprints) => {
            Ok(NewKeys::Dtls(None))
        }
        Keying::Dtls(_) => associate(Role::by_offer(line.setup), line, means.settings),
    }
}

pub(super) fn associate(
    role: Option<Role>,
    line: &MediaLine,
    settings: &Settings,
) -> Result<NewKeys, Impossible> {
    let role = role.ok_or_else(|| impossible(Cause::NotAcceptable, "nobody opens DTLS"))?;
    let association = Association::new(&settings.identity, role, &line.fingerprints);
    let association = association
        .ok_or_else(|| impossible(Cause::Security, "no usable certificate fingerprint"))?;
    Ok(NewKeys::Dtls(Some(Box::new(association))))
}
