//! The stage of most tests: a gateway with accounts, phones registered at it, and the served page
//! used as a person uses it.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use gateway_tests::audio::{Demand, Heard, assert_sound};
use gateway_tests::baresip::Baresip;
use gateway_tests::browser::{Browser, Product};
use gateway_tests::certificates::Certificates;
use gateway_tests::config::{Account, Config};
use gateway_tests::gateway::Gateway;
use gateway_tests::linphone::Linphone;
use gateway_tests::namespace::Net;
use gateway_tests::phone::{Phone, Protection, Settings, Transport};
use gateway_tests::pjsua::Pjsua;
use gateway_tests::ws_client::Schema;
use serde_json::Value;

/// What the page speaks.
pub(crate) const PAGE_HZ: u32 = 440;
/// What phones speak.
pub(crate) const PHONE_HZ: u32 = 660;
/// How long one step of a call may take.
pub(crate) const STEP: Duration = Duration::from_secs(15);
/// How long people talk.
pub(crate) const TALK: Duration = Duration::from_secs(4);
/// Every password of the page; the phones' are `secret-USER`.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Both protections, where the account allows them.
pub(crate) const ANY: &[&str] = &["sdes", "clear"];

/// Which phone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Model {
    Baresip,
    Linphone,
    Pjsua,
}

/// A running gateway and what its peers need to know.
pub(crate) struct Scene<'a> {
    pub(crate) net: &'a Net,
    pub(crate) certificates: Certificates,
    pub(crate) config: Config,
    pub(crate) gateway: Gateway,
}

impl<'a> Scene<'a> {
    /// Starts a gateway with accounts `alice` (the page's) and `bob` (the phone's).
    pub(crate) fn new(net: &'a Net) -> Self {
        Self::with(net, |config| config)
    }

    /// The same, with more in its configuration.
    pub(crate) fn with(net: &'a Net, more: impl FnOnce(Config) -> Config) -> Self {
        let certificates = Certificates::make(net);
        let config = Config::new(&certificates)
            .account(Account { name: "alice", password: PASSWORD, sip: None })
            .account(phone_account("bob"));
        let config = more(config);
        let gateway = Gateway::run(net, &config);
        Self { net, certificates, config, gateway }
    }

    /// Returns how phone `user` is set up to register over a transport.
    pub(crate) fn settings(&self, user: &str, port: u16, transport: Transport) -> Settings {
        let registrar = self.registrar(transport);
        Settings::new(user, port, PHONE_HZ, &self.certificates)
            .over(transport)
            .registered(registrar, &format!("secret-{user}"))
    }

    /// Starts a phone and waits until it is registered.
    pub(crate) fn phone(&self, model: Model, settings: &Settings) -> Box<dyn Phone> {
        let mut phone: Box<dyn Phone> = match model {
            Model::Baresip => Box::new(Baresip::start(self.net, settings)),
            Model::Linphone => Box::new(Linphone::start(self.net, settings)),
            Model::Pjsua => Box::new(Pjsua::start(self.net, settings)),
        };
        phone.wait_registered();
        phone
    }

    /// Starts the plainest phone: bob's baresip, UDP, clear RTP, answering by itself.
    pub(crate) fn bob(&self) -> Box<dyn Phone> {
        self.phone(Model::Baresip, &self.settings("bob", 5072, Transport::Udp))
    }

    /// Starts bob's baresip such that it rings until told.
    pub(crate) fn bob_rings(&self) -> Box<dyn Phone> {
        self.phone(Model::Baresip, &self.settings("bob", 5072, Transport::Udp).rings())
    }

    /// Opens the page in Chromium and signs `user` in.
    pub(crate) fn page(&self, user: &str) -> Page {
        self.page_in(Product::Chromium, user, user, PAGE_HZ)
    }

    /// Opens the page in a browser called `name` whose microphone hears a tone.
    pub(crate) fn page_in(&self, product: Product, name: &str, user: &str, hz: u32) -> Page {
        let mut browser = Browser::start(self.net, &format!("page-{name}"), product, hz);
        browser.goto(&self.gateway.url);
        browser.type_into("#sign-in-user", user);
        browser.type_into("#sign-in-password", PASSWORD);
        browser.click("#sign-in-submit");
        let mut page = Page { browser };
        page.wait_frame("welcome");
        page
    }

    /// Returns where phones register over a transport.
    pub(crate) fn registrar(&self, transport: Transport) -> SocketAddr {
        match transport {
            Transport::Udp | Transport::Tcp => self.config.sip(),
            Transport::Tls => self.config.sip_tls(),
        }
    }

