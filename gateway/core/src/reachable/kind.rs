//! The kinds of IP addresses (RFC 6890 and the IANA registries of special-purpose addresses), and
//! the IPv4 addresses that IPv6 addresses carry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is, the most harmless kind first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Reached from everywhere. Addresses for documentation (RFC 5737, RFC 3849) count as such.
    Public,
    /// Shared by the customers of one carrier: 100.64.0.0/10 (RFC 6598).
    Shared,
    /// Known inside one organisation only: RFC 1918, RFC 4193, fec0::/10, 192.0.0.0/24 and
    /// 198.18.0.0/15 (RFC 2544), 64:ff9b:1::/48 (RFC 8215).
    Private,
    /// Known on one link only: 169.254.0.0/16 (RFC 3927), fe80::/10.
    LinkLocal,
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// Kept for later, or for what is to be dropped: 240.0.0.0/4, 100::/64 (RFC 6666).
    Reserved,
    /// Everybody on the link: 255.255.255.255.
    Broadcast,
    /// A group: 224.0.0.0/4, ff00::/8.
    Multicast,
    /// Nobody, or "this network": 0.0.0.0/8 (RFC 1122 §3.2.1.3), `::`.
    Unspecified,
}

impl Kind {
    /// The kind of an address. An IPv6 address that carries an IPv4 one is of the stricter kind of
    /// the two.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        faces(ip).into_iter().map(Self::of_face).max().unwrap_or(Self::Unspecified)
    }

    /// Whether nothing of ours may ever go there.
    #[must_use]
    pub const fn is_never(self) -> bool {
        match self {
            Self::Reserved | Self::Broadcast | Self::Multicast | Self::Unspecified => true,
            Self::Public | Self::Shared | Self::Private | Self::LinkLocal | Self::Loopback => false,
        }
    }

    /// Whether the address means something inside one network, link or machine only.
    #[must_use]
    pub const fn is_local(self) -> bool {
        match self {
            Self::Shared | Self::Private | Self::LinkLocal | Self::Loopback => true,
            Self::Public
            | Self::Reserved
            | Self::Broadcast
            | Self::Multicast
            | Self::Unspecified => false,
        }
    }

    /// The word in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Shared => "shared (100.64.0.0/10)",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Reserved => "reserved",
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
        }
    }

    /// The kind of one face, without a look at what it carries.
    pub(super) const fn of_face(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    const fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [0, ..] => Self::Unspecified,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Self::Private,
            [192, 0, 0, _] | [198, 18..=19, ..] => Self::Private,
            [100, 64..=127, ..] => Self::Shared,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [224..=239, ..] => Self::Multicast,
            [255, 255, 255, 255] => Self::Broadcast,
            [240..=255, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }

    const fn of_v6(ip: Ipv6Addr) -> Self {
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Self::Private,
            [0xff00..=0xffff, ..] => Self::Multicast,
            [0x100, 0, 0, 0, ..] => Self::Reserved,
            _ => Self::Public,
        }
    }
}

/// Everything an address may lead to: itself, and the IPv4 addresses it carries.
pub(super) fn faces(ip: IpAddr) -> Vec<IpAddr> {
    match ip {
        IpAddr::V4(_) => vec![ip],
        IpAddr::V6(v6) => {
            let carried = carried(v6).into_iter().map(IpAddr::V4);
            std::iter::once(ip).chain(carried).collect()
        }
    }
}

/// The IPv4 addresses that an IPv6 address carries.
///
/// * ::ffff:0:0/96, mapped (RFC 4291 §2.5.5.2), and ::/96, compatible (§2.5.5.1)
/// * ::ffff:0:0:0/96, translated (RFC 2765 §2.1)
/// * 64:ff9b::/96 and 64:ff9b:1::/48, NAT64 (RFC 6052 §2.2, RFC 8215)
/// * 2002::/16, 6to4 (RFC 3056 §2)
/// * 2001::/32, Teredo: the server, and the client with its bits inverted (RFC 4380 §4)
/// * ISATAP, in the interface identifier of any prefix (RFC 5214 §6.1)
fn carried(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let bytes = ip.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
    let last = at([12, 13, 14, 15]);
    match ip.segments() {
        // They are addresses of IPv6 alone, not of ::/96.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        [0, 0, 0, 0, 0, 0xffff | 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        [0x64, 0xff9b, 1, middle @ .., _, _] => local_nat64(last, middle == [0; 3], at),
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        [0x2001, 0, ..] => {
            let client = Ipv4Addr::from(last.octets().map(|octet| !octet));
            vec![at([4, 5, 6, 7]), client]
        }
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => Vec::new(),
    }
}

/// Under 64:ff9b:1::/48 an operator chooses the length of the prefix (RFC 8215), so the IPv4
/// address may stand in several places (RFC 6052 §2.2). Beside the usual /96, a reading counts only
/// where it is an address that a translator could reach and a stranger should not. `is_plain`: there
/// is nothing between, so that the last four bytes are the address, even where they are zero.
fn local_nat64(
    last: Ipv4Addr,
    is_plain: bool,
    at: impl Fn([usize; 4]) -> Ipv4Addr,
) -> Vec<Ipv4Addr> {
    let others = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12]].map(at);
    let others = others.into_iter().filter(|other| Kind::of_v4(*other).is_local());
    let usual = Some(last).filter(|last| is_plain || last.octets()[0] != 0);
    usual.into_iter().chain(others).collect()
}
