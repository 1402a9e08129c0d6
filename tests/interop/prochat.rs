//! Prochat, the chat widget, on a page of another origin under a strict Content-Security-Policy: text
//! there and back, receipts, typing, and a gateway that is restarted meanwhile.
#![expect(clippy::disallowed_methods, reason = "a token lives by the clock on the wall")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_procom::{Bearer, Secret, Token, Tokens};
use gateway_tests::browser::{Browser, Product};
use gateway_tests::gateway::{Gateway, binary};
use gateway_tests::interop;
use gateway_tests::namespace::{Net, command};
use serde_json::json;

use crate::procom_messages::Client;
use crate::scene::{PAGE_HZ, Page, STEP, Scene, wait_until};

const SHOP: &str = "http://127.0.0.1:8090";
const RUNTIME: &str = "http://127.0.0.1:8091";
const KEY: &str = "key-of-the-tests-0123456789abcdef";

/// What a careful shop sends: its own style sheet, the gateway's scripts and socket, nothing inline.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src http://127.0.0.1:8080; \
     connect-src ws://127.0.0.1:8080; base-uri 'none'; form-action 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// A style sheet that would spoil what is not kept apart from it.
const STYLE: &str = "body { font: 18px serif; margin: 40px; background: #fbfaf7; color: #333 } \
     button, textarea { background: red; font-size: 50px; border: 9px solid lime } \
     p { letter-spacing: 0.5em; display: inline }";

fn scene(net: &Net) -> Scene<'_> {
    Scene::with(net, |config| {
        config
            .set("procom", &format!("token_key = \"{KEY}\"\norigins = [\"{SHOP}\", \"{RUNTIME}\"]"))
    })
}

/// A guest of the shop's page, who may reach alice.
fn token(origin: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let bearer = Bearer::Guest {
        display: Some("Visitor".to_owned()),
        only: vec!["procom:alice".to_owned()],
    };
    let token = Token { bearer, expires_unix_s: now + 600, origin: Some(origin.to_owned()) };
    Tokens::new(&Secret::from(KEY)).expect("long enough").sign(&token)
}

/// Serves the shop's page for as long as the test runs.
fn serve_shop(token: &str) {
    let page = format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Shop</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <link rel=stylesheet href=/shop.css></head><body><main><h1>The Bicycle Shop</h1>\
         <p>Ask us.</p></main><script type=module src=http://127.0.0.1:8080/prochat.js \
         data-token=\"{token}\" data-to=procom:alice data-heading=\"The Bicycle Shop\" \
         data-greeting=\"How can we help?\" data-theme=light></script></body></html>"
    );
    let policy = format!("Content-Security-Policy: {POLICY}\r\n");
    serve(SHOP, policy, move |path| match path {
        "/shop.css" => Some(STYLE.as_bytes().to_vec()),
        "/" => Some(page.clone().into_bytes()),
        "/favicon.ico" => Some(Vec::new()),
        _ => None,
    });
}

/// Serves what `file` finds, with more header fields, for as long as the test runs.
fn serve(origin: &str, fields: String, file: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) {
    let address: SocketAddr = origin.trim_start_matches("http://").parse().expect("an address");
    let listener = TcpListener::bind(address).expect("free");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let path = head.split_ascii_whitespace().nth(1).unwrap_or("/");
            let body = file(path);
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let kind = match path.rsplit('.').next() {
                Some("js") => "text/javascript",
                Some("css") => "text/css",
                Some("svg") => "image/svg+xml",
                Some(_) | None => "text/html",
            };
            let body = body.unwrap_or_default();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{fields}\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&body);
        }
    });
}

/// The widget on the shop's page.
struct Widget {
    browser: Browser,
}

impl Widget {
    fn open(net: &Net, product: Product) -> Self {
        let mut browser = Browser::start(net, "shop", product, PAGE_HZ);
        browser.goto(SHOP);
        browser.click("procom-chat >>> .launch");
        let mut widget = Self { browser };
        widget.wait_state("connected");
        widget
    }

    #[track_caller]
    fn wait_state(&mut self, state: &str) {
        self.wait(&format!(".state[data-state={state}]"));
    }

    /// Waits for an element of the shadow tree, whose changes the driver's own wait does not see.
    #[track_caller]
    fn wait(&mut self, selector: &str) {
        let script = format!(
            "document.querySelector('procom-chat').shadowRoot.querySelector('{selector}') !== null"
        );
        wait_until(selector, STEP * 2, || self.browser.evaluate(&script) == true);
    }

