//! From routes to an answered call: groups ring one after the other, the routes of a group
//! together; the first answer wins.

use std::collections::VecDeque;
use std::time::Instant;

use super::party::{Answering, Change, Life, Party, Update};
use super::{Call, Stage};
use crate::cause::Cause;
use crate::description::{Answer, Description, Offer};
use crate::ids::{LEGS_PER_CALL, LegId};
use crate::leg::{Dial, LegCommand};
use crate::media::MediaCommand;
use crate::route::{Group, LegRoute, Require, Route};

/// What goes on while a call is set up.
#[derive(Debug)]
pub(super) struct Setup {
    /// The groups still to be tried.
    later: VecDeque<Group>,
    /// Whether the caller was told that it rings.
    has_rung: bool,
    /// The callee whose early media the caller hears.
    early: Option<LegId>,
    /// What failed so far, by what it says about the callee.
    worst: Option<(Cause, Option<String>)>,
}

impl Call {
    pub(super) fn handle_routes(
        &mut self,
        routes: Result<Vec<Group>, (Cause, String)>,
        now: Instant,
    ) {
        if !matches!(self.stage, Stage::Routing) {
            return;
        }
        let routes = routes.and_then(|groups| protected(groups, self.inquiry.require));
        match routes {
            Ok(groups) => {
                self.stage = Stage::Setup(Setup {
                    later: groups.into(),
                    has_rung: false,
                    early: None,
                    worst: None,
                });
                self.ring_next_group(now);
            }
            Err((cause, reason)) => self.finish(cause, Some(reason)),
        }
    }

    fn ring_next_group(&mut self, now: Instant) {
        let Stage::Setup(setup) = &mut self.stage else { return };
        let Some(group) = setup.later.pop_front() else {
            let (cause, reason) = setup.worst.take().unwrap_or((Cause::Unreachable, None));
            return self.finish(cause, reason);
        };
        let mut ring_limit = None;
        for route in group {
            match route {
                Route::Leg(route) => {
                    ring_limit = ring_limit.max(Some(route.ring_limit));
                    self.prepare(route);
                }
                Route::Echo => return self.answer_caller(None, None, now),
            }
        }
        self.deadline = ring_limit.map(|limit| (now + limit, "ring limit"));
        self.try_next_if_all_failed(now);
    }

    /// Opens a callee's port and asks it for an offer; dialling follows.
    fn prepare(&mut self, route: LegRoute) {
        let Some(profile) = route.profiles.first().cloned() else { return };
        if self.history.next_leg >= self.caller.leg.0 + LEGS_PER_CALL {
            return;
        }
        let leg = LegId(self.history.next_leg);
        self.history.next_leg += 1;
        let mut party = Party::callee(leg, route, profile.clone());
        party.has_port = true;
        self.callees.push(party);
        let like = self.caller.remote.clone();
        self.media(MediaCommand::Offer { port: leg.port(), profile, like });
    }

    pub(super) fn handle_offered(&mut self, leg: LegId, offer: Offer) {
        let Some(party) = self.party_mut(leg) else { return };
        match (&party.life, &party.update) {
            (Life::Preparing, _) => {
                party.life = Life::Setup;
                party.local = Some(offer.0.clone());
                self.dial(leg, offer);
            }
            (Life::Talking, Update::Making(_)) => self.send_reoffer(leg, offer),
            // Ours was taken back meanwhile: glare, or the call is ending.
            (Life::Setup | Life::Ringing | Life::Ending | Life::Ended(_), _)
            | (Life::Talking, Update::Idle | Update::Offered(_) | Update::Answering(_)) => {}
        }
    }

    fn dial(&mut self, leg: LegId, offer: Offer) {
        let Some(party) = self.party(leg) else { return };
        let Some(route) = &party.route else { return };
        let dial = Dial {
            trunk: route.trunk.clone(),
            origin: self.inquiry.origin.clone(),
            to: route.to.clone(),
            contact: route.contact.clone(),
            account: route.account.clone(),
            display: self.display.clone(),
            require: self.inquiry.require,
            offer,
            profile: party.profile.clone(),
            hops_left: self.hops_left,
        };
        self.tell(leg, LegCommand::Dial(Box::new(dial)));
    }

