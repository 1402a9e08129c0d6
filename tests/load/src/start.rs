//! How long the gateway takes to start with many conversations in its store.

#![expect(clippy::print_stdout, reason = "a command line talks on standard output")]

use std::path::Path;

use clap::Args;
use rusqlite::{Connection, params};

use crate::gateway::{Gateway, folder};
use crate::{machine, network};

/// What the store holds.
#[derive(Args)]
pub(crate) struct Store {
    /// Conversations, each of one message that waits for an account.
    #[arg(long, default_value_t = 1_000_000)]
    conversations: u32,
    /// Accounts they wait for.
    #[arg(long, default_value_t = 10_000)]
    accounts: u32,
}

/// Fills a store and starts the gateway with it, three times.
pub(crate) fn run(store: &Store) -> Result<(), String> {
    network::enter_private().map_err(|why| format!("no private network: {why}"))?;
    let folder = folder("start")?;
    let config = config(&folder);
    let empty = Gateway::start(&folder, &config)?.started_in;
    fill(&folder.join("state/gateway.db"), store).map_err(|why| why.to_string())?;
    println!("with an empty store: {:.0} ms, {}", empty.as_secs_f64() * 1e3, machine::load());
    for _ in 0..3 {
        let full = Gateway::start(&folder, &config)?.started_in;
        let ms = full.as_secs_f64() * 1e3;
        println!("with {} conversations: {ms:.0} ms", store.conversations);
    }
    Ok(())
}

fn config(folder: &Path) -> String {
    format!(
        "[gateway]\nstate_dir = \"{}\"\nlog = \"warn\"\n\
         [procom]\nlisten = \"127.0.0.1:8080\"\nplain = true\n\
         [admin]\nlisten = \"127.0.0.1:8081\"\ntoken = \"load\"\n\
         [media]\nbind = [\"127.0.0.1\"]\nallow_loopback = true\n",
        folder.join("state").display()
    )
}

fn fill(path: &Path, store: &Store) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let transaction = connection.transaction()?;
    {
        let mut message = transaction.prepare(
            "INSERT INTO message (id, key, trunk, account, asserted, is_verified, sender_id, \
             recipient, content, body, at_ms, require, may_fall_back, wants_receipts, \
             conversation, dies_ms, status, told, is_over) \
             VALUES (?1, ?1, 'procom', ?2, ?3, 1, ?4, ?5, 'text/plain', ?6, 0, 0, 0, 1, ?7, \
             9000000000000, 0, 0, 0)",
        )?;
        let mut hop = transaction.prepare(
            "INSERT INTO hop (id, message, grp, trunk, recipient, account, attempt, due_ms) \
             VALUES (?1, ?1, 0, 'procom', ?2, ?3, 0, 0)",
        )?;
        let body = "What a message says on average is not long, but this is.".repeat(2);
        for number in 1..=store.conversations {
            let mut id = [0_u8; 16];
            id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
            id[4..8].copy_from_slice(&number.to_be_bytes());
            let from = format!("writer{number}");
            let to = format!("reader{}", number % store.accounts);
            let (asserted, recipient) = (format!("procom:{from}"), format!("procom:{to}"));
            let conversation = format!("{recipient} {asserted}");
            let sender_id = number.to_string();
            message.execute(params![
                id,
                from,
                asserted,
                sender_id,
                recipient,
                body,
                conversation
            ])?;
            hop.execute(params![number, recipient, to])?;
        }
    }
    transaction.commit()
}
