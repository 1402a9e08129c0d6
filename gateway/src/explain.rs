//! Explanations: every step from what would be dialled to ranked routes.
//!
//! ```text
//! procom-gateway explain --HTTP--> the running gateway: its dialplan, its registrations
//!                        --else--> the configuration alone: registrations are not known
//! ```
//!
//! It is the very resolution of a call, so it holds full addresses: it is for whoever asks with the
//! operator's token, never for a log.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dialplan::config::Targets;
use dialplan::{Node, Purpose, RankedRoute, Reach, Resolution, Step};
use gateway_adapter::{Draft, Prospect, WayAhead};
use gateway_core::call::Inquiry;
use gateway_core::media::{Profile, Protection};
use gateway_core::route::{Origin, Require, Route};
use gateway_core::{AccountId, Address, TrunkId};
use tokio::sync::{mpsc, oneshot};

use crate::config::{Config, DIRECT_TRUNK};
use crate::planning::{Planning, Plans, Request};
use crate::switchboard::Control;

/// Longest text that is explained.
const MAX_TEXT: usize = 500;
/// How long the running gateway may take: its DNS has 30 s at most.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long it may take to be there.
const CONNECT: Duration = Duration::from_secs(2);
/// Largest answer that is read.
const MAX_ANSWER: u64 = 8 << 20;

/// What is to be explained.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// What would be dialled.
    pub to: String,
    /// The account or trunk that would dial; without one, the first account.
    pub from: Option<String>,
    /// Call or write.
    pub purpose: Purpose,
    /// What protection would be asked for.
    pub require: Require,
}

/// Explains by what a running gateway knows.
#[derive(Clone, Debug)]
pub struct Explainer {
    /// The switchboard, which knows what can be reached.
    pub controls: mpsc::Sender<Control>,
    /// The dialplan in force.
    pub plans: Plans,
}

impl Explainer {
    /// The steps, as a call of this moment would take them.
    ///
    /// # Errors
    /// The question makes no sense, in a sentence.
    pub async fn explain(&self, question: &Question) -> Result<Node, String> {
        let reach = self.reach().await?;
        let planning = Arc::clone(&self.plans.borrow());
        resolve(&planning, &reach, question).await
    }

    /// What would become of what somebody is about to dial.
    ///
    /// # Errors
    /// The gateway is stopping.
    pub async fn prospect(&self, draft: Draft) -> Result<Prospect, String> {
        let reach = self.reach().await?;
        let planning = Arc::clone(&self.plans.borrow());
        let Draft { origin, to, dialled, require, may_ask_dns } = draft;
        let inquiry = Inquiry { origin, to, dialled, record: None, require };
        let request = Request::new(inquiry, Purpose::Call);
        Ok(prospect(&if may_ask_dns {
            planning.resolve(&request, &reach).await
        } else {
            planning.resolve_unasked(&request, &reach).await
        }))
    }

    async fn reach(&self) -> Result<Reach, String> {
        let (sender, reach) = oneshot::channel();
        let stopping = || "the gateway is stopping".to_owned();
        self.controls.send(Control::Reach(sender)).await.map_err(|_| stopping())?;
        reach.await.map_err(|_| stopping())
    }
}

/// What a caller may know of a resolution.
fn prospect(resolution: &Resolution) -> Prospect {
    let mut prospect =
        Prospect { kind: None, text: None, class: None, ways: Vec::new(), refusal: None };
    // The first are the caller's own words; what contacts and rules made of them is not told.
    let first = |of: fn(&Step) -> bool| resolution.tree.walk().find(|step| of(step));
    if let Some(Step::Read { kind, text }) = first(|step| matches!(step, Step::Read { .. })) {
        prospect.kind = Some(kind.clone());
        prospect.text = Some(text.clone());
    }
    if let Some(Step::Number { class, .. }) = first(|step| matches!(step, Step::Number { .. })) {
        prospect.class = Some(class.clone());
    }
    let way = |ranked: &RankedRoute| WayAhead {
        network: match &ranked.route {
            Route::Echo => "procom".to_owned(),
            Route::Leg(leg) => leg.trunk.network().to_owned(),
        },
        security: ranked.level.as_str().to_owned(),
        notes: ranked.notes.clone(),
    };
    prospect.ways = resolution.routes.iter().map(way).collect();
    // Several devices of an account are one way.
    prospect.ways.dedup();
    prospect.refusal = resolution.outcome.as_ref().err().map(|(_, why)| why.clone());
    prospect
}

async fn resolve(planning: &Planning, reach: &Reach, question: &Question) -> Result<Node, String> {
    let request = Request::new(inquiry(planning, question)?, question.purpose);
    Ok(planning.resolve(&request, reach).await.tree)
}