    pub(super) fn handle_ringing(&mut self, leg: LegId) {
        let Stage::Setup(setup) = &mut self.stage else { return };
        if leg == self.caller.leg {
            return;
        }
        let is_first = !std::mem::replace(&mut setup.has_rung, true);
        if let Some(party) = self.party_mut(leg).filter(|party| party.life == Life::Setup) {
            party.life = Life::Ringing;
        }
        let caller = self.caller.leg;
        if is_first {
            self.tell(caller, LegCommand::Ring);
        }
        if self.caller.profile.early_answer && self.caller.answering == Answering::No {
            let like = self.party(leg).and_then(|party| party.local.clone());
            self.ask_caller_answer(like.map(universal_first));
        }
    }

    pub(super) fn handle_progress(&mut self, leg: LegId, answer: Answer) {
        let Stage::Setup(setup) = &mut self.stage else { return };
        // One early media at a time: the first that speaks is heard until one answers.
        if leg == self.caller.leg || setup.early.is_some_and(|early| early != leg) {
            return;
        }
        setup.early = Some(leg);
        let Some(party) = self.party_mut(leg) else { return };
        let like = answer.0.clone();
        party.remote = Some(like.clone());
        let (port, caller) = (leg.port(), self.caller.leg.port());
        self.media(MediaCommand::Accept { port, answer, is_final: false });
        if self.caller.answering == Answering::No {
            self.ask_caller_answer(Some(like));
        }
        self.media(MediaCommand::Join { a: caller, b: port });
    }

    pub(super) fn handle_answered(&mut self, leg: LegId, answer: Option<Answer>, now: Instant) {
        if !matches!(self.stage, Stage::Setup(_)) || leg == self.caller.leg {
            return;
        }
        let Some(party) = self.party_mut(leg) else { return };
        if !matches!(party.life, Life::Setup | Life::Ringing) {
            return;
        }
        party.life = Life::Talking;
        if let Some(answer) = answer {
            party.remote = Some(answer.0.clone());
            self.media(MediaCommand::Accept { port: leg.port(), answer, is_final: true });
        }
        let losers: Vec<LegId> =
            self.callees.iter().map(|party| party.leg).filter(|other| *other != leg).collect();
        for loser in losers {
            self.end_leg(loser, Cause::AnsweredElsewhere, None);
        }
        let like = self.party(leg).and_then(|party| party.remote.clone());
        self.answer_caller(Some(leg), like, now);
    }

    /// The callee (or the echo) is there: answer the caller, now or when its port is ready.
    fn answer_caller(&mut self, callee: Option<LegId>, like: Option<Description>, now: Instant) {
        self.stage = Stage::Answering(callee);
        self.deadline = Some((now + self.limits.answering, "answering"));
        match self.caller.answering {
            Answering::No => self.ask_caller_answer(like),
            Answering::Asked => {}
            Answering::Given => self.talk(None, now),
        }
    }

    fn ask_caller_answer(&mut self, like: Option<Description>) {
        let Some(offer) = self.caller.remote.clone() else { return };
        self.caller.answering = Answering::Asked;
        self.caller.has_port = true;
        let (port, profile) = (self.caller.leg.port(), self.caller.profile.clone());
        self.media(MediaCommand::Answer { port, profile, offer: Offer(offer), like });
    }

    /// A port of ours has its answer ready.
    pub(super) fn handle_our_answer(&mut self, leg: LegId, answer: Answer, now: Instant) {
        if leg != self.caller.leg || self.caller.answering != Answering::Asked {
            return self.handle_reoffer_answer_ready(leg, answer);
        }
        self.caller.answering = Answering::Given;
        self.caller.local = Some(answer.0.clone());
        match self.stage {
            Stage::Setup(_) => self.tell(leg, LegCommand::Progress(answer)),
            Stage::Answering(_) => self.talk(Some(answer), now),
            Stage::Routing | Stage::Talking(_) | Stage::Ending | Stage::Over => {}
        }
    }

