//! The gateway's binary as a library, so that tests can start it: configuration, switchboard,
//! supervisor, store, and the operator's listener.

pub mod admin;
pub mod config;
pub mod contacts;
pub mod control;
pub mod demo;
pub mod explain;
pub mod house;
pub mod planning;
pub mod resolver;
pub mod secrets;
pub mod store;
pub mod supervisor;
pub mod switchboard;
pub mod widget;
