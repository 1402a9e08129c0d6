//! What the media plane costs, measured beside Debian's rtpengine in the same run.
//!
//! ```text
//!  cargo run --release -p gateway-load -- relay [--streams N] [--rate R] [--seconds S] [--rounds N]
//!
//!              +-- SRTP, AES_CM_128 _80 --> relay --> SRTP, AES_CM_128 _32 --+
//!  generator --+   (ours, then rtpengine, each in a process of its own)      +--> sink
//! ```
//!
//! A benchmark and not a test: it asserts nothing about time, since figures depend on the machine.
//! CPU time of the relay's process by forwarded packet is the figure that survives a busy machine;
//! latency is not. Everything happens on loopback, in a private network where that is allowed.

mod bencode;
mod machine;
mod meter;
mod network;
mod ours;
mod relay;
mod rtpengine;
mod sdp;
mod serve;
mod sink;
mod traffic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures the media plane")]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Measures the re-keying relay, ours and rtpengine's.
    Relay(relay::Load),
    /// Carries media for a parent that asks by standard input; started by `relay`.
    #[command(hide = true)]
    Serve,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        What::Relay(load) => relay::run(&load),
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