    fn talk(&mut self, answer: Option<Answer>, now: Instant) {
        let Stage::Answering(callee) = self.stage else { return };
        let (leg, port) = (self.caller.leg, self.caller.leg.port());
        let far = callee.map_or(port, LegId::port);
        self.stage = Stage::Talking(callee);
        self.deadline = Some((now + self.limits.talking, "longest duration"));
        self.history.answered = Some(now);
        self.caller.life = Life::Talking;
        self.media(MediaCommand::Join { a: port, b: far });
        self.tell(leg, LegCommand::Answer(answer));
        self.report_security();
        self.align_codecs();
    }

    /// The caller was answered before the callee was: if the callee chose otherwise, offer the
    /// caller what the callee chose.
    fn align_codecs(&mut self) {
        let Stage::Talking(Some(callee)) = self.stage else { return };
        let Some(remote) = self.party(callee).and_then(|party| party.remote.clone()) else {
            return;
        };
        let first = |side: &Description| side.audio()?.first_audio_codec().cloned();
        let chosen = first(&remote);
        let told = self.caller.local.as_ref().and_then(first);
        if let (Some(chosen), Some(told)) = (chosen, told)
            && !chosen.is_same_encoding(&told)
        {
            self.want(self.caller.leg, Change::Codecs(Box::new(remote)));
        }
    }

    pub(super) fn handle_failed(&mut self, leg: LegId, cause: Cause, reason: String, now: Instant) {
        let is_ringing_callee = leg != self.caller.leg && matches!(self.stage, Stage::Setup(_));
        let Some(party) = self.party_mut(leg) else { return };
        match (&party.life, &party.update) {
            (Life::Preparing, _) => {
                self.close_port(leg);
                party_ended(self.party_mut(leg), cause);
                self.callee_failed(leg, cause, Some(reason), now);
            }
            (Life::Talking, Update::Making(_) | Update::Answering(_)) => {
                self.update_failed(leg, cause);
            }
            (Life::Setup | Life::Ringing, _) if is_ringing_callee => {
                self.end_leg(leg, cause, None);
                self.callee_failed(leg, cause, Some(reason), now);
            }
            (Life::Setup | Life::Ringing | Life::Talking, _) => self.finish(cause, Some(reason)),
            (Life::Ending | Life::Ended(_), _) => {}
        }
    }

    /// A leg ended: what that means depends on who it was and how far the call is.
    pub(super) fn handle_ended(
        &mut self,
        leg: LegId,
        cause: Cause,
        reason: Option<String>,
        now: Instant,
    ) {
        self.close_port(leg);
        let Some(party) = self.party_mut(leg) else { return };
        let was_ending = party.life == Life::Ending;
        party.life = Life::Ended(cause);
        if was_ending {
            return;
        }
        let is_caller = leg == self.caller.leg;
        match &self.stage {
            Stage::Routing | Stage::Setup(_) if is_caller => {
                let cause = if cause == Cause::Normal { Cause::Cancelled } else { cause };
                self.finish(cause, reason);
            }
            Stage::Setup(_) => self.callee_failed(leg, cause, reason, now),
            Stage::Routing | Stage::Answering(_) | Stage::Talking(_) => {
                let cause = if cause == Cause::Cancelled { Cause::Normal } else { cause };
                self.finish(cause, reason);
            }
            Stage::Ending | Stage::Over => {}
        }
    }

