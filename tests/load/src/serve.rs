//! The child that carries media: what [`crate::ours`] asks for is what calls ask of the media plane.

#![expect(clippy::print_stdout, reason = "its parent reads what it prints")]

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use gateway_core::description::Offer;
use gateway_core::ids::PortId;
use gateway_core::media::{MediaCommand, MediaEvent, Profile, Protection};
use gateway_media::config::MediaConfig;
use gateway_media::shell::{MediaHandle, NotTaken};
use serde_json::{Value, json};

use crate::sdp;

/// An answer comes at once, or there is a fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the input ends.
///
/// # Errors
/// When the media plane does not start, or the parent is gone.
pub(crate) fn run() -> io::Result<()> {
    let config = MediaConfig {
        bind: vec![[127, 0, 0, 1].into()],
        media_port: 0,
        rtp_ports: (10_000, 29_999),
        allow_loopback: true,
        ..MediaConfig::default()
    };
    let (sender, events) = channel();
    // Nobody listens to how the media does; and at the end nobody listens at all.
    let sink = move |event| {
        if let MediaEvent::Answered(..) | MediaEvent::Failed(..) = event {
            drop(sender.send(event));
        }
    };
    let media = MediaHandle::start(&config, sink).map_err(io::Error::other)?;
    for line in io::stdin().lines() {
        let reply = serve(&media, &events, &serde_json::from_str(&line?)?);
        println!("{}", reply.unwrap_or_else(|fault| json!({"failed": fault.to_string()})));
    }
    Ok(())
}

fn serve(media: &MediaHandle, events: &Receiver<MediaEvent>, request: &Value) -> io::Result<Value> {
    if let (Some(a), Some(b)) = (request["join"][0].as_u64(), request["join"][1].as_u64()) {
        send(media, MediaCommand::Join { a: PortId(a), b: PortId(b) })?;
        return Ok(json!({}));
    }
    let (Some(port), Some(offer)) = (request["port"].as_u64(), request["offer"].as_str()) else {
        return Err(io::Error::other("no such request"));
    };
    let (port, offer) = (PortId(port), Offer(sdp::parse(offer)?));
    let profile = Profile::phone(Protection::Sdes, true);
    send(media, MediaCommand::Answer { port, profile, offer, like: None })?;
    let event = events.recv_timeout(PATIENCE).map_err(io::Error::other)?;
    let MediaEvent::Answered(_, answer) = event else {
        return Err(io::Error::other(format!("{event:?}")));
    };
    Ok(json!({"answer": gateway_core::sdp::render(&answer.0)}))
}

fn send(media: &MediaHandle, command: MediaCommand) -> io::Result<()> {
    media.send(command).map_err(|fault: NotTaken| io::Error::other(fault.to_string()))
}
