//! Which codecs an offer or an answer of ours has (RFC 3264 §5.1, §6.1), and by which numbers they travel.
//!
//! Nothing is transcoded here: a codec is of use if both legs have it. Telephone events are the exception: the
//! gateway makes and takes them itself, so they are agreed wherever the peer has them.

use gateway_core::description::{Codec, MediaLine};

/// Codecs and clocks whose packets need no parameters to be understood, in the order we offer them by ourselves.
const KNOWN: [(&str, u32, u8, u8); 4] =
    [("opus", 48_000, 2, 111), ("G722", 8_000, 1, 9), ("PCMU", 8_000, 1, 0), ("PCMA", 8_000, 1, 8)];
/// The first payload types tried for telephone events, and those left for what clashes (RFC 3551 §6).
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

/// A codec both sides of one leg have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The payload type that the peer's packets have: the one in our description (RFC 3264 §5.1).
    pub(crate) receive_type: u8,
    /// The payload type that our packets have: the one in the peer's description.
    pub(crate) send_type: u8,
    /// Name, clock and channels.
    pub(crate) codec: Codec,
}

/// The codecs of an offer: those of `like` in its order, or all we know, each with the payload type that it has had
/// on this leg (RFC 3264 §8.3.2), else with that of `like`, else with a free one.
pub(crate) fn for_offer(like: Option<&MediaLine>, before: &[Codec]) -> Vec<Codec> {
    let mut sound: Vec<Codec> = match like {
        Some(line) => unique(line.codecs.iter().filter(|codec| is_sound(codec))),
        None => KNOWN
            .iter()
            .map(|(name, clock_hz, channels, payload_type)| Codec {
                channels: *channels,
                ..Codec::new(*payload_type, name, *clock_hz)
            })
            .collect(),
    };
    let mut clocks: Vec<u32> = sound.iter().map(|codec| codec.clock_hz).collect();
    clocks.sort_unstable();
    clocks.dedup();
    for clock_hz in clocks {
        let told = like.and_then(|line| line.telephone_event(Some(clock_hz))).cloned();
        let own_type = if clock_hz == 8_000 { 101 } else { 110 };
        let mut event = told.unwrap_or_else(|| Codec::new(own_type, "telephone-event", clock_hz));
        event.fmtp = Some("0-16".to_owned());
        sound.push(event);
    }
    number(sound, before)
}

/// The codecs of an answer: what the offer has and `like` too, in the order of `like`, with the offer's payload
/// types; and the offer's telephone events at the clocks of these.
pub(crate) fn for_answer(offer: &MediaLine, like: Option<&MediaLine>) -> Vec<Codec> {
    let offered: Vec<Codec> = unique(offer.codecs.iter().filter(|codec| is_sound(codec)));
    let mut chosen: Vec<Codec> = match like {
        Some(like) => {
            let of_like = unique(like.codecs.iter().filter(|codec| is_sound(codec)));
            let common = of_like.iter().filter_map(|wanted| {
                let codec = offered.iter().find(|codec| is_relayable(codec, wanted))?;
                Some(Codec { fmtp: wanted.fmtp.clone(), ..codec.clone() })
            });
            common.collect()
        }
        None => offered.into_iter().filter(is_known).collect(),
    };
    let has_clock = |event: &&Codec| chosen.iter().any(|codec| codec.clock_hz == event.clock_hz);
    let events = offer.codecs.iter().filter(|codec| codec.is_telephone_event()).filter(has_clock);
    let events = unique(events);
    chosen.extend(events);
    chosen
}

/// What an answer leaves of an offer, in the answer's order. Empty if no sound is left.
pub(crate) fn agree(ours: &[Codec], theirs: &[Codec]) -> Vec<Agreed> {
    let agreed: Vec<Agreed> = theirs
        .iter()
        .filter_map(|their| {
            // The number decides where one encoding was offered twice.
            let same = || ours.iter().filter(|our| our.is_same_encoding(their));
            let our = same().find(|our| our.payload_type == their.payload_type);
            let our = our.or_else(|| same().next())?;
            Some(Agreed {
                receive_type: our.payload_type,
                send_type: their.payload_type,
                codec: our.clone(),
            })
        })
        .collect();
    if agreed.iter().any(|one| one.codec.carries_sound()) { agreed } else { Vec::new() }
}

fn is_sound(codec: &Codec) -> bool {
    codec.carries_sound() && !codec.name.is_empty() && codec.payload_type <= 127
}

fn is_known(codec: &Codec) -> bool {
    KNOWN.iter().any(|(name, clock_hz, channels, _)| {
        codec.name.eq_ignore_ascii_case(name)
            && (codec.clock_hz, codec.channels) == (*clock_hz, *channels)
    })
}

/// Parameters of codecs we do not know may change their packets, so they must be the same.
fn is_relayable(one: &Codec, other: &Codec) -> bool {
    one.is_same_encoding(other) && (is_known(one) || one.fmtp == other.fmtp)
}