    #[track_caller]
    fn write(&mut self, text: &str) {
        self.browser.type_into("procom-chat >>> textarea", text);
        self.browser.press("Enter");
    }

    /// Waits until the log holds exactly one message of that text, of that side, in that state.
    #[track_caller]
    fn wait_said(&mut self, side: &str, text: &str, status: &str) {
        let script = format!(
            "[...document.querySelector('procom-chat').shadowRoot\
             .querySelectorAll('.entry{side}[data-status=\"{status}\"] .bubble')]\
             .filter((bubble) => bubble.lastChild.data === {}).length",
            json!(text)
        );
        wait_until(&format!("{text} is {status}"), STEP, || self.browser.evaluate(&script) == 1);
    }

    #[track_caller]
    fn assert_typing(&mut self, is_on: bool) {
        let script =
            "!document.querySelector('procom-chat').shadowRoot.querySelector('.typing').hidden";
        wait_until("typing is shown or not", STEP, || self.browser.evaluate(script) == is_on);
    }
}

fn there_and_back(net: &Net, product: Product) {
    let scene = scene(net);
    serve_shop(&token(SHOP));
    let mut widget = Widget::open(net, product);
    let mut alice = Client::sign_in(&scene, "alice");
    widget.write("Is the blue one in stock?");
    let message = alice.take_message();
    assert_eq!(
        (&message["body"], &message["verified"]),
        (&json!("Is the blue one in stock?"), &json!(false))
    );
    let guest = message["from"].as_str().expect("an address").to_owned();
    assert!(guest.starts_with("procom:guest."), "{guest}");
    widget.wait_said(".own", "Is the blue one in stock?", "delivered");
    alice.send(&json!({"type": "read", "id": message["id"]}));
    widget.wait_said(".own", "Is the blue one in stock?", "read");
    alice.send(&json!({"type": "composing", "with": guest, "on": true}));
    widget.assert_typing(true);
    for (at, text) in
        ["Yes, two. \u{1F6B2}", "שלום, עולם!", "<b>bold?</b>\n&amp;"].iter().enumerate()
    {
        let id = format!("m{at}");
        alice.write(&id, &guest, text);
        widget.wait_said(":not(.own)", text, "read");
        alice.take_status(&id, "read");
    }
    widget.assert_typing(false);
    widget.browser.type_into("procom-chat >>> textarea", "Let me think");
    let composing = alice.take("composing");
    assert_eq!((&composing["with"], &composing["on"]), (&json!(guest), &json!(true)));
    widget.browser.press("Enter");
    assert_eq!(alice.take_message()["body"], "Let me think");
    widget.browser.assert_accessible("in a conversation");
    widget.browser.screenshot("desktop");
    widget.browser.resize(390, 844);
    widget.browser.screenshot("phone");
    // Closed, a message is counted; opened again by keyboard, it is read.
    widget.browser.click("procom-chat >>> textarea");
    widget.browser.press("Escape");
    widget.browser.wait("procom-chat:not([open])", STEP);
    alice.write("unread", &guest, "Still there?");
    widget.wait(".badge:not([hidden])");
    widget.browser.assert_accessible("with a message that was not looked at");
    widget.browser.press("Enter");
    alice.take_status("unread", "read");
    // The next page of the shop goes on with it.
    widget.browser.goto(SHOP);
    widget.wait_said(".own", "Is the blue one in stock?", "read");
    alice.write("after", &guest, "And now?");
    widget.wait_said(":not(.own)", "And now?", "new");
    assert_eq!(widget.browser.problems(), Vec::<String>::new());
    Page { browser: widget.browser }.assert_frames_valid();
}

#[test]
fn chromium_chats_from_a_strict_page_of_another_origin() {
    interop!(["chromium", "node", "web"], |net| { there_and_back(net, Product::Chromium) });
}

#[test]
fn firefox_chats_from_a_strict_page_of_another_origin() {
    interop!(["firefox-esr", "node", "web"], |net| { there_and_back(net, Product::Firefox) });
}