/// The question as the Procom edge, or a trunk, would ask it.
fn inquiry(planning: &Planning, question: &Question) -> Result<Inquiry, String> {
    let text = question.to.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(format!("say what would be dialled, in at most {MAX_TEXT} bytes"));
    }
    let accounts = &planning.dialplan.accounts;
    let by = match &question.from {
        None => accounts.values().min().map(AccountId::as_str),
        Some(from) => Some(from.as_str()),
    };
    let by = by.ok_or("there is no account that could dial")?;
    let account = accounts.get(by).filter(|id| id.as_str() == by || question.from.is_some());
    if account.is_none() && !is_trunk(planning, by) {
        return Err(format!("there is no account or trunk {by:?}"));
    }
    // A URI is taken as it stands; anything else is read as typed.
    let (to, dialled) = match text.parse::<Address>() {
        Ok(address) => (address, None),
        Err(_) => (Address::procom(text), Some(text.to_owned())),
    };
    Ok(Inquiry {
        origin: Origin {
            trunk: TrunkId::from(if account.is_some() { "procom" } else { by }),
            account: account.cloned(),
            asserted: Address::procom(by),
            verified: account.is_some(),
            only: None,
        },
        to,
        dialled,
        record: None,
        require: question.require,
    })
}

fn is_trunk(planning: &Planning, name: &str) -> bool {
    let plan = &planning.dialplan;
    plan.inbound.iter().any(|rule| rule.trunk == name)
        || plan.rules.iter().flat_map(|rules| rules.trunks()).any(|trunk| trunk == name)
}

/// Explains by the gateway that runs with this configuration, or by the configuration alone.
///
/// # Errors
/// What is wrong with the configuration or the question.
pub fn explain(config: &Config, question: &Question, as_json: bool) -> Result<String, String> {
    if let Some(answer) = ask_running(config, question, as_json)? {
        return Ok(answer);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| why.to_string())?;
    let mut tree = runtime.block_on(async {
        let targets = Targets::Public(config.trusted_hosts());
        let planning = config.planning(targets, None).map_err(|why| why.to_string())?;
        resolve(&planning, &assumed(config), question).await
    })?;
    let at = config.admin.listen;
    tree.note(format!(
        "no gateway answers at {at}: registrations are not known, trunks are taken to be connected"
    ));
    Ok(if as_json { tree.to_json() } else { tree.to_text() })
}

/// What could be reached if every trunk were connected.
fn assumed(config: &Config) -> Reach {
    let mut reach = Reach::default();
    if config.sip.listen.is_empty() {
        return reach;
    }
    let profiles = |shields: &[adapter_sip::config::Shield], is_tls: bool| {
        let protections = shields.iter().map(|shield| Protection::from(*shield));
        protections.map(|protection| Profile::phone(protection, !is_tls)).collect::<Vec<_>>()
    };
    for trunk in &config.sip.trunk {
        let is_tls = trunk.server.starts_with("sips:") || trunk.server.contains("transport=tls");
        let shields = trunk.protection.as_ref().unwrap_or(&config.sip.protection);
        reach.link(trunk.id(), Some(profiles(shields, is_tls)));
    }
    reach.link(DIRECT_TRUNK.into(), Some(profiles(&config.sip.protection, true)));
    reach
}

/// Asks the gateway that runs; `None` where none does.
fn ask_running(
    config: &Config,
    question: &Question,
    as_json: bool,
) -> Result<Option<String>, String> {
    let token_file = config.gateway.state_dir.join("admin.token");
    let token = match &config.admin.token {
        Some(token) => Some(token.reveal().to_owned()),
        None => read_token(&token_file),
    };
    let at = config.admin.listen;
    let Ok(stream) = TcpStream::connect_timeout(&at, CONNECT) else { return Ok(None) };
    let token = token.ok_or_else(|| {
        format!("a gateway runs at {at}, but {} cannot be read", token_file.display())
    })?;
    let (status, body) = get(stream, at, &question.path(as_json), &token)
        .map_err(|why| format!("the gateway at {at} does not answer: {why}"))?;
    match status {
        200 => Ok(Some(body)),
        401 => Err(format!("the gateway at {at} runs with another token")),
        _ => Err(body.trim().to_owned()),
    }
}

fn read_token(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|token| token.trim().to_owned())
}

fn get(
    mut stream: TcpStream,
    at: SocketAddr,
    path: &str,
    token: &str,
) -> std::io::Result<(u16, String)> {
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let odd = || std::io::Error::other("that is no answer of a gateway");
    Ok((status.ok_or_else(odd)?, body.to_owned()))
}

