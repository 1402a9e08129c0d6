//! The file of Prochat as a W3C widget, with a guest's token of its own inside.
#![expect(clippy::disallowed_methods, reason = "a shell: it reads the clock")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_procom::widget::{self, WidgetSettings};
use gateway_procom::{Bearer, Token, Tokens};

use crate::config::Config;

/// What the widget is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The gateway's web address.
    pub gateway: String,
    /// To whom it writes: the only address its token reaches.
    pub to: String,
    /// The name shown to the person.
    pub name: String,
    /// How long its token lives, in days.
    pub days: u32,
}

/// Makes the file.
///
/// # Errors
/// In a sentence for the operator: there is no key that outlives a restart, or no such gateway.
pub fn package(order: Order, config: &Config) -> Result<Vec<u8>, String> {
    let Some(key) = &config.procom.token_key else {
        return Err("procom.token_key: without one a token ends with the gateway".to_owned());
    };
    let tokens = Tokens::new(key).map_err(|why| why.to_string())?;
    let life = Duration::from_secs(u64::from(order.days) * 24 * 3600);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|why| why.to_string())?;
    let token = tokens.sign(&Token {
        bearer: Bearer::Guest { display: None, only: vec![order.to.clone()] },
        expires_unix_s: (since + life).as_secs(),
        origin: None,
    });
    let Order { gateway, to, name, days: _ } = order;
    widget::package(&WidgetSettings { gateway, to, token, name }).map_err(|why| why.to_string())
}
