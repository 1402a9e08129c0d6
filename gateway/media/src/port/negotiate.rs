//! Offers and answers of one audio line (RFC 3264), ours and the peer's.
//!
//! ```text
//!  open_by_offer, reoffer --> offered --accept--> agreed      rollback: offered is forgotten
//!  open_by_answer, answer ----------------------> agreed      a failure leaves everything as it was
//! ```
//!
//! Everything is checked before anything is changed.

use std::time::Instant;

use gateway_core::cause::Cause;
use gateway_core::description::{
    Answer, Codec, Description, Direction, MediaKind, MediaLine, Offer,
};
use gateway_core::ids::PortId;
use gateway_core::media::{MediaEvent, PathKind, Profile, Protection};

use super::channel::{channel_beside, channel_line};
use super::describe::{peer_address, proto, set_codecs};
use super::plan::{
    NewKeys, Plan, answered_keys, associate, audio_line, broken, check_address, choose_protection,
    common_codecs, ice_credentials, impossible, like_line, no_codec, open_path, path_kind,
};
use super::{Impossible, Keying, Means, Path, Port, Settings, codecs};
use crate::protection::dtls::Role;
use crate::protection::guard::Guard;
use crate::protection::sdes::{self, Agreement};
use crate::srtp::{Opener, Sealer, Suite};

/// What we offer by ourselves. 32-bit tags are only taken, never asked for.
const OFFERED_SUITES: [Suite; 3] =
    [Suite::AeadAes128Gcm, Suite::AesCm256HmacSha1_80, Suite::AesCm128HmacSha1_80];

/// Where the sound stands in a description of ours.
fn sound_place(ours: &Description) -> Option<usize> {
    ours.media.iter().position(|line| line.kind == MediaKind::Audio && !line.is_refused())
}

/// Place and name of the line of a channel.
fn place_of_channel(description: &Description) -> Option<(usize, Option<String>)> {
    channel_line(description).map(|(place, _)| (place, description.media[place].mid.clone()))
}

/// The line of the sound, and that of a channel, at their places.
fn beside(
    place: usize,
    sound: MediaLine,
    channel: Option<(usize, Option<String>)>,
) -> Vec<(usize, MediaLine)> {
    let channel = channel.map(|(place, mid)| (place, channel_beside(&sound, mid)));
    let mut lines: Vec<_> = channel.into_iter().chain([(place, sound)]).collect();
    lines.sort_by_key(|(place, _)| *place);
    lines
}

impl Port {
    /// Opens a port that offers.
    pub(crate) fn open_by_offer(
        id: PortId,
        profile: Profile,
        like: Option<&Description>,
        means: &mut Means<'_>,
    ) -> Result<Self, Impossible> {
        let like_line = like_line(like)?;
        // Who signals over IPv6 may have nothing else.
        let wants_v6 = profile.signalling_peer.is_some_and(|ip| ip.to_canonical().is_ipv6());
        let path = open_path(profile.path, &profile, wants_v6, means)?;
        let keying = match profile.protection {
            Protection::Clear => Keying::Clear,
            Protection::Sdes => Keying::Sdes {
                offered: sdes::offer(&OFFERED_SUITES, means.random),
                agreement: None,
                retired: Vec::new(),
            },
            Protection::Dtls => Keying::Dtls(None),
            Protection::Zrtp => return Err(impossible(Cause::Security, "ZRTP is not supported")),
        };
        let mut port = Self::new(id, profile, path, keying, means);
        port.offer(Direction::SendRecv, like_line, means.settings);
        Ok(port)
    }

    /// Opens a port by a peer's offer.
    pub(crate) fn open_by_answer(
        id: PortId,
        profile: Profile,
        offer: &Description,
        like: Option<&Description>,
        means: &mut Means<'_>,
    ) -> Result<Self, Impossible> {
        let (place, line) = audio_line(offer)?;
        let codecs = common_codecs(line, like_line(like)?)?;
        let protection = choose_protection(&profile, line)?;
        let kind = path_kind(line);
        check_address(line, kind, means.settings)?;
        let keying = match protection {
            Protection::Clear => Keying::Clear,
            Protection::Sdes => {
                Keying::Sdes { offered: Vec::new(), agreement: None, retired: Vec::new() }
            }
            Protection::Dtls | Protection::Zrtp => Keying::Dtls(None),
        };
        let keys = answered_keys(&keying, line, means)?;
        let wants_v6 = line.address.is_some_and(|ip| ip.is_ipv6());
        let path = open_path(kind, &profile, wants_v6, means)?;
        let mut port = Self::new(id, profile, path, keying, means);
        let agreed = codecs::agree(&codecs, &codecs);
        let channel = port.may_have_channel().then(|| channel_line(offer)).flatten();
        let (line, is_peer_lite) = (line.clone(), offer.is_ice_lite);
        let plan = Plan { place, line, agreed, keys, is_peer_lite, channel };
        port.answer(offer, plan, codecs, means);
        Ok(port)
    }

