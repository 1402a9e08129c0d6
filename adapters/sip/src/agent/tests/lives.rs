//! Random lives: whatever comes, every leg ends once.

use super::*;

/// One thing that happens in a random life.
#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Command(u8),
    /// The peer answers the latest request of ours.
    Answer(u16, bool),
    /// The peer sends a request of its own.
    Ask(u8),
    Cancel,
    Unsent,
}

fn step() -> impl Strategy<Value = Step> {
    let status =
        prop::sample::select(vec![100u16, 180, 183, 200, 200, 401, 407, 481, 486, 491, 503]);
    prop_oneof![
        2 => (1u64..8_000).prop_map(Step::Wait),
        4 => (0u8..9).prop_map(Step::Command),
        4 => (status, any::<bool>()).prop_map(|(status, sdp)| Step::Answer(status, sdp)),
        4 => (0u8..8).prop_map(Step::Ask),
        1 => Just(Step::Cancel),
        1 => Just(Step::Unsent),
    ]
}

fn any_command(which: u8) -> LegCommand {
    match which {
        0 => LegCommand::Ring,
        1 => LegCommand::Progress(Answer(description())),
        2 => LegCommand::Answer(Some(Answer(description()))),
        3 => LegCommand::Answer(None),
        4 => LegCommand::Reoffer(Offer(description())),
        5 => LegCommand::AnswerReoffer(Answer(description())),
        6 => LegCommand::RefuseReoffer(Cause::NotAcceptable),
        7 => LegCommand::Digit('1', SECOND),
        _ => LegCommand::End(Cause::Normal, None),
    }
}

/// What the peer remembers of a random life.
struct Peer {
    leg: LegId,
    tag: String,
    ours: Option<Request>,
    number: u32,
    ends: usize,
    after_the_end: usize,
}

impl Peer {
    fn look(&mut self, scene: &mut Scene) {
        for message in scene.sent() {
            match message {
                Message::Request(request) if request.method() != Method::Ack => {
                    self.ours = Some(request);
                }
                Message::Request(_) => {}
                Message::Response(response) => {
                    if let Some(to) = response.fields().to().filter(|_| response.is_success()) {
                        to.tag().unwrap_or_default().clone_into(&mut self.tag);
                    }
                }
            }
        }
        for event in scene.events() {
            self.after_the_end += usize::from(self.ends > 0);
            self.ends += usize::from(matches!(event, LegEvent::Ended(..)));
        }
    }

    fn take(&mut self, scene: &mut Scene, step: Step) {
        match step {
            Step::Wait(ms) => scene.pass(Duration::from_millis(ms)),
            Step::Command(which) => scene.command(self.leg, any_command(which)),
            Step::Answer(status, sdp) => {
                if let Some(ours) = self.ours.clone() {
                    scene.reply(&ours, status, "b1", sdp);
                }
            }
            Step::Ask(which) => {
                self.number += 1;
                let kinds = ["ACK", "BYE", "INVITE", "INVITE", "UPDATE", "INFO", "OPTIONS", "ACK"];
                let body = (which % 2 == 1).then(|| (crate::offer::SDP, body()));
                scene.in_dialog(kinds[usize::from(which)], self.number, &self.tag.clone(), body);
            }
            Step::Cancel => {
                let cancel = invite("z9hG4bKproven1INVITE").replace("1 INVITE", "2 INVITE");
                let cancel =
                    request(&cancel.replace("INVITE ", "CANCEL ").replace(" INVITE", " CANCEL"));
                scene.give(cancel.render());
            }
            Step::Unsent => {
                let transmit = scene.agent.poll_transmit();
                if let Some(id) = transmit.and_then(|transmit| transmit.transaction) {
                    scene.agent.handle_unsent(id, scene.now);
                    scene.drain();
                }
            }
        }
        self.look(scene);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_leg_ends_exactly_once_and_nothing_is_kept_of_it(
        is_incoming: bool,
        has_offer: bool,
        steps in prop::collection::vec(step(), 0..30),
    ) {
        let mut scene = Scene::new(&config());
        let leg = if is_incoming { scene.incoming(has_offer) } else { scene.ring_bob().0 };
        let (tag, number) = ("b1".to_owned(), 2);
        let mut peer = Peer { leg, tag, ours: None, number, ends: 0, after_the_end: 0 };
        peer.look(&mut scene);
        for step in steps {
            peer.take(&mut scene, step);
        }
        scene.command(leg, LegCommand::End(Cause::Normal, None));
        peer.look(&mut scene);
        prop_assert_eq!(peer.ends, 1);
        // Whatever the peer still does, everything passes.
        for _ in 0..70 {
            scene.pass(10 * SECOND);
        }
        peer.look(&mut scene);
        prop_assert_eq!((peer.ends, peer.after_the_end), (1, 0));
        prop_assert_eq!((scene.agent.legs(), scene.agent.releases.len()), (0, 0));
        prop_assert!(scene.agent.is_quiet());
        prop_assert_eq!(scene.agent.counters().transactions, 0);
    }
}
