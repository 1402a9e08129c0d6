//! What happens in an answered call: offers within it, hold, digits, what people are told.

use std::time::{Duration, Instant};

use super::party::{Change, Life, Update};
use super::{Call, Stage};
use crate::cause::Cause;
use crate::description::{Answer, Offer};
use crate::ids::LegId;
use crate::leg::{LegCommand, Trouble};
use crate::media::{Digits, MediaCommand, Protection, Quality, Secured};
use crate::quality::heard;
use crate::security::{LegSecurity, Report};

impl Call {
    /// The other party of a talking call; the party itself where it hears its echo.
    fn far(&self, leg: LegId) -> Option<LegId> {
        match self.stage {
            Stage::Talking(callee) => {
                let callee = callee.unwrap_or(self.caller.leg);
                Some(if leg == self.caller.leg { callee } else { self.caller.leg })
            }
            Stage::Setup(_) => self.early_far(leg),
            Stage::Routing | Stage::Answering(_) | Stage::Ending | Stage::Over => None,
        }
    }

    /// While one callee rings, digits may already go both ways (early media).
    fn early_far(&self, leg: LegId) -> Option<LegId> {
        let mut open = self.callees.iter().filter(|party| party.is_live() && party.has_port);
        let (callee, others) = (open.next()?, open.next());
        if others.is_some() {
            return None;
        }
        Some(if leg == self.caller.leg { callee.leg } else { self.caller.leg })
    }

    pub(super) fn handle_reoffered(&mut self, leg: LegId, offer: Offer) {
        let far = self.far(leg);
        let like = far.filter(|far| *far != leg).and_then(|far| self.party(far)?.remote.clone());
        let Some(party) = self.party_mut(leg) else { return };
        let (port, profile) = (leg.port(), party.profile.clone());
        match party.update.clone() {
            Update::Idle => {}
            // Glare before ours left the house: ours waits (RFC 3261 §14.1 is for the wire).
            Update::Making(change) => {
                party.wanted.get_or_insert(change);
                self.media(MediaCommand::Rollback { port });
            }
            Update::Offered(_) | Update::Answering(_) => {
                return self.tell(leg, LegCommand::RefuseReoffer(Cause::NotAcceptable));
            }
        }
        let Some(party) = self.party_mut(leg) else { return };
        let is_ready = party.has_port && party.local.is_some() && party.remote.is_some();
        if !is_ready || far.is_none() {
            return self.tell(leg, LegCommand::RefuseReoffer(Cause::NotAcceptable));
        }
        party.update = Update::Answering(Box::new(offer.0.clone()));
        self.media(MediaCommand::Answer { port, profile, offer, like });
    }

    /// Our answer to an offer within the call.
    pub(super) fn handle_reoffer_answer_ready(&mut self, leg: LegId, answer: Answer) {
        let Some(party) = self.party_mut(leg) else { return };
        let Update::Answering(offer) = party.update.clone() else { return };
        party.update = Update::Idle;
        let held = party.holds();
        party.local = Some(answer.0.clone());
        party.remote = Some(*offer);
        let holds = party.holds();
        self.tell(leg, LegCommand::AnswerReoffer(answer));
        if held != holds
            && let Some(far) = self.far(leg).filter(|far| *far != leg)
        {
            self.tell(far, if holds { LegCommand::Held } else { LegCommand::Resumed });
        }
        self.report_security();
        self.make_wanted(leg);
    }

    pub(super) fn handle_hold(&mut self, leg: LegId, is_hold: bool) {
        let Stage::Talking(_) = self.stage else { return };
        let Some(far) = self.far(leg) else { return };
        if far == leg {
            // The echo has no far leg to hold: it falls silent.
            let port = leg.port();
            self.media(if is_hold {
                MediaCommand::Leave { port }
            } else {
                MediaCommand::Join { a: port, b: port }
            });
            return self.tell(leg, if is_hold { LegCommand::Held } else { LegCommand::Resumed });
        }
        self.want(far, Change::Hold(is_hold));
    }

    /// Offers this party a change, now or when what goes on is done.
    pub(super) fn want(&mut self, leg: LegId, change: Change) {
        let Some(party) = self.party_mut(leg) else { return };
        party.wanted = Some(change);
        self.make_wanted(leg);
    }