    /// Updates the port by a peer's offer.
    pub(crate) fn update(
        &mut self,
        profile: Profile,
        offer: &Offer,
        like: Option<&Description>,
        means: &mut Means<'_>,
    ) -> Result<(), Impossible> {
        let offer = &offer.0;
        let (place, line) = audio_line(offer)?;
        let codecs = common_codecs(line, like_line(like)?)?;
        let protection = choose_protection(&profile, line)?;
        if protection != self.keying.protection() {
            return Err(impossible(Cause::Security, "the protection cannot change during a call"));
        }
        let kind = path_kind(line);
        if kind != self.path.kind() {
            return Err(impossible(Cause::NotAcceptable, "ICE cannot come or go during a call"));
        }
        check_address(line, kind, means.settings)?;
        let keys = answered_keys(&self.keying, line, means)?;
        if let (Path::Ice(path), Some(remote)) = (&mut self.path, &line.ice)
            && path.is_restart(remote)
        {
            let local = ice_credentials(means);
            path.restart(local, means.now).ok_or_else(|| broken("no ICE agent"))?;
        }
        if let Path::Static(path) = &mut self.path {
            path.unlock();
        }
        self.offered = None;
        self.profile = profile;
        let agreed = codecs::agree(&codecs, &codecs);
        let is_peer_lite = offer.is_ice_lite;
        let channel = self.may_have_channel().then(|| channel_line(offer)).flatten();
        let plan = Plan { place, line: line.clone(), agreed, keys, is_peer_lite, channel };
        self.answer(offer, plan, codecs, means);
        Ok(())
    }

    /// Makes another offer.
    pub(crate) fn reoffer(
        &mut self,
        direction: Direction,
        like: Option<&Description>,
        settings: &Settings,
    ) -> Result<(), Impossible> {
        let like_line = like_line(like)?.cloned();
        let standing = self.local.as_ref().and_then(Description::audio).cloned();
        if let Keying::Sdes { offered, agreement: Some(agreement), .. } = &mut self.keying {
            *offered = sdes::offer_again(agreement);
        }
        self.offer(direction, like_line.as_ref().or(standing.as_ref()), settings);
        Ok(())
    }

    /// Forgets our last offer.
    pub(crate) fn rollback(&mut self) {
        self.offered = None;
        self.early.clear();
    }

    /// Applies a peer's answer to our last offer.
    pub(crate) fn accept(
        &mut self,
        answer: &Answer,
        is_final: bool,
        means: &mut Means<'_>,
    ) -> Result<(), Impossible> {
        let base = self.offered.clone().or_else(|| self.local.clone());
        let base = base.ok_or_else(|| impossible(Cause::NotAcceptable, "nothing was offered"))?;
        let place = sound_place(&base).ok_or_else(|| broken("the offer has no line"))?;
        let line = answer
            .0
            .media
            .get(place)
            .filter(|line| line.kind == MediaKind::Audio && !line.is_refused());
        let line = line.ok_or_else(|| impossible(Cause::NotAcceptable, "sound was refused"))?;
        let agreed = codecs::agree(&base.media[place].codecs, &line.codecs);
        if agreed.is_empty() {
            return Err(no_codec());
        }
        check_address(line, self.path.kind(), means.settings)?;
        let keys = self.accepted_keys(line, means.settings)?;
        let mut line = line.clone();
        line.rtcp_mux &= base.media[place].rtcp_mux;
        let theirs = line.direction.reversed();
        let asked = channel_line(&base).map(|(place, _)| place);
        let channel = channel_line(&answer.0).filter(|(place, _)| Some(*place) == asked);
        let is_peer_lite = answer.0.is_ice_lite;
        let plan = Plan { place, line, agreed, keys, is_peer_lite, channel };
        let ours = base.media[place].direction;
        self.local = Some(base);
        self.remote = Some(answer.0.clone());
        if is_final {
            self.offered = None;
        }
        self.apply(plan, ours.and(theirs), true, means.now);
        Ok(())
    }

    fn offer(&mut self, direction: Direction, like: Option<&MediaLine>, settings: &Settings) {
        let standing = self.local.clone();
        let before = standing.as_ref().and_then(Description::audio);
        let known = before.map_or(&[][..], |line| &line.codecs);
        let codecs = codecs::for_offer(like, known);
        let is_ice = self.path.kind() == PathKind::Ice;
        let own = proto(self.keying.protection(), is_ice);
        let proto = before.map_or(own, |line| &line.proto);
        let mut line = self.line(settings, proto, direction);
        line.rtcp_mux |= self.profile.rtcp_mux;
        line.mid = match before {
            Some(before) => before.mid.clone(),
            None => is_ice.then(|| "0".to_owned()),
        };
        self.add_offered_keys(&mut line);
        set_codecs(&mut line, codecs, like.and_then(|like| like.ptime_ms));
        let place = standing.as_ref().and_then(sound_place).unwrap_or(0);
        let channel = match &standing {
            None => self.may_have_channel().then(|| (1, Some("1".to_owned()))),
            Some(standing) => place_of_channel(standing),
        };
        let lines = beside(place, line, channel);
        let description = self.description(settings, standing.as_ref(), lines);
        self.offered = Some(description.clone());
        self.events.push_back(MediaEvent::Offered(self.id, Offer(description)));
    }

