//! The keys under `test_keys` were made for these tests and open nothing.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const TOKEN_URL: &str = "https://salus.example/oauth/token";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn key(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::ES384 => EncodingKey::from_ec_pem(include_bytes!("test_keys/es384.pem")),
        _ => EncodingKey::from_rsa_pem(include_bytes!("test_keys/rs384.pem")),
    }
    .unwrap()
}

fn jwk(algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(&key(algorithm), algorithm).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    serde_json::to_value(jwk).unwrap()
}

fn form() -> ClientForm {
    ClientForm {
        name: "Harbour EHR".to_owned(),
        keys: json!({ "keys": [jwk(Algorithm::ES384, "ec"), jwk(Algorithm::RS384, "rsa")] }),
        scopes: vec!["system/Patient.rs".to_owned()],
    }
}

fn client() -> ApiClient {
    ApiClient::register(ApiClientId::from_uuid(kernel::Uuid::from_u128(7)), form(), now()).unwrap()
}

fn claims() -> Value {
    let id = client().id.to_string();
    let exp = now().timestamp() + 240;
    json!({ "iss": id, "sub": id, "aud": TOKEN_URL, "exp": exp, "jti": "one" })
}

fn sign(algorithm: Algorithm, kid: &str, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, &key(algorithm)).unwrap()
}

fn refused(token: &str) -> bool {
    matches!(check_assertion(&client(), token, TOKEN_URL, now()), Err(OAuthError::InvalidClient(_)))
}

#[test]
fn assertions_of_both_algorithms_are_accepted() {
    for (algorithm, kid) in [(Algorithm::ES384, "ec"), (Algorithm::RS384, "rsa")] {
        let token = sign(algorithm, kid, &claims());
        assert_eq!(claimed_client(&token).unwrap(), client().id);
        let assertion = check_assertion(&client(), &token, TOKEN_URL, now()).unwrap();
        assert_eq!(assertion.jti, "one");
        assert_eq!((assertion.expires_at - now()).num_seconds(), 240);
    }
}

#[test]
fn the_times_of_an_assertion_may_have_fractions() {
    let mut claims = claims();
    let seconds = now().timestamp() as f64;
    for (name, value) in [("iat", seconds - 0.25), ("nbf", seconds - 0.5), ("exp", seconds + 60.5)]
    {
        claims[name] = json!(value);
    }
    let token = sign(Algorithm::ES384, "ec", &claims);
    assert_eq!(claimed_client(&token).unwrap(), client().id);
    let assertion = check_assertion(&client(), &token, TOKEN_URL, now()).unwrap();
    assert_eq!((assertion.expires_at - now()).num_milliseconds(), 60_500);
}

#[test]
fn every_wrong_claim_is_refused() {
    let seconds = now().timestamp();
    let other = kernel::Uuid::from_u128(8).to_string();
    for (name, value) in [
        ("iss", json!(other)),
        ("sub", json!(other)),
        ("aud", json!("https://salus.example/fhir")),
        ("exp", json!(seconds)),
        ("exp", json!(seconds + 331)),
        ("nbf", json!(seconds + 31)),
        ("jti", json!("")),
        ("jti", json!("j".repeat(256))),
        ("jti", json!("a\0b")),
        ("exp", json!(1e300)),
        ("exp", json!("soon")),
        ("exp", json!(seconds as f64 + 330.5)),
        ("nbf", json!(seconds as f64 + 30.5)),
        ("nbf", json!(1e300)),
        ("iat", json!(seconds as f64 + 30.5)),
        ("iat", json!("x")),
        ("nbf", json!(i64::MAX)),
        ("jti", Value::Null),
        ("aud", Value::Null),
        ("exp", Value::Null),
    ] {
        let mut claims = claims();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        assert!(refused(&sign(Algorithm::ES384, "ec", &claims)), "{name}: {claims}");
    }
}