    fn make_wanted(&mut self, leg: LegId) {
        let Some(party) = self.party_mut(leg) else { return };
        if party.update != Update::Idle || party.life != Life::Talking || !party.has_port {
            return;
        }
        let Some(change) = party.wanted.take() else { return };
        let like = match &change {
            Change::Hold(is_hold) => {
                party.is_held = *is_hold;
                None
            }
            Change::Codecs(remote) => Some((**remote).clone()),
        };
        party.update = Update::Making(change);
        let direction = party.direction();
        self.media(MediaCommand::Reoffer { port: leg.port(), direction, like });
    }

    pub(super) fn send_reoffer(&mut self, leg: LegId, offer: Offer) {
        let Some(party) = self.party_mut(leg) else { return };
        let Update::Making(change) = party.update.clone() else { return };
        party.update = Update::Offered(change);
        party.local = Some(offer.0.clone());
        self.tell(leg, LegCommand::Reoffer(offer));
    }

    pub(super) fn handle_reoffer_answered(&mut self, leg: LegId, answer: Answer) {
        let Some(party) = self.party_mut(leg) else { return };
        let Update::Offered(change) = party.update.clone() else { return };
        party.update = Update::Idle;
        party.remote = Some(answer.0.clone());
        self.media(MediaCommand::Accept { port: leg.port(), answer, is_final: true });
        if let Change::Hold(is_hold) = change {
            self.held(leg, is_hold);
        }
        self.report_security();
        self.make_wanted(leg);
    }

    /// A hold that this leg's far party asked for is done: nothing flows, and it is told.
    fn held(&mut self, leg: LegId, is_hold: bool) {
        let Some(far) = self.far(leg) else { return };
        let (a, b) = (far.port(), leg.port());
        self.media(if is_hold {
            MediaCommand::Leave { port: b }
        } else {
            MediaCommand::Join { a, b }
        });
        self.tell(far, if is_hold { LegCommand::Held } else { LegCommand::Resumed });
    }

    pub(super) fn handle_reoffer_refused(&mut self, leg: LegId, cause: Cause) {
        let Some(party) = self.party_mut(leg) else { return };
        if !matches!(party.update, Update::Offered(_)) {
            return;
        }
        self.media_if_open(leg.port(), MediaCommand::Rollback { port: leg.port() });
        self.update_failed(leg, cause);
    }

    /// An update did not come to pass; what stood before stands.
    pub(super) fn update_failed(&mut self, leg: LegId, cause: Cause) {
        let Some(party) = self.party_mut(leg) else { return };
        let network = party.trunk.network().to_owned();
        match std::mem::replace(&mut party.update, Update::Idle) {
            Update::Idle => {}
            Update::Answering(_) => self.tell(leg, LegCommand::RefuseReoffer(cause)),
            Update::Making(change) | Update::Offered(change) => {
                let why = match change {
                    Change::Hold(is_hold) => {
                        party.is_held = !is_hold;
                        format!("the {network} leg did not take the hold or its end ({cause})")
                    }
                    Change::Codecs(_) => {
                        format!("the {network} leg did not take the far side's codec ({cause})")
                    }
                };
                if let Some(far) = self.far(leg) {
                    let trouble = Trouble { network, is_receive: false, why };
                    self.tell(far, LegCommand::Trouble(trouble));
                }
            }
        }
        self.make_wanted(leg);
    }

    /// A digit in the signalling of one leg.
    pub(super) fn handle_digit(&mut self, leg: LegId, digit: char, duration: Duration) {
        let Some(far) = self.far(leg).filter(|far| *far != leg) else { return };
        let Some(party) = self.party(far) else { return };
        if party.takes_telephone_events() {
            self.media(MediaCommand::Digit { port: far.port(), digit, duration });
        }
        self.signal_digit(far, digit, duration);
    }

    /// A digit in the media of one leg: the relay passes it where both agreed on telephone events.
    pub(super) fn handle_media_digit(&mut self, leg: LegId, digit: char, duration: Duration) {
        if let Some(far) = self.far(leg).filter(|far| *far != leg) {
            self.signal_digit(far, digit, duration);
        }
    }