fn unique<'a>(codecs: impl Iterator<Item = &'a Codec>) -> Vec<Codec> {
    let mut unique: Vec<Codec> = Vec::new();
    for codec in codecs {
        let is_there = unique
            .iter()
            .any(|one| one.is_same_encoding(codec) || one.payload_type == codec.payload_type);
        if !is_there {
            unique.push(codec.clone());
        }
    }
    unique
}

/// Gives each codec a payload type of its own.
fn number(codecs: Vec<Codec>, before: &[Codec]) -> Vec<Codec> {
    let mut numbered: Vec<Codec> = Vec::with_capacity(codecs.len());
    for mut codec in codecs {
        let is_free = |payload_type: u8, codec: &Codec, numbered: &[Codec]| {
            let is_other = |one: &&Codec| !one.is_same_encoding(codec);
            let mut all = before.iter().filter(is_other).chain(numbered);
            all.all(|one| one.payload_type != payload_type)
        };
        let wanted = before.iter().find(|one| one.is_same_encoding(&codec));
        let wanted = wanted.map_or(codec.payload_type, |one| one.payload_type);
        let mut tried = std::iter::once(wanted).chain(DYNAMIC.rev());
        let Some(free) = tried.find(|payload_type| is_free(*payload_type, &codec, &numbered))
        else {
            continue;
        };
        codec.payload_type = free;
        numbered.push(codec);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(codecs: &[(u8, &str, u32)]) -> MediaLine {
        let mut line = MediaLine::audio("RTP/AVP");
        line.codecs = codecs
            .iter()
            .map(|(payload_type, name, clock_hz)| {
                let channels = if *name == "opus" { 2 } else { 1 };
                Codec { channels, ..Codec::new(*payload_type, name, *clock_hz) }
            })
            .collect();
        line
    }

    fn types(codecs: &[Codec]) -> Vec<(u8, String)> {
        codecs.iter().map(|codec| (codec.payload_type, codec.name.clone())).collect()
    }

    #[test]
    fn an_answer_has_the_offers_numbers_in_the_far_sides_order() {
        let offer = line(&[
            (111, "opus", 48_000),
            (9, "G722", 8_000),
            (0, "PCMU", 8_000),
            (126, "telephone-event", 8_000),
            (110, "telephone-event", 48_000),
            (13, "CN", 8_000),
        ]);
        let like =
            line(&[(0, "PCMU", 8_000), (96, "G722", 8_000), (101, "telephone-event", 8_000)]);
        let expected = [(0, "PCMU"), (9, "G722"), (126, "telephone-event")];
        let answer = for_answer(&offer, Some(&like));
        assert_eq!(types(&answer), expected.map(|(number, name)| (number, name.to_owned())));
    }

    #[test]
    fn nothing_in_common_leaves_nothing() {
        let offer = line(&[(111, "opus", 48_000), (101, "telephone-event", 8_000)]);
        let like = line(&[(0, "PCMU", 8_000)]);
        assert!(for_answer(&offer, Some(&like)).is_empty());
        assert!(agree(&offer.codecs, &line(&[(101, "telephone-event", 8_000)]).codecs).is_empty());
    }

    #[test]
    fn the_echo_takes_what_it_knows() {
        let offer = line(&[(98, "iLBC", 8_000), (8, "PCMA", 8_000)]);
        assert_eq!(types(&for_answer(&offer, None)), [(8, "PCMA".to_owned())]);
    }

    #[test]
    fn a_second_offer_keeps_the_numbers_of_the_first() {
        let before = for_offer(Some(&line(&[(96, "opus", 48_000)])), &[]);
        let again = for_offer(Some(&line(&[(0, "PCMU", 8_000), (111, "opus", 48_000)])), &before);
        assert_eq!(again.iter().find(|codec| codec.name == "opus").unwrap().payload_type, 96);
    }

    proptest! {
        #[test]
        fn no_offer_gives_two_codecs_one_number(
            like in prop::collection::vec((0u8..=127, "[a-c]", prop::sample::select(vec![8_000u32, 48_000])), 0..30),
            again in prop::collection::vec((0u8..=127, "[a-d]", prop::sample::select(vec![8_000u32, 16_000])), 0..30),
        ) {
            let as_line = |codecs: &[(u8, String, u32)]| {
                let codecs: Vec<_> = codecs.iter().map(|(number, name, clock)| (*number, name.as_str(), *clock)).collect();
                line(&codecs)
            };
            let first = for_offer(Some(&as_line(&like)), &[]);
            for offer in [for_offer(Some(&as_line(&again)), &first), first] {
                for (at, codec) in offer.iter().enumerate() {
                    prop_assert!(offer[at + 1..].iter().all(|other| other.payload_type != codec.payload_type));
                }
            }
        }
    }
}