    fn answer(
        &mut self,
        offer: &Description,
        plan: Plan,
        codecs: Vec<Codec>,
        means: &mut Means<'_>,
    ) {
        let (place, channel) = (plan.place, plan.channel);
        let (mid, proto, ptime_ms) =
            (plan.line.mid.clone(), plan.line.proto.clone(), plan.line.ptime_ms);
        let rtcp_mux = plan.line.rtcp_mux;
        let mut direction = plan.line.direction.reversed();
        if peer_address(plan.line.rtp_address()).is_none() && plan.line.ice.is_none() {
            // The unspecified address is the hold of RFC 2543: nothing is sent.
            direction = direction.and(Direction::RecvOnly);
        }
        self.remote = Some(offer.clone());
        self.apply(plan, direction, false, means.now);
        let mut line = self.line(means.settings, &proto, direction);
        line.mid = mid;
        line.rtcp_mux = rtcp_mux;
        self.add_answered_keys(&mut line);
        set_codecs(&mut line, codecs, ptime_ms);
        let channel = channel.and_then(|_| place_of_channel(offer));
        let lines = beside(place, line, channel);
        let description = self.description(means.settings, Some(offer), lines);
        self.local = Some(description.clone());
        self.events.push_back(MediaEvent::Answered(self.id, Answer(description)));
        self.progress(means.now);
    }

    /// Makes the plan true.
    fn apply(&mut self, plan: Plan, direction: Direction, is_offerer: bool, now: Instant) {
        self.direction = direction;
        self.flow.set_agreed(&plan.agreed);
        match &mut self.path {
            Path::Static(path) => {
                let rtp = peer_address(plan.line.rtp_address());
                let rtcp = peer_address(plan.line.rtcp_address());
                let peer = self.profile.signalling_peer;
                path.set_remote(rtp, rtcp, plan.line.rtcp_mux, peer);
            }
            Path::Ice(path) => {
                if let Some(remote) = &plan.line.ice {
                    let roles = (is_offerer, plan.is_peer_lite);
                    path.start(remote, &plan.line.candidates, roles, now);
                }
            }
        }
        let is_new_association = matches!(plan.keys, NewKeys::Early | NewKeys::Dtls(Some(_)));
        self.set_channel(plan.channel.map(|(_, max_text)| max_text), is_new_association);
        match plan.keys {
            NewKeys::Clear => {}
            NewKeys::Sdes(agreement) => self.set_agreement(agreement),
            NewKeys::Dtls(None) => {}
            NewKeys::Dtls(Some(association)) => self.keying = Keying::Dtls(Some(association)),
            NewKeys::Early => self.adopt_early(&plan.line),
        }
        self.early.clear();
        self.progress(now);
    }

    /// The keys of an answer to our offer.
    fn accepted_keys(&self, line: &MediaLine, settings: &Settings) -> Result<NewKeys, Impossible> {
        match &self.keying {
            Keying::Clear => Ok(NewKeys::Clear),
            Keying::Sdes { offered, .. } => sdes::accept(offered, &line.crypto)
                .map(NewKeys::Sdes)
                .map_err(|fault| (Cause::Security, fault.to_string())),
            Keying::Dtls(Some(standing)) if standing.is_with(&line.fingerprints) => {
                Ok(NewKeys::Dtls(None))
            }
            Keying::Dtls(_) => {
                let role = Role::by_answer(line.setup);
                let fresh = associate(role, line, settings)?;
                let is_early = role == Some(Role::Server) && self.has_early(line);
                Ok(if is_early { NewKeys::Early } else { fresh })
            }
        }
    }

    /// Changes only the directions whose key changed: a key must not begin to count anew.
    fn set_agreement(&mut self, new: Agreement) {
        let Keying::Sdes { agreement, retired, .. } = &mut self.keying else { return };
        let standing = agreement.replace(new.clone());
        let has = |ours: bool| {
            standing.as_ref().is_some_and(|standing| {
                if ours {
                    standing.ours.is_same(&new.ours)
                } else {
                    standing.theirs.is_same(&new.theirs)
                }
            })
        };
        let (old_opener, old_sealer) = match std::mem::replace(&mut self.guard, Guard::Closed) {
            Guard::Closed | Guard::Clear => (None, None),
            Guard::Srtp { opener, sealer } => (Some(opener), Some(sealer)),
        };
        let opener = match old_opener.filter(|_| has(false)) {
            Some(opener) => opener,
            None => {
                self.is_secured_told = false;
                Box::new(Opener::new(&new.theirs))
            }
        };
        let mut old_sealer = old_sealer;
        let kept = if has(true) { old_sealer.take() } else { None };
        let sealer = kept.unwrap_or_else(|| {
            if let (Some(standing), Some(sealer)) = (&standing, old_sealer.take()) {
                retired.push((standing.ours.clone(), sealer));
            }
            let place = retired.iter().position(|(key, _)| key.is_same(&new.ours));
            place.map_or_else(|| Box::new(Sealer::new(&new.ours)), |at| retired.remove(at).1)
        });
        self.guard = Guard::Srtp { opener, sealer };
    }
}
