//! What the media plane costs, measured beside Debian's rtpengine in the same run; how messages fare;
//! how soon the gateway starts; and what honest phones get during a flood.
//!
//! ```text
//!  cargo build --release -p procom-gateway   (what `messages`, `start` and `flood` run)
//!  cargo run --release -p gateway-load -- messages [--rate R] [--seconds S]
//!  cargo run --release -p gateway-load -- start [--conversations N]
//!  cargo run --release -p gateway-load -- flood [--rate R] [--seconds S]
//!  cargo run --release -p gateway-load -- relay [--streams N] [--rate R] [--seconds S] [--rounds N]
//!
//!              +-- SRTP, AES_CM_128 _80 --> relay --> SRTP, AES_CM_128 _32 --+
//!  generator --+   (ours, then rtpengine, each in a process of its own)      +--> sink
//! ```
//!
//! A benchmark and not a test: it asserts nothing about time, since figures depend on the machine;
//! only `flood` judges what it counts.
//! CPU time of the relay's process by forwarded packet is the figure that survives a busy machine;
//! latency is not. Everything happens on loopback, in a private network where that is allowed.

mod bencode;
mod flood;
mod gateway;
mod machine;
mod messages;
mod meter;
mod network;
mod ours;
mod relay;
mod rtpengine;
mod sdp;
mod serve;
mod sink;
mod start;
mod traffic;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures the media plane, messages, the start and floods")]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Measures the re-keying relay, ours and rtpengine's.
    Relay(relay::Load),
    /// Measures messages from Procom to SIP, durable on the way.
    Messages(messages::Load),
    /// Measures the start with many conversations stored.
    Start(start::Store),
    /// Floods SIP as a stranger does, and counts what honest phones and a trunk get.
    Flood(flood::Load),
    /// Carries media for a parent that asks by standard input; started by `relay`.
    #[command(hide = true)]
    Serve,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        What::Relay(load) => relay::run(&load),
        What::Messages(load) => messages::run(&load).map_err(io::Error::other),
        What::Start(store) => start::run(&store).map_err(io::Error::other),
        What::Flood(load) => flood::run(&load).map_err(io::Error::other),
        What::Serve => serve::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("gateway-load: {fault}");
            ExitCode::FAILURE
        }
    }
}
