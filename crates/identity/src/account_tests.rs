use std::sync::atomic::{AtomicU8, Ordering};

use ports::{BlindIndex, Sealed};
use sha2::{Digest as _, Sha256};

use super::*;

/// Ids that count, so that each nonce is another.
struct CountingIds(AtomicU8);

impl Ids for CountingIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    fn secret(&self) -> [u8; 32] {
        [self.0.fetch_add(1, Ordering::Relaxed); 32]
    }
}

/// A keyed digest is all that these tests need of a sealer.
struct DigestSealer;

impl Sealer for DigestSealer {
    fn seal(&self, _: &str, plain: &[u8]) -> ports::Result<Sealed> {
        Ok(Sealed(plain.to_vec()))
    }

    fn open(&self, _: &str, sealed: &Sealed) -> ports::Result<Vec<u8>> {
        Ok(sealed.0.clone())
    }

    fn blind_index(&self, purpose: &str, value: &str) -> ports::Result<BlindIndex> {
        Ok(BlindIndex(Sha256::digest(format!("test key|{purpose}|{value}")).into()))
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

fn ids() -> CountingIds {
    CountingIds(AtomicU8::new(7))
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

fn patient(ids: &CountingIds) -> Account {
    let email = "ada@example.com".parse().unwrap();
    Account::register(AccountId::from_uuid(ids.uuid()), email, hash("first"), ids, at(0))
}

fn link(account: &Account, purpose: ChallengePurpose, seconds: i64) -> Option<LinkToken> {
    let text = account.link_token(purpose, &DigestSealer, at(seconds)).unwrap()?;
    Some(LinkToken::parse(&text).unwrap_or_else(|_| panic!("a link that was made parses")))
}

#[test]
fn a_registered_address_is_proven_once_by_its_link() {
    let ids = ids();
    let account = patient(&ids);
    assert!(matches!(account.admit(), Err(IdentityError::EmailNotVerified)));

    let link = link(&account, ChallengePurpose::VerifyEmail, 5).unwrap();
    let account = account.verify_email(&link, &DigestSealer, at(10)).unwrap();
    assert_eq!(account.state, AccountState::Active { verified_at: at(10) });
    account.admit().unwrap();
    // The link says so again, and proves no other address.
    let again = account.clone().verify_email(&link, &DigestSealer, at(11)).unwrap();
    assert_eq!(again, account);
    let moved = Account { email: "other@example.com".parse().unwrap(), ..account };
    let refused = moved.verify_email(&link, &DigestSealer, at(12));
    assert!(matches!(refused, Err(IdentityError::InvalidLink)));
}

#[test]
fn a_link_expires_and_serves_no_other_account_address_or_purpose() {
    let ids = ids();
    let account = patient(&ids);
    let link = link(&account, ChallengePurpose::VerifyEmail, 5).unwrap();
    let day = 24 * 3600;
    let sealer = &DigestSealer;
    assert!(account.clone().verify_email(&link, sealer, at(day)).is_err());
    assert_eq!(account.link_token(ChallengePurpose::VerifyEmail, sealer, at(day)).unwrap(), None);

    let moved = Account { email: "other@example.com".parse().unwrap(), ..account.clone() };
    assert!(moved.verify_email(&link, sealer, at(6)).is_err());
    let other = Account { id: AccountId::from_uuid(Uuid::from_u128(99)), ..account.clone() };
    assert!(other.verify_email(&link, sealer, at(6)).is_err());
    let account = account.request_reset(&ids, at(1)).unwrap();
    assert!(account.may_reset(&link, sealer, at(6)).is_err());
}

#[test]
fn mails_to_one_address_keep_a_minute_apart() {
    let ids = ids();
    let account = patient(&ids);
    assert_eq!(account.clone().request_verification(&ids, at(59)), None);
    assert!(account.request_verification(&ids, at(60)).is_some());
}

#[test]
fn an_earlier_link_stays_good_beside_a_later_one_until_one_is_used() {
    let ids = ids();
    let account = patient(&ids);
    let early = link(&account, ChallengePurpose::VerifyEmail, 5).unwrap();
    let account = account.request_verification(&ids, at(60)).unwrap();
    let late = link(&account, ChallengePurpose::VerifyEmail, 61).unwrap();
    for link in [&early, &late] {
        assert!(account.clone().verify_email(link, &DigestSealer, at(62)).is_ok());
    }
    let account = account.verify_email(&late, &DigestSealer, at(62)).unwrap();
    // Followed again, either says that the address is verified.
    for link in [&early, &late] {
        let again = account.clone().verify_email(link, &DigestSealer, at(90_000)).unwrap();
        assert_eq!(again, account);
    }
    assert_eq!(account.request_verification(&ids, at(600)), None);
}

#[test]
fn after_a_link_has_expired_the_next_one_is_another() {
    let ids = ids();
    let account = patient(&ids).request_reset(&ids, at(0)).unwrap();
    let old = link(&account, ChallengePurpose::ResetPassword, 1).unwrap();
    let account = account.request_reset(&ids, at(3600)).unwrap();
    assert!(account.may_reset(&old, &DigestSealer, at(3601)).is_err());
}

#[test]
fn an_invited_member_of_the_staff_chooses_a_password_and_is_active() {
    let ids = ids();
    let name = HumanName::parse("Grace", "Lindqvist").unwrap();
    let account = Account::invite(
        AccountId::from_uuid(ids.uuid()),
        "grace@example.com".parse().unwrap(),
        name,
        BTreeSet::from([Role::Pharmacist]),
        &ids,
        at(0),
    )
    .unwrap();
    let link = link(&account, ChallengePurpose::ResetPassword, 3600 * 70).unwrap();
    let now = at(3600 * 70);
    let account = account.reset_password(&link, hash("second"), &DigestSealer, now).unwrap();
    assert_eq!(account.password, Some(hash("second")));
    account.admit().unwrap();
    assert!(account.may_reset(&link, &DigestSealer, now).is_err(), "a link works once");
}

#[test]
fn patients_take_no_staff_roles_and_staff_none_of_a_patient() {
    let ids = ids();
    assert!(patient(&ids).change_roles(BTreeSet::from([Role::Admin])).is_err());
    let staff = Account { roles: BTreeSet::from([Role::Support]), ..patient(&ids) };
    assert!(staff.clone().change_roles(BTreeSet::from([Role::Patient])).is_err());
    assert!(staff.clone().change_roles(BTreeSet::new()).is_err());
    let (staff, change) = staff.change_roles(BTreeSet::from([Role::Auditor])).unwrap();
    assert_eq!(change.old, BTreeSet::from([Role::Support]));
    assert_eq!(change.new, staff.roles);
}

#[test]
fn a_mangled_link_is_refused() {
    for bad in ["", "not base64!", "AAAA", &"A".repeat(63), &"A".repeat(65)] {
        assert!(matches!(LinkToken::parse(bad), Err(IdentityError::InvalidLink)), "{bad}");
    }
}