#[test]
fn the_key_must_be_registered_under_its_kid_and_algorithm() {
    assert!(refused(&sign(Algorithm::ES384, "unknown", &claims())));
    assert!(refused(&sign(Algorithm::ES384, "rsa", &claims())));
    assert!(refused(&sign(Algorithm::RS256, "rsa", &claims())));
    let token = sign(Algorithm::ES384, "ec", &claims());
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    assert!(refused(&format!("{rest}.{}", URL_SAFE_NO_PAD.encode(bytes))));
    assert!(claimed_client("no.jwt.at-all").is_err());
}

#[test]
fn a_critical_extension_that_is_not_understood_is_refused() {
    let mut header = Header::new(Algorithm::ES384);
    header.kid = Some("ec".to_owned());
    for (crit, accepted) in [(None, true), (Some(vec!["b64".to_owned()]), false)] {
        header.crit = crit;
        let token = jsonwebtoken::encode(&header, &claims(), &key(Algorithm::ES384)).unwrap();
        assert_eq!(refused(&token), !accepted);
    }
}

#[test]
fn a_registration_names_what_is_wrong_with_its_keys_and_scopes() {
    let paths = |form: ClientForm| -> Vec<String> {
        match ApiClient::register(client().id, form, now()) {
            Err(IdentityError::Invalid(errors)) => errors.into_iter().map(|e| e.path).collect(),
            other => panic!("the form is refused: {other:?}"),
        }
    };
    let mut private = jwk(Algorithm::ES384, "ec");
    private["d"] = json!("c2VjcmV0");
    assert_eq!(
        paths(ClientForm { keys: json!({ "keys": [private] }), ..form() }),
        ["jwks.keys[0]"]
    );

    let mut elsewhere = jwk(Algorithm::ES384, "ec");
    elsewhere["y"] = elsewhere["x"].clone();
    assert_eq!(
        paths(ClientForm { keys: json!({ "keys": [elsewhere] }), ..form() }),
        ["jwks.keys[0]"]
    );

    let twice = json!({ "keys": [jwk(Algorithm::ES384, "k"), jwk(Algorithm::RS384, "k")] });
    assert_eq!(paths(ClientForm { keys: twice, ..form() }), ["jwks.keys[1].kid"]);

    let mut short = jwk(Algorithm::RS384, "rsa");
    short["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 128]));
    assert_eq!(paths(ClientForm { keys: json!({ "keys": [short] }), ..form() }), ["jwks.keys[0]"]);

    // Nor a number that is no product of two primes, nor an exponent with which
    // anybody signs.
    let mut hollow = [0xff; 256];
    hollow[0] = 0;
    let mut even = [0xff; 256];
    even[255] = 0xfe;
    for (part, bytes) in [
        ("n", hollow.to_vec()),
        ("n", even.to_vec()),
        ("e", vec![]),
        ("e", vec![1]),
        ("e", vec![2]),
        ("e", vec![3]),
        ("e", vec![1, 0, 0]),
        ("e", vec![0, 0, 0, 1]),
        ("e", vec![1, 0, 0, 0, 1]),
    ] {
        let mut key = jwk(Algorithm::RS384, "rsa");
        key[part] = json!(URL_SAFE_NO_PAD.encode(&bytes));
        let refused = paths(ClientForm { keys: json!({ "keys": [key] }), ..form() });
        assert_eq!(refused, ["jwks.keys[0]"], "{part} {bytes:02x?}");
    }
    let mut longer = jwk(Algorithm::RS384, "rsa");
    longer["e"] = json!(URL_SAFE_NO_PAD.encode([1, 0, 0, 1]));
    let taken = ClientForm { keys: json!({ "keys": [longer] }), ..form() };
    assert!(ApiClient::register(client().id, taken, now()).is_ok());

    assert_eq!(paths(ClientForm { keys: json!({ "keys": [] }), ..form() }), ["jwks.keys"]);
    assert_eq!(paths(ClientForm { keys: json!([]), ..form() }), ["jwks"]);
    let scopes = vec!["system/Patient.rs".to_owned(), "user/Patient.rs".to_owned()];
    assert_eq!(paths(ClientForm { scopes, ..form() }), ["scopes[1]"]);
    assert_eq!(paths(ClientForm { scopes: Vec::new(), ..form() }), ["scopes"]);
}
