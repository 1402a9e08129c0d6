//! Which of the places that were found may be spoken to: the last look at them before a request
//! leaves (RFC 3263 names them, [`gateway_core::reachable`] decides).

use std::net::IpAddr;

use gateway_core::reachable::{Forbidden, Named, Reachable};

use crate::stack::flow::Target;

/// The places that may be spoken to, in their order.
///
/// # Errors
/// Why none may, where there were some.
pub(crate) fn permitted(
    targets: Vec<Target>,
    judge: impl Fn(&Target) -> Result<(), Forbidden>,
) -> Result<Vec<Target>, Forbidden> {
    let mut refused = None;
    let mut is_allowed = |target: &Target| match judge(target) {
        Ok(()) => true,
        Err(forbidden) => {
            tracing::debug!(%forbidden, "a place is not spoken to");
            refused.get_or_insert(forbidden);
            false
        }
    };
    let allowed: Vec<Target> = targets.into_iter().filter(&mut is_allowed).collect();
    match refused {
        Some(forbidden) if allowed.is_empty() => Err(forbidden),
        Some(_) | None => Ok(allowed),
    }
}

/// So many digits in a user part may be a number.
const FEWEST_DIGITS: usize = 2;

/// Leaves out the places of trunks, where a number is to go directly to them: a provider that knows
/// us by our address would charge it to us. The dialplan refuses such a call; but a name may lead
/// elsewhere when it is looked up again.
pub(crate) fn beside_trunks(
    user: Option<&str>,
    targets: Vec<Target>,
    is_at_trunk: impl Fn(IpAddr) -> bool,
) -> Vec<Target> {
    let digits = user.unwrap_or_default().chars().filter(|letter| letter.is_numeric()).count();
    let is_elsewhere = |target: &Target| digits < FEWEST_DIGITS || !is_at_trunk(target.remote.ip());
    targets.into_iter().filter(is_elsewhere).collect()
}

/// Whether a place may be called: the name that led there says who named it. A place without a
/// name is where a phone was seen. What a trunk of the configuration led to was named by it.
pub(crate) fn judge(
    reach: &Reachable,
    target: &Target,
    is_of_trunk: bool,
) -> Result<(), Forbidden> {
    let remote = target.remote;
    if is_of_trunk {
        return reach.judge(remote, Named::Configuration);
    }
    match &target.server_name {
        // Which port was asked for is judged where the name is looked up.
        Some(host) => reach.judge_found(host, None, remote),
        None => reach.judge(remote, Named::Peer { from: remote.ip() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::flow::Transport;

    #[test]
    fn a_number_does_not_go_directly_to_the_server_of_a_trunk() {
        let place = |text: &str| Target::new(Transport::Udp, text.parse().unwrap());
        let found = vec![place("192.0.2.9:5060"), place("192.0.2.10:5060")];
        let is_at_trunk = |ip: IpAddr| ip == IpAddr::from([192, 0, 2, 9]);
        for (user, left) in [
            (Some("+4590112233"), 1),
            (Some("112"), 1),
            (Some("\u{ff11}\u{ff11}\u{ff12}"), 1),
            (Some("bob"), 2),
            (None, 2),
        ] {
            assert_eq!(beside_trunks(user, found.clone(), is_at_trunk).len(), left, "{user:?}");
        }
        assert_eq!(beside_trunks(Some("112"), found, |_| true), []);
    }
}