    /// A callee cannot be had: by another profile of the same route, perhaps, or by another route.
    fn callee_failed(&mut self, leg: LegId, cause: Cause, reason: Option<String>, now: Instant) {
        let Some(party) = self.party(leg) else { return };
        let again = party.route.clone().filter(|route| !route.profiles.is_empty());
        let Stage::Setup(setup) = &mut self.stage else { return };
        if setup.early == Some(leg) {
            setup.early = None;
        }
        match again.filter(|_| cause == Cause::NotAcceptable) {
            Some(route) => self.prepare(route),
            None => {
                let weight = setup.worst.as_ref().map_or(0, |(worst, _)| worst.weight());
                if setup.worst.is_none() || cause.weight() > weight {
                    setup.worst = Some((cause, reason));
                }
            }
        }
        if cause == Cause::Declined {
            // The person said no: on all devices, as a 603 does (RFC 3261 §21.6.2).
            let reason = self.worst_reason();
            return self.finish(Cause::Declined, reason);
        }
        self.try_next_if_all_failed(now);
    }

    fn worst_reason(&self) -> Option<String> {
        match &self.stage {
            Stage::Setup(setup) => setup.worst.as_ref().and_then(|(_, reason)| reason.clone()),
            Stage::Routing
            | Stage::Answering(_)
            | Stage::Talking(_)
            | Stage::Ending
            | Stage::Over => None,
        }
    }

    fn try_next_if_all_failed(&mut self, now: Instant) {
        let is_ringing = self
            .callees
            .iter()
            .any(|party| matches!(party.life, Life::Preparing | Life::Setup | Life::Ringing));
        if is_ringing || !matches!(self.stage, Stage::Setup(_)) {
            return;
        }
        let Stage::Setup(setup) = &mut self.stage else { return };
        match &setup.worst {
            Some((cause, reason)) if !cause.allows_another_route() => {
                let (cause, reason) = (*cause, reason.clone());
                self.finish(cause, reason);
            }
            Some(_) | None => self.ring_next_group(now),
        }
    }

    /// Nobody of this group answered in time.
    pub(super) fn ring_limit_reached(&mut self, now: Instant) {
        let Stage::Setup(setup) = &mut self.stage else { return };
        setup.early = None;
        if setup.worst.as_ref().is_none_or(|(worst, _)| worst.weight() < Cause::NoAnswer.weight()) {
            setup.worst = Some((Cause::NoAnswer, Some("nobody answered in time".to_owned())));
        }
        for leg in self.callees.iter().map(|party| party.leg).collect::<Vec<_>>() {
            self.end_leg(leg, Cause::NoAnswer, None);
        }
        self.ring_next_group(now);
    }
}

fn party_ended(party: Option<&mut Party>, cause: Cause) {
    if let Some(party) = party {
        party.life = Life::Ended(cause);
    }
}

/// Leaves what is as protected as the caller asks for.
fn protected(groups: Vec<Group>, require: Require) -> Result<Vec<Group>, (Cause, String)> {
    if groups.iter().all(Vec::is_empty) {
        return Err((Cause::NotFound, "no route leads there".to_owned()));
    }
    let mut kept: Vec<Group> = Vec::new();
    for group in groups {
        let group: Group =
            group.into_iter().filter_map(|route| filter_route(route, require)).collect();
        if !group.is_empty() {
            kept.push(group);
        }
    }
    if kept.is_empty() {
        let reason = "no way to the callee is as protected as you asked for";
        return Err((Cause::Security, reason.to_owned()));
    }
    Ok(kept)
}

fn filter_route(route: Route, require: Require) -> Option<Route> {
    match (route, require) {
        (route, Require::Any) => Some(route),
        // The gateway opens and seals what it echoes and relays: it holds keys.
        (_, Require::EndToEnd) => None,
        (Route::Echo, Require::Encrypted) => Some(Route::Echo),
        (Route::Leg(mut route), Require::Encrypted) => {
            route.profiles.retain(crate::media::Profile::is_encrypted);
            (!route.profiles.is_empty()).then_some(Route::Leg(route))
        }
    }
}

/// G.711 is in every phone: an answer given before the callee's is known prefers it.
fn universal_first(mut description: Description) -> Description {
    if let Some(audio) = description.audio_mut() {
        audio.codecs.sort_by_key(|codec| match codec.name.to_ascii_uppercase().as_str() {
            "PCMU" => 0,
            "PCMA" => 1,
            _ => 2,
        });
    }
    description
}
