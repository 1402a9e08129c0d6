//! The comparison: the same streams through both relays, round by round, and a table.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use gateway_media::srtp::MasterKey;

use crate::machine::{self, Places};
use crate::network;
use crate::ours::Ours;
use crate::rtpengine::Rtpengine;
use crate::traffic::{Ends, Round, Traffic};

/// Packets of a second of sound, at 20 ms each.
const PACKETS_PER_SECOND: u32 = 50;

/// How much, and for how long.
#[derive(Args)]
pub(crate) struct Load {
    /// Calls at once, each with one stream of 172-byte packets.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    streams: u32,
    /// Packets per second, of all streams together; 50 for each if it is not said.
    #[arg(long)]
    rate: Option<u32>,
    /// Seconds of one round.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Rounds of each relay, taken in turns; the median is told.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

impl Load {
    /// Packets per second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate.unwrap_or(self.streams * PACKETS_PER_SECOND)
    }

    /// How long a round is measured.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

/// One way through a relay: what the generator and the sink have to know.
pub(crate) struct Stream {
    /// Where the relay takes packets.
    pub(crate) to: SocketAddr,
    /// What they are sealed with.
    pub(crate) sealed_with: MasterKey,
    /// Where the relay sends from.
    pub(crate) from: SocketAddr,
    /// What its packets are opened with.
    pub(crate) opened_with: MasterKey,
}

/// A program under measurement. It ends when it is dropped.
pub(crate) trait Relay {
    /// What the table calls it.
    fn name(&self) -> &'static str;
    /// Its process.
    fn pid(&self) -> u32;
    /// Opens a stream between the two ends: AES_CM_128_HMAC_SHA1_80 in, _32 out.
    fn open_stream(&mut self, number: u64, ends: &Ends) -> io::Result<Stream>;
}

/// A relay with its streams and what was measured of it.
struct Measured {
    relay: Box<dyn Relay>,
    traffic: Traffic,
    rounds: Vec<Round>,
}

/// Measures and prints.
///
/// # Errors
/// When our own relay, or a started rtpengine, fails.
pub(crate) fn run(load: &Load) -> io::Result<()> {
    match network::enter_private() {
        Ok(()) => println!("in a private network"),
        Err(fault) => {
            println!("on the machine's loopback, since a private network is refused: {fault}")
        }
    }
    machine::raise_file_limit();
    let places = Places::find()?;
    let mut measured = vec![set_up(Box::new(Ours::start(places)?), load)?];
    match Rtpengine::start(places) {
        Ok(rtpengine) => measured.push(set_up(Box::new(rtpengine), load)?),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            println!("rtpengine is not installed (apt-get install rtpengine-daemon): ours alone");
        }
        Err(fault) => return Err(fault),
    }
    println!(
        "rekey, {} streams, {} packets/s of 172 bytes, {} rounds of {} s; {} at start",
        load.streams,
        load.rate(),
        load.rounds,
        load.seconds,
        machine::load()
    );
    for _ in 0..load.rounds {
        for each in &mut measured {
            let round = each.traffic.round(load, each.relay.pid())?;
            each.rounds.push(round);
        }
    }
    print_table(&measured);
    println!("{} at the end", machine::load());
    Ok(())
}

fn set_up(mut relay: Box<dyn Relay>, load: &Load) -> io::Result<Measured> {
    let mut traffic = Traffic::bind()?;
    let ends = traffic.ends()?;
    for number in 0..u64::from(load.streams) {
        traffic.add(&relay.open_stream(number, &ends)?);
    }
    Ok(Measured { relay, traffic, rounds: Vec::new() })
}

fn print_table(measured: &[Measured]) {
    println!(
        "{:16} {:>9} {:>8} {:>7} {:>10} {:>10} {:>10} {:>14}",
        "", "packets", "loss", "refused", "p50 us", "p99 us", "max us", "CPU ns/packet"
    );
    for each in measured {
        let count = |of: fn(&Round) -> u64| each.rounds.iter().map(of).sum::<u64>();
        let (sent, arrived) = (count(|round| round.sent), count(|round| round.heard.authentic));
        let refused = count(|round| round.heard.refused);
        let loss = 100.0 * (1.0 - arrived as f64 / sent.max(1) as f64);
        let mut latencies: Vec<_> =
            each.rounds.iter().flat_map(|round| round.heard.latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(&latencies, share).as_micros());
        println!(
            "{:16} {sent:>9} {loss:>7.3}% {refused:>7} {p50:>10} {p99:>10} {max:>10} {:>14}",
            each.relay.name(),
            cpu(each).as_nanos()
        );
    }
    if let [ours, other] = measured {
        let ratio = cpu(ours).as_secs_f64() / cpu(other).as_secs_f64().max(f64::MIN_POSITIVE);
        println!("ours takes {ratio:.2} of the CPU of {}", other.relay.name());
    }
}

/// The median of the rounds.
fn cpu(measured: &Measured) -> Duration {
    let mut rounds: Vec<_> = measured.rounds.iter().map(|round| round.cpu_per_packet).collect();
    rounds.sort_unstable();
    quantile(&rounds, 0.5)
}

/// The value that this share of the sorted values do not exceed; zero if there are none.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share) as usize).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_and_of_none() {
        let values: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&values, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&values, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
