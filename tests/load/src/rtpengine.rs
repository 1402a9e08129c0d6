//! Debian's rtpengine in userspace (no kernel module), driven by its control protocol `ng`: one
//! datagram `COOKIE BENCODED` each way.

#![expect(clippy::disallowed_methods, reason = "waits for a real program in real time")]

use std::io;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gateway_media::srtp::Suite;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bencode::Value;
use crate::machine::Places;
use crate::relay::{Relay, Stream};
use crate::sdp;
use crate::traffic::Ends;

/// Where it listens for commands.
const CONTROL: &str = "127.0.0.1:22223";
/// How long it may take to start, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// One try of a command; a datagram may be lost while it starts.
const TRY: Duration = Duration::from_millis(500);

/// The running program.
pub(crate) struct Rtpengine {
    child: Child,
    control: UdpSocket,
    cookies: u64,
}

impl Rtpengine {
    /// Starts it with one thread, as our own media plane has one; `NotFound` where it is missing.
    ///
    /// # Errors
    /// Those of starting a process, and its silence.
    pub(crate) fn start(places: Places) -> io::Result<Self> {
        let mut command = Command::new("rtpengine");
        command
            .args(["--config-file=none", "--table=-1", "--interface=127.0.0.1"])
            .args([&format!("--listen-ng={CONTROL}"), "--port-min=30000", "--port-max=49999"])
            .args(["--num-threads=1", "--media-num-threads=0", "--log-level=3", "--log-stderr"])
            .args(["--timeout=600", "--delete-delay=0", "--foreground"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = places.at_the_relays(|| command.spawn())?;
        let control = UdpSocket::bind("127.0.0.1:0")?;
        control.connect(CONTROL)?;
        control.set_read_timeout(Some(TRY))?;
        let mut started = Self { child, control, cookies: 0 };
        started.command("ping", &[])?;
        Ok(started)
    }

    fn command(&mut self, command: &str, arguments: &[(&str, Value)]) -> io::Result<Value> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut entries: std::collections::BTreeMap<_, _> = arguments.collect();
        entries.insert("command".to_owned(), command.into());
        self.cookies += 1;
        let cookie = format!("{} ", self.cookies);
        let mut request = cookie.clone();
        Value::Dictionary(entries).render(&mut request);
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = vec![0; 65_536];
        while Instant::now() < deadline {
            // Refused while it does not listen yet.
            let is_sent = self.control.send(request.as_bytes()).is_ok();
            let reply = self.control.recv(&mut buffer).ok();
            let reply = reply.and_then(|length| buffer[..length].strip_prefix(cookie.as_bytes()));
            match reply.and_then(Value::parse) {
                Some(reply) if matches!(reply.text("result"), Some("ok" | "pong")) => {
                    return Ok(reply);
                }
                Some(reply) => return Err(io::Error::other(format!("{command}: {reply:?}"))),
                None if is_sent => {}
                None => std::thread::sleep(TRY / 10),
            }
        }
        Err(io::Error::other(format!("no answer to {command}")))
    }

    fn negotiate(
        &mut self,
        command: &str,
        number: u64,
        text: &str,
    ) -> io::Result<gateway_core::description::Description> {
        let call = format!("load-{number}");
        let mut arguments =
            vec![("call-id", call.as_str().into()), ("from-tag", "a".into()), ("sdp", text.into())];
        if command == "answer" {
            arguments.push(("to-tag", "b".into()));
        } else {
            arguments.push(("transport-protocol", "RTP/SAVP".into()));
            arguments.push(("ICE", "remove".into()));
        }
        let reply = self.command(command, &arguments)?;
        sdp::parse(reply.text("sdp").ok_or_else(|| io::Error::other("a reply without an SDP"))?)
    }
}

impl Relay for Rtpengine {
    fn name(&self) -> &'static str {
        "rtpengine"
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn open_stream(&mut self, number: u64, ends: &Ends) -> io::Result<Stream> {
        let sent = sdp::fresh_line(1, Suite::AesCm128HmacSha1_80);
        let offer = self.negotiate("offer", number, &sdp::describe(ends.generator, &sent))?;
        // With equal suites it would pass packets through as they are; this makes it re-key.
        let (from, line) = sdp::read(&offer, Suite::AesCm128HmacSha1_32)?;
        let unused = sdp::fresh_line(line.tag, Suite::AesCm128HmacSha1_32);
        let answer = self.negotiate("answer", number, &sdp::describe(ends.sink, &unused))?;
        let (to, _) = sdp::read(&answer, Suite::AesCm128HmacSha1_80)?;
        Ok(Stream { to, sealed_with: sent.key, from, opened_with: line.key })
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).expect("process numbers are small");
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