#[test]
fn a_chat_goes_on_when_the_gateway_was_killed_and_nothing_is_shown_twice() {
    interop!(["chromium", "node", "web"], |net| {
        let mut scene = scene(net);
        serve_shop(&token(SHOP));
        let mut widget = Widget::open(net, Product::Chromium);
        widget.write("before");
        widget.wait_said(".own", "before", "queued");
        scene.gateway.kill();
        widget.wait_state("reconnecting");
        widget.write("meanwhile");
        widget.wait_said(".own", "meanwhile", "sending");
        scene.gateway = Gateway::run(net, &scene.config);
        widget.wait_state("connected");
        let mut alice = Client::sign_in(&scene, "alice");
        let first = alice.take_message();
        assert_eq!(first["body"], "before");
        let second = alice.take_message();
        assert_eq!((&second["body"], &second["from"]), (&json!("meanwhile"), &first["from"]));
        widget.wait_said(".own", "before", "delivered");
        widget.wait_said(".own", "meanwhile", "delivered");
        let guest = first["from"].as_str().expect("an address").to_owned();
        alice.write("answer", &guest, "both are here");
        widget.wait_said(":not(.own)", "both are here", "read");
        while let Some(frame) = alice.receive(Duration::from_secs(2)) {
            assert_ne!(frame["type"], "message", "{frame}");
        }
    });
}

#[test]
fn a_token_of_another_page_is_of_no_use_and_the_person_is_told() {
    interop!(["chromium", "node", "web"], |net| {
        let _scene = scene(net);
        serve_shop(&token("https://another.example"));
        let mut browser = Browser::start(net, "shop", Product::Chromium, PAGE_HZ);
        browser.goto(SHOP);
        browser.click("procom-chat >>> .launch");
        Widget { browser }.wait(".notice:not([hidden])");
    });
}

#[test]
fn the_call_button_opens_the_dialler_with_the_address_ready() {
    interop!(["chromium", "node", "web"], |net| {
        let scene = scene(net);
        serve_shop(&token(SHOP));
        let mut widget = Widget::open(net, Product::Chromium);
        widget.browser.evaluate("void (window.open = (page) => { window.opened = page; })");
        widget.browser.click("procom-chat >>> button.call");
        let opened = widget.browser.evaluate("window.opened");
        // What the button opens, in a page of its own.
        let mut browser = Browser::start(net, "dialler", Product::Chromium, PAGE_HZ);
        browser.goto(opened.as_str().expect("the button opens a page"));
        let mut page = Page { browser };
        page.wait_frame("welcome");
        wait_until("the address is ready", STEP, || {
            page.browser.evaluate("document.getElementById('address').value") == "procom:alice"
        });
        assert_eq!(page.browser.evaluate("location.hash"), "");
        assert_eq!(page.browser.evaluate("document.activeElement.id"), "call");
        let mut alice = Client::sign_in(&scene, "alice");
        page.browser.press("Enter");
        assert_eq!(alice.take("incoming")["to"], "procom:alice");
    });
}

#[test]
fn a_packaged_widget_runs_what_is_inside_it_and_talks_to_the_gateway() {
    interop!(["chromium", "node", "python3", "web"], |net| {
        let scene = scene(net);
        let (file, folder) = (net.path("shop.wgt"), net.folder("widget"));
        let mut widget = command(binary());
        widget.args(["widget", "--gateway", &scene.gateway.url, "--to", "procom:alice", "--name"]);
        widget.arg("Shop & Co.").arg("--out").arg(&file);
        widget.arg("--config").arg(net.path("gateway/gateway.toml"));
        assert!(widget.status().expect("the gateway starts").success());
        let mut unzip = command("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(&file).arg(&folder);
        assert!(unzip.status().expect("python starts").success());
        let config = std::fs::read_to_string(folder.join("config.xml")).expect("a configuration");
        assert!(config.contains("<access origin=\"http://127.0.0.1:8080\"/>"), "{config}");
        serve(RUNTIME, String::new(), move |path| {
            let path = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
            std::fs::read(folder.join(path)).ok()
        });
        let mut browser = Browser::start(net, "runtime", Product::Chromium, PAGE_HZ);
        browser.goto(RUNTIME);
        let mut widget = Widget { browser };
        widget.wait_state("connected");
        let mut alice = Client::sign_in(&scene, "alice");
        widget.write("From a file");
        assert_eq!(alice.take_message()["body"], "From a file");
        widget.wait_said(".own", "From a file", "delivered");
        assert_eq!(widget.browser.problems(), Vec::<String>::new());
    });
}
