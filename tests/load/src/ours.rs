//! Our media plane in a process of its own, seen from its parent.
//!
//! ```text
//!  parent --{"port":256,"offer":"v=0.."}--> child      one line each, port by port
//!         <--{"answer":"v=0.."}------------
//!         --{"join":[256,257]}------------>
//!  end of input ends the child
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gateway_core::ids::LEGS_PER_CALL;
use gateway_media::srtp::Suite;
use serde_json::{Value, json};

use crate::machine::Places;
use crate::relay::{Relay, Stream};
use crate::sdp;
use crate::traffic::Ends;

/// The child and its pipes.
pub(crate) struct Ours {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Ours {
    /// Starts this executable once more, with the command `serve`.
    ///
    /// # Errors
    /// Those of starting a process.
    pub(crate) fn start(places: Places) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = places.at_the_relays(|| command.spawn())?;
        let requests = child.stdin.take();
        let replies = child.stdout.take().expect("a pipe was asked for");
        Ok(Self { child, requests, replies: BufReader::new(replies) })
    }

    fn request(&mut self, request: &Value) -> io::Result<Value> {
        let requests = self.requests.as_mut().expect("it is only closed at the end");
        writeln!(requests, "{request}")?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let reply: Value = serde_json::from_str(&line)?;
        match reply["failed"].as_str() {
            Some(reason) => Err(io::Error::other(reason.to_owned())),
            None => Ok(reply),
        }
    }

    fn open(&mut self, port: u64, offer: &str) -> io::Result<String> {
        let reply = self.request(&json!({"port": port, "offer": offer}))?;
        let answer = reply["answer"].as_str();
        Ok(answer.ok_or_else(|| io::Error::other("a reply without an answer"))?.to_owned())
    }
}

impl Relay for Ours {
    fn name(&self) -> &'static str {
        "procom-gateway"
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn open_stream(&mut self, number: u64, ends: &Ends) -> io::Result<Stream> {
        let port = (number + 1) * LEGS_PER_CALL;
        // A 32-bit tag is only taken, never asked for, so both phones are the offerers.
        let sent = sdp::fresh_line(1, Suite::AesCm128HmacSha1_80);
        let caller = self.open(port, &sdp::describe(ends.generator, &sent))?;
        let unused = sdp::fresh_line(1, Suite::AesCm128HmacSha1_32);
        let callee = self.open(port + 1, &sdp::describe(ends.sink, &unused))?;
        self.request(&json!({"join": [port, port + 1]}))?;
        let (to, _) = sdp::read(&sdp::parse(&caller)?, Suite::AesCm128HmacSha1_80)?;
        let (from, line) = sdp::read(&sdp::parse(&callee)?, Suite::AesCm128HmacSha1_32)?;
        Ok(Stream { to, sealed_with: sent.key, from, opened_with: line.key })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.wait();
    }
}
