//! What every SIP phone of the tests can do, so that a test names the phone once and then reads
//! like the call it makes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::certificates::Certificates;
use crate::process::Process;

/// How long a phone may take for one step of a call on a busy machine.
pub const STEP: Duration = Duration::from_secs(15);

/// What SIP travels over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// RFC 3261 §18, datagrams.
    Udp,
    /// RFC 3261 §18, streams.
    Tcp,
    /// RFC 3261 §26.2.1.
    Tls,
}

impl Transport {
    /// Returns the value of the `transport` parameter of a SIP URI.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// How a phone protects its media.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protection {
    /// RTP/AVP.
    Clear,
    /// SRTP with keys in the SDP (RFC 4568), mandatory.
    Sdes,
}

/// Where a phone registers, and as whom.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The registrar, which is the phone's outbound proxy too.
    pub registrar: SocketAddr,
    /// The digest password.
    pub password: String,
}

/// How a phone is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The user part of its address, its digest user and the name of its log.
    pub user: String,
    /// Where it listens for SIP; its RTP ports follow from it.
    pub port: u16,
    /// What it talks SIP over.
    pub transport: Transport,
    /// How it protects its media.
    pub protection: Protection,
    /// The tone it speaks.
    pub speaks_hz: u32,
    /// Whether it answers by itself; otherwise it rings until told.
    pub answers: bool,
    /// Where it registers, if it does.
    pub registration: Option<Registration>,
    /// Whom it trusts and what it shows.
    pub certificates: Certificates,
    /// The one it writes to; baresip writes to nobody else.
    pub contact: String,
}

impl Settings {
    /// Returns a phone of UDP and clear RTP that is registered nowhere and answers by itself.
    pub fn new(user: &str, port: u16, speaks_hz: u32, certificates: &Certificates) -> Self {
        Self {
            user: user.into(),
            port,
            transport: Transport::Udp,
            protection: Protection::Clear,
            speaks_hz,
            answers: true,
            registration: None,
            certificates: certificates.clone(),
            contact: String::new(),
        }
    }

    /// Sets the one it writes to.
    pub fn writes_to(mut self, uri: &str) -> Self {
        self.contact = uri.into();
        self
    }

    /// Lets it register.
    pub fn registered(mut self, registrar: SocketAddr, password: &str) -> Self {
        self.registration = Some(Registration { registrar, password: password.into() });
        self
    }

    /// Sets what it talks SIP over.
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sets how it protects its media.
    pub fn with(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// Lets it ring until told to answer.
    pub fn rings(mut self) -> Self {
        self.answers = false;
        self
    }

    /// Returns the first of its twenty RTP ports.
    pub fn rtp_port(&self) -> u16 {
        20_000 + self.port % 1_000 * 20
    }

    /// Returns all of its RTP ports.
    pub fn rtp_ports(&self) -> std::ops::RangeInclusive<u16> {
        self.rtp_port()..=self.rtp_port() + 19
    }

    /// Whether it talks to its registrar over IPv6.
    pub fn is_on_ipv6(&self) -> bool {
        self.registration.as_ref().is_some_and(|at| at.registrar.is_ipv6())
    }

    /// Returns its own address.
    pub fn ip(&self) -> String {
        if self.is_on_ipv6() { "::1".into() } else { "127.0.0.1".into() }
    }

    /// Returns its own address as it stands before a port.
    pub fn host(&self) -> String {
        if self.is_on_ipv6() { "[::1]".into() } else { "127.0.0.1".into() }
    }

    /// Returns its address of record.
    pub fn address(&self) -> String {
        match &self.registration {
            Some(registration) => format!("sip:{}@{}", self.user, registration.registrar.ip()),
            None => self.direct(),
        }
    }

    /// Returns the URI at which it is reached without any registrar.
    pub fn direct(&self) -> String {
        let parameter = match self.transport {
            Transport::Udp => String::new(),
            Transport::Tcp | Transport::Tls => format!(";transport={}", self.transport.parameter()),
        };
        format!("sip:{}@127.0.0.1:{}{parameter}", self.user, self.port)
    }

    /// Returns the URI by which it calls `user` at its registrar.
    pub fn colleague(&self, user: &str) -> String {
        let registrar = self.registration.as_ref().expect("only a registered phone has colleagues");
        format!("sip:{user}@{}", registrar.registrar)
    }
}

/// A running phone. Every wait panics when its time is over.
pub trait Phone {
    /// Calls a SIP URI.
    fn call(&mut self, uri: &str);
    /// Answers the call that rings.
    fn answer(&mut self);
    /// Refuses the call that rings, as a person does with the red button.
    fn decline(&mut self);
    /// Ends the call.
    fn hang_up(&mut self);
    /// Puts the far side on hold by a re-INVITE.
    fn hold(&mut self);
    /// Takes the far side off hold.
    fn resume(&mut self);
    /// Sends digits as RFC 4733 events.
    fn send_digits(&mut self, digits: &str);
    /// Returns the digits received so far.
    fn digits(&mut self) -> String;
    /// Writes to the one it was set up to write to.
    fn write(&mut self, text: &str);
    /// Returns how often it has shown this text as something somebody wrote.
    fn shown(&mut self, text: &str) -> usize;
    /// Waits until it shows that text; panics if it shows it more than once.
    #[track_caller]
    fn wait_shown(&mut self, text: &str) {
        for _ in 0..STEP.as_millis() / 50 {
            match self.shown(text) {
                0 => std::thread::sleep(Duration::from_millis(50)),
                1 => return,
                count => panic!("{text} is shown {count} times"),
            }
        }
        panic!("{text} is not shown:\n{}", self.process().output());
    }
    /// Waits until the registrar has accepted it.
    fn wait_registered(&mut self);
    /// Waits until a call comes in.
    fn wait_incoming(&mut self);
    /// Waits until the callee rings.
    fn wait_ringing(&mut self);
    /// Waits until both sides can talk.
    fn wait_established(&mut self);
    /// Waits until the call is over.
    fn wait_ended(&mut self);
    /// Returns the program, to signal it or to read what it printed.
    fn process(&mut self) -> &mut Process;
    /// Ends the program and returns the last recording of what it heard.
    fn stop(&mut self) -> PathBuf;
}