    fn signal_digit(&mut self, leg: LegId, digit: char, duration: Duration) {
        let Some(party) = self.party(leg) else { return };
        let wants_it = party.profile.digits == Digits::MediaAndSignalling;
        if party.is_known_to_adapter() && (wants_it || !party.takes_telephone_events()) {
            self.tell(leg, LegCommand::Digit(digit, duration));
        }
    }

    pub(super) fn handle_secured(&mut self, leg: LegId, secured: Secured) {
        if let Some(party) = self.party_mut(leg) {
            party.secured = Some(secured);
            self.report_security();
        }
    }

    /// Tells both legs how the call is protected, once both are.
    pub(super) fn report_security(&mut self) {
        let Stage::Talking(callee) = self.stage else { return };
        let caller = self.caller.leg;
        let legs = [Some(caller), callee];
        for (own, far) in [(Some(caller), callee), (callee, Some(caller))] {
            let Some(own) = own else { continue };
            let Some(report) = self.report(own, far, &legs) else { return };
            self.tell(own, LegCommand::Security(report));
        }
    }

    fn report(&self, own: LegId, far: Option<LegId>, legs: &[Option<LegId>]) -> Option<Report> {
        let mut protections = vec![self.leg_security(own)?];
        if let Some(far) = far {
            protections.push(self.leg_security(far)?);
        }
        let level = protections.iter().map(LegSecurity::level).min()?;
        // Whose leg is clear holds no key, and the gateway none if all are.
        let sealed = |leg: &Option<LegId>| {
            let leg = leg.as_ref()?;
            let is_clear = self.leg_security(*leg)?.protection == Protection::Clear;
            if is_clear { None } else { Some(self.party(*leg)?.name.clone()) }
        };
        let [caller, callee] = [legs.first().and_then(sealed), legs.get(1).and_then(sealed)];
        let is_sealed = caller.is_some() || callee.is_some();
        let gateway = is_sealed.then(|| "gateway".to_owned());
        let keys = [caller, gateway, callee].into_iter().flatten().collect();
        // What is local to the receiver is remote to its port.
        let fingerprints = self.party(own)?.secured.as_ref()?.fingerprints.clone();
        let fingerprints = fingerprints.map(|(gateway, receiver)| (receiver, gateway));
        Some(Report { level, verified: false, fingerprints, legs: protections, keys })
    }

    fn leg_security(&self, leg: LegId) -> Option<LegSecurity> {
        let party = self.party(leg)?;
        let secured = party.secured.as_ref()?;
        Some(LegSecurity {
            network: party.trunk.network().to_owned(),
            protection: secured.protection,
            suite: secured.suite.clone(),
            sas: secured.sas.clone(),
            keys_exposed: party.profile.keys_exposed,
        })
    }

    pub(super) fn handle_quality(&mut self, leg: LegId, quality: Quality) {
        if let Some(party) = self.party_mut(leg) {
            party.quality = Some(quality);
        }
        let Some(far) = self.far(leg) else { return };
        let far = self.party(far).filter(|far| far.leg != leg).and_then(|far| far.quality);
        if matches!(self.stage, Stage::Talking(_)) {
            self.tell(leg, LegCommand::Quality(heard(&quality, far.as_ref())));
        }
    }

    pub(super) fn handle_quiet(&mut self, leg: LegId, since: Duration) {
        let Stage::Talking(callee) = self.stage else { return };
        let Some(party) = self.party(leg) else { return };
        let trouble = Trouble {
            network: party.trunk.network().to_owned(),
            is_receive: true,
            why: format!("no packets for {} s", since.as_secs()),
        };
        for leg in [Some(self.caller.leg), callee].into_iter().flatten() {
            self.tell(leg, LegCommand::Trouble(trouble.clone()));
        }
    }

    pub(super) fn handle_consent(&mut self, leg: LegId, is_given: bool, now: Instant) {
        if let Some(party) = self.party_mut(leg) {
            party.consent_until = (!is_given).then(|| now + party.profile.resume);
        }
    }
}
