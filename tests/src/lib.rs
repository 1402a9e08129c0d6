//! What the tests of the whole gateway stand on: real programs, started headless, listened to, and
//! judged by what they heard and by what the wire carried.
//!
//! ```text
//!  #[test] fn --interop!--> itself again, in a network namespace of its own (only `lo`, fixed ports)
//!                             |
//!      +-----------+----------+---------+-------------+--------------+
//!      v           v                    v             v              v
//!   Gateway   Baresip Linphone       Browser       Kamailio       Capture (dumpcap)
//!   (binary)  Pjsua   Aiortc Sipp    (puppeteer)      |              |
//!      |           |                    |             |              |
//!   Metrics     WAV files -> audio::Recording         |        wire::Wire -> streams
//! ```
//!
//! A test fails by panicking; every helper here says in its panic which program did what, and the
//! logs of all programs stay under `target/tmp/interop/TEST/`. A missing program is a printed skip
//! on a laptop and a failure where `PROCOM_REQUIRE_PEERS=1`.

pub mod aiortc;
pub mod audio;
pub mod baresip;
pub mod browser;
pub mod capture;
pub mod certificates;
pub mod config;
pub mod gateway;
pub mod impair;
pub mod kamailio;
pub mod knot;
pub mod linphone;
pub mod metrics;
pub mod namespace;
pub mod noise;
pub mod pcap;
pub mod phone;
pub mod pjsua;
pub mod process;
pub mod script;
pub mod sip_caller;
pub mod sip_client;
pub mod sip_messenger;
pub mod sipp;
pub mod tone;
pub mod wav;
pub mod wire;
pub mod ws_client;
