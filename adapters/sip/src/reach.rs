//! Which of the places that were found may be spoken to: the last look at them before a request
//! leaves (RFC 3263 names them, [`gateway_core::reachable`] decides).

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
        Some(host) => reach.judge_found(host, remote),
        None => reach.judge(remote, Named::Peer { from: remote.ip() }),
    }
}
