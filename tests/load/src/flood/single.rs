//! One request of a stranger: how many datagrams and bytes come back for it, repetitions by timers
//! included.

use std::net::{IpAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::sip_client::{request, short_request};

use super::sender::{Heard, bind, drain};
use super::{DOMAIN, MOST_BYTES_BACK, STRANGER};

/// Each as a datagram of its own.
const METHODS: [&str; 5] = ["INVITE", "REGISTER", "MESSAGE", "OPTIONS", "BYE"];
const GARBAGE_NAME: &str = "garbage";
/// What is no SIP at all.
const GARBAGE: &[u8; 20] = b"\x16\x03\x01garbage of bytes\xff";

/// Waits until the gateway answers by SIP: other listeners of its may be there before.
///
/// # Errors
/// It does not answer in ten seconds.
pub(super) fn wait_for_sip() -> Result<(), String> {
    let socket = bind(IpAddr::V4(STRANGER))?;
    let local = socket.local_addr().map_err(|why| why.to_string())?;
    for number in 0..500 {
        let ask = request("OPTIONS", &format!("sip:{DOMAIN}"), local, &format!("up{number}"), "");
        // Nothing listens there yet: that is said by an error of the next call.
        let _ = socket.send(ask.as_bytes());
        sleep(Duration::from_millis(20));
        let mut heard = Heard::default();
        drain(&socket, &mut heard);
        if heard.datagrams > 0 {
            return Ok(());
        }
    }
    Err("the gateway does not answer by SIP".to_owned())
}

/// Sends one of each kind and counts for `patience` what comes back.
///
/// # Errors
/// Those of sockets.
pub(super) fn measure(patience: Duration, faults: &mut Vec<String>) -> Result<(), String> {
    let mut asked = Vec::new();
    for (number, method) in METHODS.into_iter().enumerate() {
        let socket = bind(IpAddr::V4(STRANGER))?;
        let local = socket.local_addr().map_err(|why| why.to_string())?;
        let request = short_request(method, local, number as u64);
        asked.push((method, socket, request.into_bytes()));
    }
    asked.push((GARBAGE_NAME, bind(IpAddr::V4(STRANGER))?, GARBAGE.to_vec()));
    for (_, socket, bytes) in &asked {
        socket.send(bytes).map_err(|why| why.to_string())?;
    }
    sleep(patience);
    for (what, socket, bytes) in &asked {
        report(what, socket, bytes.len(), patience, faults);
    }
    Ok(())
}

fn report(
    what: &str,
    socket: &UdpSocket,
    bytes_in: usize,
    patience: Duration,
    faults: &mut Vec<String>,
) {
    let mut heard = Heard::default();
    drain(socket, &mut heard);
    let times = heard.bytes as f64 / bytes_in as f64;
    println!(
        "one {what} of {bytes_in} bytes: {} datagrams, {} bytes back in {} s, {times:.1} times the \
         bytes",
        heard.datagrams,
        heard.bytes,
        patience.as_secs()
    );
    if heard.datagrams == 0 && what != GARBAGE_NAME {
        faults.push(format!("one {what} brings no answer"));
    }
    if times > MOST_BYTES_BACK {
        faults.push(format!("one {what} brings {times:.1} times its bytes"));
    }
}