impl Question {
    /// The question as the path of a request.
    fn path(&self, as_json: bool) -> String {
        let mut path = format!("/api/explain?to={}", escaped(&self.to));
        if let Some(from) = &self.from {
            write!(path, "&from={}", escaped(from)).expect("a string takes all");
        }
        path += match self.purpose {
            Purpose::Call => "&purpose=call",
            Purpose::Message => "&purpose=message",
        };
        path += match self.require {
            Require::Any => "&require=any",
            Require::Encrypted => "&require=encrypted",
            Require::EndToEnd => "&require=end-to-end",
        };
        path + if as_json { "&format=json" } else { "&format=text" }
    }

    /// Reads the question of a request, and whether JSON is asked for.
    ///
    /// # Errors
    /// What is missing or unknown.
    pub fn of_query(query: &str) -> Result<(Self, bool), String> {
        let word = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
        let purpose = match word("purpose=") {
            None | Some("call") => Purpose::Call,
            Some("message") => Purpose::Message,
            Some(_) => return Err("purpose: call or message".to_owned()),
        };
        let require = match word("require=") {
            None => Require::Any,
            Some(text) => require(text)?,
        };
        let as_json = match word("format=") {
            None | Some("json") => true,
            Some("text") => false,
            Some(_) => return Err("format: json or text".to_owned()),
        };
        let text = |name: &str| {
            let read = |text| unescaped(text).ok_or(format!("{name} is not escaped as URLs are"));
            word(name).filter(|text| !text.is_empty()).map(read).transpose()
        };
        let to = text("to=")?.ok_or("say what would be dialled: /api/explain?to=..&from=..")?;
        Ok((Self { to, from: text("from=")?, purpose, require }, as_json))
    }
}

/// Reads the word for a protection.
///
/// # Errors
/// Which words there are.
pub fn require(word: &str) -> Result<Require, String> {
    match word {
        "any" => Ok(Require::Any),
        "encrypted" => Ok(Require::Encrypted),
        "end-to-end" => Ok(Require::EndToEnd),
        _ => Err("require: any, encrypted or end-to-end".to_owned()),
    }
}

/// RFC 3986 §2.1.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string takes all");
        }
    }
    out
}

/// A plus is a plus: in what people dial it means something.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            out.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn question(to: &str, from: Option<&str>) -> Question {
        let (purpose, require) = (Purpose::Call, Require::Any);
        Question { to: to.into(), from: from.map(str::to_owned), purpose, require }
    }

    fn config() -> Config {
        let text = "[media]\nbind = [\"127.0.0.1\"]\n[admin]\nlisten = \"127.0.0.1:1\"\n\
                    [sip]\ndomain = \"gw.test\"\nlisten = [\"udp:127.0.0.1:5080\"]\n\
                    [dialplan]\ncountry = \"DK\"\n[[account]]\nname = \"alice\"\n\
                    [[account]]\nname = \"bob\"\nnumbers = [\"32 12 34 56\"]\n\
                    [[route]]\nfrom = \"bob\"\nmatch = \"+45*\"\ntrunk = \"sip.direct\"\n";
        Config::read("gateway.toml", text).expect("a good configuration")
    }

    #[test]
    fn the_configuration_alone_explains_and_says_what_it_does_not_know() {
        let text = explain(&config(), &question("+4532123456", None), false).expect("a tree");
        assert!(text.starts_with("alice dials +4532123456"), "{text}");
        assert!(text.contains("account bob, 0 device(s)"), "a national number in full: {text}");
        assert!(text.contains("registrations are not known"), "{text}");
        let text = explain(&config(), &question("112", Some("bob")), true).expect("a tree");
        let tree: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(tree["by"], "bob");
        assert!(text.contains("\"class\": \"emergency\""), "{text}");
    }

    #[test]
    fn a_question_without_sense_is_refused_in_a_sentence() {
        let refused = |to: &str, from: &str| {
            explain(&config(), &question(to, Some(from)), false).expect_err("refused")
        };
        assert_eq!(refused("1", "eve"), "there is no account or trunk \"eve\"");
        assert!(refused(" ", "bob").starts_with("say what would be dialled"));
        assert!(explain(&config(), &question("1", Some("sip.direct")), false).is_ok());
    }

    proptest! {
        #[test]
        fn a_question_survives_its_way_through_a_url(
            to in "\\PC{1,40}",
            from in proptest::option::of("\\PC{1,20}"),
            as_json: bool,
        ) {
            let asked = question(&to, from.as_deref());
            let path = asked.path(as_json);
            let query = path.split_once('?').expect("a query").1;
            let (read, is_json) = Question::of_query(query).expect("readable");
            prop_assert!(read == asked && is_json == as_json);
        }

        #[test]
        fn no_query_panics(query in "\\PC{0,80}|(to|from|purpose|format)=[%a-f0-9+&=]{0,20}") {
            let _ = Question::of_query(&query);
        }
    }
}
