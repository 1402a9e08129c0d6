//! The names that the machine itself knows, of hosts(5): they are not asked for in the DNS. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::lookup::{Answer, Kind, Proof, Question, Record};

/// How long an answer of the file stays good, in seconds.
const TTL_S: u32 = 60;
/// Most names.
const MAX_NAMES: usize = 10_000;

/// Names with their addresses.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    addresses_of_name: BTreeMap<String, Vec<IpAddr>>,
}

impl Hosts {
    /// Reads hosts(5); what cannot be read is passed over, as the system does.
    pub(super) fn read(file: &str) -> Self {
        let mut hosts = Self::default();
        for line in file.lines() {
            let mut words = line.split('#').next().unwrap_or("").split_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let is_known = hosts.addresses_of_name.contains_key(&name);
                if is_known || hosts.addresses_of_name.len() < MAX_NAMES {
                    hosts.addresses_of_name.entry(name).or_default().push(ip);
                }
            }
        }
        hosts
    }

    /// What the file says, where it knows the name. It knows of no services: for those the name
    /// itself stands (RFC 3263 §4.2).
    pub(super) fn answer(&self, question: &Question) -> Option<Answer> {
        let host = match question.kind {
            Kind::A | Kind::Aaaa | Kind::Naptr => question.name.as_str(),
            Kind::Srv => question.name.splitn(3, '.').nth(2)?,
        };
        let ips = self.addresses_of_name.get(host)?;
        let records: Vec<Record> = ips
            .iter()
            .filter_map(|ip| match (ip, question.kind) {
                (IpAddr::V4(ip), Kind::A) => Some(Record::A(*ip)),
                (IpAddr::V6(ip), Kind::Aaaa) => Some(Record::Aaaa(*ip)),
                (IpAddr::V4(_) | IpAddr::V6(_), Kind::A | Kind::Aaaa | Kind::Naptr | Kind::Srv) => {
                    None
                }
            })
            .collect();
        let (ttl_s, proof, is_stale) = (TTL_S, Proof::Secure, false);
        Some(if records.is_empty() {
            Answer::Nothing { ttl_s, proof, is_stale }
        } else {
            Answer::Found { records, ttl_s, proof, is_stale }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_not_asked_for_in_the_dns() {
        let hosts = Hosts::read(
            "# comment\n127.0.0.1 localhost\n::1 LOCALHOST.\n192.0.2.7 pbx pbx.home # the PBX\nnonsense here\n",
        );
        let ask = |name: &str, kind| hosts.answer(&Question { name: name.into(), kind });
        let found = |name: &str, kind| match ask(name, kind) {
            Some(Answer::Found { records, .. }) => records.iter().map(Record::to_string).collect(),
            Some(Answer::Nothing { .. }) => "nothing".to_owned(),
            Some(Answer::Failed(_)) | None => "not known".to_owned(),
        };
        assert_eq!(found("localhost", Kind::A), "127.0.0.1");
        assert_eq!(found("localhost", Kind::Aaaa), "::1");
        assert_eq!(found("pbx.home", Kind::A), "192.0.2.7");
        assert_eq!(found("pbx.home", Kind::Aaaa), "nothing");
        assert_eq!(found("_sip._udp.pbx.home", Kind::Srv), "nothing");
        assert_eq!(found("pbx", Kind::Naptr), "nothing");
        assert_eq!(found("other.test", Kind::A), "not known");
        assert_eq!(found("_sip._udp.other.test", Kind::Srv), "not known");
    }
}
