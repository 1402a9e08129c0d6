//! The accounts that may sign in with a password, and how it is verified (argon2id, RFC 9106).
//!
//! An unknown name costs the same work as a known one (security row 10): its password is compared
//! with a hash nobody knows the password of.

use std::collections::BTreeMap;

use argon2::password_hash::{Output, PasswordHash, PasswordHasher, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use gateway_core::AccountId;
use ring::rand::{SecureRandom, SystemRandom};

use crate::secret::Secret;

/// Longest name of an account, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// What the names of guests begin with, so that no account may look like one.
pub(crate) const GUEST_PREFIX: &str = "guest.";
/// Longest password that is looked at, in bytes.
const MAX_PASSWORD_BYTES: usize = 1024;
/// The most memory one verification may take, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// An account as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcomAccount {
    /// Its name, which makes its address `procom:name`.
    pub name: String,
    /// The name people are shown.
    pub display: Option<String>,
    /// The hash of its password, as `procom-gateway passwd` makes it (a PHC string). Without one
    /// nobody signs in by password.
    pub password_hash: Option<Secret>,
}

/// An account of the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account {name}: {why}")]
pub struct AccountFault {
    /// The account.
    pub name: String,
    /// What is wrong with it, in a sentence for a person.
    pub why: &'static str,
}

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) account: AccountId,
    pub(crate) display: Option<String>,
}

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    account_of_name: BTreeMap<String, ProcomAccount>,
    /// What the passwords of unknown names are compared with.
    decoy: Secret,
}

impl Accounts {
    /// Checks the accounts of the configuration. Makes one hash, which takes some tens of
    /// milliseconds.
    ///
    /// # Errors
    /// A name or hash cannot be used, or a name stands there twice.
    pub fn new(accounts: Vec<ProcomAccount>) -> Result<Self, AccountFault> {
        let mut params = None;
        let mut account_of_name = BTreeMap::new();
        for account in accounts {
            let fault = |why| AccountFault { name: account.name.clone(), why };
            check_name(&account.name).map_err(fault)?;
            if let Some(hash) = &account.password_hash {
                let own = check_hash(hash).map_err(fault)?;
                params.get_or_insert(own);
            }
            if let Some(twice) = account_of_name.insert(account.name.clone(), account) {
                return Err(AccountFault { name: twice.name, why: "the name stands there twice" });
            }
        }
        let decoy = Secret::from(hash_with(params.unwrap_or_default(), &random_text()));
        Ok(Self { account_of_name, decoy })
    }

    /// The memory that verifying takes, used over and over.
    pub(crate) fn memory(&self) -> Vec<Block> {
        let own = self.account_of_name.values().filter_map(|own| own.password_hash.as_ref());
        let costs = own.chain([&self.decoy]).map(|hash| cost(&parse(hash)).block_count());
        vec![Block::new(); costs.max().unwrap_or_default()]
    }

    /// Whether the password is that of the account. Takes some tens of milliseconds of one core: not
    /// for an async thread.
    pub(crate) fn verify(
        &self,
        name: &str,
        password: &Secret,
        memory: &mut [Block],
    ) -> Option<Verified> {
        let account = self.account_of_name.get(name);
        let own = account.and_then(|account| account.password_hash.as_ref());
        let hash = parse(own.unwrap_or(&self.decoy));
        let password = password.reveal().as_bytes();
        let is_short = password.len() <= MAX_PASSWORD_BYTES;
        let password = if is_short { password } else { b"" };
        let is_right = is_right(password, &hash, memory);
        let account = account.filter(|_| is_right && is_short && own.is_some())?;
        let display = account.display.clone();
        Some(Verified { account: account.name.as_str().into(), display })
    }
}

fn parse(hash: &Secret) -> PasswordHash<'_> {
    PasswordHash::new(hash.reveal()).expect("hashes are checked when accounts are read")
}

fn cost(hash: &PasswordHash<'_>) -> Params {
    Params::try_from(hash).expect("hashes are checked when accounts are read")
}

