//! The gateway against real programs. Each test runs in a network namespace of its own; see
//! `gateway_tests::namespace`.

mod aiortc_calls;
mod attacks;
mod attacks_media;
mod attacks_sip;
mod attacks_ws;
mod calls;
mod certificates;
mod channel;
mod crashes;
mod dialplan;
mod digits;
mod endings;
mod garbage;
mod harness;
mod load;
mod messages_faults;
mod page;
mod pbx;
mod prochat;
mod procom_messages;
mod quality;
mod scene;
mod secrets;
mod sip_messages;
mod sip_messages_attacks;