    /// Returns the URI at which a phone reaches an account.
    pub(crate) fn uri(&self, account: &str, transport: Transport) -> String {
        let parameter = match transport {
            Transport::Udp => String::new(),
            Transport::Tcp | Transport::Tls => format!(";transport={}", transport.parameter()),
        };
        format!("sip:{account}@{}{parameter}", self.registrar(transport))
    }
}

/// An account whose phone has digest user `NAME` and password `secret-NAME`.
pub(crate) fn phone_account(name: &str) -> Account<'_> {
    // Leaked: a test's few accounts live as long as the test.
    let secret = Box::leak(format!("secret-{name}").into_boxed_str());
    Account { name, password: PASSWORD, sip: Some((name, secret, ANY)) }
}

/// The served page in a browser.
pub(crate) struct Page {
    pub(crate) browser: Browser,
}

impl Page {
    /// Types an address and clicks *Call*.
    #[track_caller]
    pub(crate) fn call(&mut self, address: &str) {
        self.browser.type_into("#address", address);
        self.browser.click("#call");
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) {
        self.wait_state("incoming");
        self.browser.click("#answer");
    }

    #[track_caller]
    pub(crate) fn hang_up(&mut self) {
        self.browser.click("#hang-up");
    }

    /// Waits until the page says so of its call.
    #[track_caller]
    pub(crate) fn wait_state(&mut self, state: &str) {
        self.wait_state_within(state, STEP);
    }

    #[track_caller]
    pub(crate) fn wait_state_within(&mut self, state: &str, within: Duration) {
        if state == "incoming" {
            self.browser.wait("#incoming[open]", within);
        } else {
            self.browser.wait(&format!("#call-state[data-state={state}]"), within);
        }
    }

    /// Waits until the call has ended and returns the cause the page shows.
    #[track_caller]
    pub(crate) fn cause(&mut self, within: Duration) -> String {
        self.wait_state_within("ended", within);
        self.browser.attribute("#call-state", "data-cause").unwrap_or_default()
    }

    /// Waits for a frame of the gateway of this type.
    #[track_caller]
    pub(crate) fn wait_frame(&mut self, kind: &str) -> Value {
        self.browser.wait_frame(kind, STEP, |_| true).value
    }

    /// Listens for as long as people talk, and panics unless the tone was clean.
    #[track_caller]
    pub(crate) fn assert_hears(&mut self, hz: u32) -> Heard {
        // A browser stretches the first second of sound while it finds its jitter buffer's depth.
        sleep(Duration::from_secs(1));
        self.browser.listen();
        sleep(TALK);
        let heard = self.browser.heard();
        assert_sound(&heard, "the page", Demand::tone(hz, TALK.as_secs_f32() - 1.0))
    }

    /// Returns how long after the answer the far tone was heard, in milliseconds.
    #[track_caller]
    pub(crate) fn first_tone_ms(&mut self, hz: u32) -> f64 {
        let answer = self
            .browser
            .frames()
            .into_iter()
            .find(|frame| frame.value["type"] == "answer")
            .expect("the call was answered");
        let heard = self.browser.first_heard_ms(hz).expect("the tone was heard");
        heard - answer.at_ms
    }

    /// Returns the last `security` frame.
    #[track_caller]
    pub(crate) fn security(&mut self) -> Value {
        self.browser.last_frame("gateway", "security").expect("a security frame").value
    }

    /// Panics unless every frame of both sides is as the published schema says.
    #[track_caller]
    pub(crate) fn assert_frames_valid(&mut self) {
        let schema = Schema::published();
        for frame in self.browser.frames().iter().filter(|frame| frame.from != "closed") {
            schema.assert_valid(&frame.value);
        }
    }

    /// Panics unless the page speaks as published, complains of nothing and is accessible.
    #[track_caller]
    pub(crate) fn assert_clean(&mut self, moment: &str) {
        self.assert_frames_valid();
        assert_eq!(self.browser.problems(), Vec::<String>::new());
        self.browser.assert_accessible(moment);
    }
}

/// Waits until `is_so`; panics with `what` when it takes too long.
#[track_caller]
pub(crate) fn wait_until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) {
    let step = Duration::from_millis(100);
    for _ in 0..=within.as_millis() / step.as_millis() {
        if is_so() {
            return;
        }
        sleep(step);
    }
    panic!("{what}: not within {within:?}");
}

/// Returns a protection's name in `security` frames.
pub(crate) fn protection_name(protection: Protection) -> &'static str {
    match protection {
        Protection::Clear => "clear",
        Protection::Sdes => "sdes",
    }
}