/// Does the work and compares in constant time, as `Output` does.
fn is_right(password: &[u8], hash: &PasswordHash<'_>, memory: &mut [Block]) -> bool {
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
        return false;
    };
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
    let (Ok(algorithm), Ok(version)) = (Algorithm::try_from(hash.algorithm), version) else {
        return false;
    };
    let params = cost(hash);
    let mut bytes = [0; Salt::MAX_LENGTH];
    let Ok(salt) = salt.decode_b64(&mut bytes) else {
        return false;
    };
    let Some(memory) = memory.get_mut(..params.block_count()) else {
        return false;
    };
    let output = Output::init_with(expected.len(), |out| {
        let hasher = Argon2::new(algorithm, version, params);
        Ok(hasher.hash_password_into_with_memory(password, salt, out, memory)?)
    });
    output.is_ok_and(|output| output == expected)
}

/// Hashes a password for the configuration: a PHC string of argon2id with a salt of its own.
#[must_use]
pub fn hash_password(password: &str) -> String {
    hash_with(Params::default(), password)
}

fn hash_with(params: Params, password: &str) -> String {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).expect("the system has random numbers");
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a valid salt");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .expect("the parameters were checked")
        .to_string()
}

/// A hash that costs next to nothing to verify.
#[cfg(test)]
pub(crate) fn cheap_hash(password: &str) -> String {
    hash_with(Params::new(64, 1, 1, None).expect("valid parameters"), password)
}

fn random_text() -> String {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    crate::fresh::hex(&bytes)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let is_fine = |letter: char| letter.is_alphanumeric() || "-_.+@".contains(letter);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_fine) {
        return Err("a name has 1 to 64 bytes: letters, digits and -_.+@");
    }
    if name.starts_with(GUEST_PREFIX) {
        return Err("names that begin with `guest.` are kept for guests");
    }
    Ok(())
}

/// Returns what the hash costs.
fn check_hash(hash: &Secret) -> Result<Params, &'static str> {
    let hash = PasswordHash::new(hash.reveal())
        .map_err(|_| "the password hash is none that `procom-gateway passwd` makes")?;
    if Algorithm::try_from(hash.algorithm).is_err() || hash.hash.is_none() {
        return Err("the password hash is not one of argon2");
    }
    let params = Params::try_from(&hash).map_err(|_| "the password hash has bad parameters")?;
    if params.m_cost() > MAX_MEMORY_KIB {
        return Err("the password hash takes more than 256 MiB to verify");
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, password: Option<&str>) -> ProcomAccount {
        ProcomAccount {
            name: name.to_owned(),
            display: None,
            password_hash: password.map(|password| Secret::from(hash_password(password))),
        }
    }

    #[test]
    fn only_the_right_password_of_a_known_account_is_accepted() {
        let accounts =
            Accounts::new(vec![account("alice", Some("secret")), account("bob", None)]).unwrap();
        let is_accepted = |name: &str, password: &str| {
            accounts.verify(name, &Secret::from(password), &mut accounts.memory()).is_some()
        };
        assert!(is_accepted("alice", "secret"));
        assert!(!is_accepted("alice", "Secret"));
        assert!(!is_accepted("alice", ""));
        assert!(!is_accepted("alice", &"x".repeat(2000)));
        assert!(!is_accepted("bob", ""));
        assert!(!is_accepted("carol", "secret"));
    }

    #[test]
    fn an_unknown_name_costs_the_same_work_as_a_known_one() {
        let cheap = Params::new(64, 3, 2, None).unwrap();
        let hash = Secret::from(hash_with(cheap, "secret"));
        let accounts = Accounts::new(vec![ProcomAccount {
            password_hash: Some(hash),
            ..account("alice", None)
        }])
        .unwrap();
        let decoy = PasswordHash::new(accounts.decoy.reveal()).unwrap();
        let params = Params::try_from(&decoy).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (64, 3, 2));
    }

    #[test]
    fn unusable_accounts_are_named() {
        let fault = |accounts| Accounts::new(accounts).unwrap_err().to_string();
        assert!(fault(vec![account("a b", None)]).starts_with("account a b:"));
        assert!(fault(vec![account("guest.1", None)]).contains("kept for guests"));
        assert!(fault(vec![account("a", None), account("a", None)]).contains("twice"));
        let broken = ProcomAccount { password_hash: Some(Secret::from("x")), ..account("a", None) };
        assert!(fault(vec![broken]).contains("passwd"));
    }
}
