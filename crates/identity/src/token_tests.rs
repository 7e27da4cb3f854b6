use chrono::TimeDelta;

use super::*;

/// Keys in memory, the first of them current.
struct Ring(Vec<Arc<SigningKey>>);

impl SigningKeys for Ring {
    fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&self.0[0])
    }

    fn all(&self) -> Vec<Arc<SigningKey>> {
        self.0.clone()
    }
}

fn key(seed: u8) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_seed(&[seed; 32]))
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn bearer() -> Bearer {
    Bearer::Account {
        account: AccountId::from_uuid(Uuid::from_u128(1)),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
        roles: vec![Role::Patient],
    }
}

fn policy() -> Policy {
    Policy::new("https://salus.example")
}

fn signed(ring: &Ring) -> String {
    issue(ring, &policy(), bearer(), Uuid::from_u128(3), now()).unwrap().0
}

#[test]
fn a_token_comes_back_as_whom_it_was_issued_for() {
    let ring = Ring(vec![key(1)]);
    assert_eq!(verify(&ring, &policy(), &signed(&ring), now()).unwrap(), bearer());
    let client = Bearer::Client {
        generation: 3,
        client: ApiClientId::from_uuid(Uuid::from_u128(9)),
        scopes: vec!["system/Patient.rs".to_owned(), "system/Encounter.rs".to_owned()],
    };
    let (token, _) = issue(&ring, &policy(), client.clone(), Uuid::from_u128(3), now()).unwrap();
    assert_eq!(verify(&ring, &policy(), &token, now()).unwrap(), client);
}

#[test]
fn a_token_is_good_for_fifteen_minutes_by_our_clock() {
    let ring = Ring(vec![key(1)]);
    let token = signed(&ring);
    let last = now() + TimeDelta::seconds(15 * 60 - 1);
    assert!(verify(&ring, &policy(), &token, last).is_ok());
    assert!(verify(&ring, &policy(), &token, last + TimeDelta::seconds(1)).is_err());
}

#[test]
fn a_retired_key_still_verifies_and_a_foreign_one_never() {
    let token = signed(&Ring(vec![key(1)]));
    assert!(verify(&Ring(vec![key(2), key(1)]), &policy(), &token, now()).is_ok());
    assert!(verify(&Ring(vec![key(2)]), &policy(), &token, now()).is_err());
}

#[test]
fn other_installations_other_types_and_changed_tokens_are_refused() {
    let ring = Ring(vec![key(1)]);
    let token = signed(&ring);
    assert!(verify(&ring, &Policy::new("https://other.example"), &token, now()).is_err());

    let (head, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    let forged = URL_SAFE_NO_PAD.encode(claims.replace("patient", "admin"));
    assert_ne!(forged, body);
    assert!(verify(&ring, &policy(), &format!("{head}.{forged}.{signature}"), now()).is_err());

    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    assert!(verify(&ring, &policy(), &format!("{unsigned}.{body}."), now()).is_err());

    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key(1).kid.clone());
    let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
    let plain = jsonwebtoken::encode(&header, &claims, &key(1).encoding).unwrap();
    assert!(verify(&ring, &policy(), &plain, now()).is_err(), "a JWT that is no access token");
}

#[test]
fn the_name_of_a_key_is_its_thumbprint() {
    // The key and the thumbprint of RFC 8037, appendix A.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let key = SigningKey::from_seed(&seed.try_into().unwrap());
    assert_eq!(key.public_jwk().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
