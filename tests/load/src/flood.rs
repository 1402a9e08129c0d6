//! Floods of SIP requests from strangers, and what honest phones and a trunk get meanwhile.
//!
//! ```text
//!  flood, 3,000 a second --+
//!  phones, 20 a second ----+--> procom-gateway run
//!  trunk, 10 a second -----+
//! ```
//!
//! First single requests: how much comes back for one datagram. Then four floods, each at a gateway
//! of its own: REGISTER and INVITE without credentials, from 100 addresses and from the one address
//! of all phones (a neighbour behind the same NAT). The end is PASS or FAIL. It judges
//! counts and bytes; the times are only told, since they depend on the machine.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

mod honest;
mod memory;
mod sender;
mod single;
mod tally;
mod text;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::{Duration, Instant};

use clap::Args;

use crate::gateway::{ADMIN, Gateway, HTTP, folder};
use crate::{machine, network};
use memory::Watch;
use sender::Flood;
use tally::Tally;

/// Where the gateway takes SIP.
const SIP: &str = "127.0.0.1:5080";
/// Its domain.
const DOMAIN: &str = "127.0.0.1";
/// The trunk's address, which is how the gateway knows it.
const TRUNK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address of all phones.
const PHONES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// An address that nothing honest uses.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Sockets of a flood, each at an address of its own where they are strangers'.
const SOCKETS: u8 = 100;
/// How many times the bytes of its request an answer to a stranger may have.
const MOST_BYTES_BACK: f64 = 3.0;
/// How much of the memory before a flood the gateway may have after it.
const MOST_MEMORY_AFTER: f64 = 1.2;

/// How much comes in, and for how long.
#[derive(Args)]
pub(crate) struct Load {
    /// Requests of the flood a second.
    #[arg(long, default_value_t = 3000)]
    rate: u32,
    /// How long each flood lasts, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Honest phones; each registers once a second.
    #[arg(long, default_value_t = 20)]
    phones: u32,
    /// Lines of the trunk; each calls once a second.
    #[arg(long, default_value_t = 10)]
    lines: u32,
    /// How long honest traffic runs before each flood, in seconds.
    #[arg(long, default_value_t = 10)]
    warm_up: u32,
    /// How long memory is watched after each flood, in seconds.
    #[arg(long, default_value_t = 60)]
    settle: u32,
    /// How long answers to single requests are counted, in seconds.
    #[arg(long, default_value_t = 40)]
    patience: u32,
}

/// What a flood consists of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Register,
    Invite,
}

impl Kind {
    fn method(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Invite => "INVITE",
        }
    }
}

/// Where a flood comes from.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// As many addresses as sockets: what a limit for each address does not stop.
    Strangers,
    /// The address of all phones: what a limit for each address must not stop.
    Phones,
}

impl Place {
    fn addresses(self) -> Vec<Ipv4Addr> {
        let address = |number| match self {
            Self::Strangers => Ipv4Addr::new(127, 0, 1, number),
            Self::Phones => PHONES,
        };
        (1..=SOCKETS).map(address).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Strangers => "100 addresses",
            Self::Phones => "the phones' address",
        }
    }
}

/// Floods the gateway and prints what came of it.
///
/// # Errors
/// When something cannot be started, and when a figure is worse than it may be.
pub(crate) fn run(load: &Load) -> Result<(), String> {
    network::enter_private().map_err(|why| format!("no private network: {why}"))?;
    machine::raise_file_limit();
    let mut faults = Vec::new();
    {
        let _gateway = start(load)?;
        single::measure(Duration::from_secs(load.patience.into()), &mut faults)?;
    }
    for from in [Place::Strangers, Place::Phones] {
        for kind in [Kind::Register, Kind::Invite] {
            flood(load, kind, from, &mut faults)?;
        }
    }
    judge(&faults)
}

/// Prints the last line.
fn judge(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() {
        println!("PASS: every honest request was served, answers are short, and memory came back");
        return Ok(());
    }
    for fault in faults {
        println!("fault: {fault}");
    }
    println!("FAIL: {} faults", faults.len());
    Err(format!("the flood found {} faults", faults.len()))
}

fn start(load: &Load) -> Result<Gateway, String> {
    let folder = folder("flood")?;
    let gateway = Gateway::start(&folder, &config(&folder, load))?;
    single::wait_for_sip()?;
    Ok(gateway)
}

/// A trunk known by its address, and an account for each phone.
fn config(folder: &Path, load: &Load) -> String {
    let hash = gateway_procom::hash_password(honest::PASSWORD);
    let mut text = format!(
        "[gateway]\nstate_dir = \"{}\"\nlog = \"warn\"\n\
         [procom]\nlisten = \"{HTTP}\"\nplain = true\n\
         [admin]\nlisten = \"{ADMIN}\"\ntoken = \"load\"\n\
         [media]\nbind = [\"127.0.0.1\"]\nallow_loopback = true\n\
         [sip]\nlisten = [\"udp:{SIP}\"]\ndomain = \"{DOMAIN}\"\n\
         [[sip.trunk]]\nname = \"far\"\nserver = \"sip:{TRUNK}:{}\"\n\
         user = \"gateway\"\npassword = \"none needed\"\nregister = false\n\
         peers = [\"{TRUNK}\"]\n\
         [[inbound]]\ntrunk = \"sip.far\"\nnumber = \"{}\"\naccount = \"echo\"\n",
        folder.join("state").display(),
        honest::TRUNK_PORT,
        honest::ECHO,
    );
    for number in 0..load.phones {
        let user = honest::user(number);
        text += &format!(
            "[[account]]\nname = \"{user}\"\npassword_hash = \"{hash}\"\n\
             [account.sip]\nuser = \"{user}\"\npassword = \"{}\"\n",
            honest::PASSWORD
        );
    }
    text
}

/// One flood at a gateway of its own, with honest traffic before it and during it.
fn flood(load: &Load, kind: Kind, from: Place, faults: &mut Vec<String>) -> Result<(), String> {
    let gateway = start(load)?;
    let begun = Instant::now();
    let flood_from = begun + Duration::from_secs(load.warm_up.into());
    let flood_until = flood_from + Duration::from_secs(load.seconds.into());
    let (told, outcomes) = channel();
    honest::start(load, begun, flood_from, flood_until, &told)?;
    drop(told);
    let mut watch = Watch::new(gateway.id());
    watch.until(flood_from);
    let cpu_before_s = gateway.cpu_s();
    watch.note_before();
    let mut flood = Flood::open(kind, &from.addresses())?;
    let rate = load.rate;
    let sender = spawn(move || flood.run(rate, flood_from, flood_until));
    watch.until(flood_until);
    let cpu_s = gateway.cpu_s() - cpu_before_s;
    watch.note_after(flood_until, Duration::from_secs(load.settle.into()));
    let sent = sender.join().map_err(|_| "the flood's thread panicked")?;
    let name = format!("{} flood from {}", kind.method(), from.name());
    sent.report(&name, load, faults);
    // Every phone and line has ended by now, so the channel is closed.
    Tally::of(outcomes.iter(), flood_from).report(&name, faults);
    watch.report(&name, faults);
    println!("  CPU time of the gateway during it: {cpu_s:.1} s, {}", machine::load());
    Ok(())
}
