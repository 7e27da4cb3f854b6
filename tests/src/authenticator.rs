//! A passkey in software: what a browser and an authenticator do together, from
//! the public description of WebAuthn Level 2 and with none of the server's
//! types.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use totp_rs::{Builder, Secret};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED_CREDENTIAL: u8 = 0x40;

pub struct Authenticator {
    key: SigningKey,
    credential: Vec<u8>,
    origin: String,
    /// How often it has signed; a copy falls behind.
    pub count: u32,
    /// Whether it asks its user for a finger or a PIN.
    pub verifies: bool,
    /// Whether its key may be synchronized, and is.
    pub synchronized: bool,
    user: Option<String>,
}

impl Authenticator {
    /// One that visits the front end at an origin. The seed tells it from others.
    pub fn new(origin: &str, seed: u8) -> Self {
        let key = SigningKey::from_slice(&[seed; 32]).expect("a key");
        let credential = vec![seed; 16];
        let (origin, user) = (origin.to_owned(), None);
        let synchronized = false;
        Self { key, credential, origin, count: 0, verifies: true, synchronized, user }
    }

    /// Pretends to be another one, without its key.
    pub fn impersonate(&mut self, other: &Self) {
        self.credential.clone_from(&other.credential);
        self.user.clone_from(&other.user);
        self.count = other.count + 1;
    }

    fn rp_hash(&self) -> [u8; 32] {
        let host = self.origin.split("://").nth(1).expect("a host");
        Sha256::digest(host.split(':').next().expect("a host").as_bytes()).into()
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let challenge = challenge.as_str().expect("a challenge");
        json!({
            "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false,
        })
        .to_string()
        .into_bytes()
    }

    fn authenticator_data(&mut self, flags: u8) -> Vec<u8> {
        self.count += 1;
        let verified = if self.verifies { USER_VERIFIED } else { 0 };
        let mut data = self.rp_hash().to_vec();
        let backup = if self.synchronized { BACKUP_ELIGIBLE | BACKED_UP } else { 0 };
        data.push(flags | USER_PRESENT | verified | backup);
        data.extend(self.count.to_be_bytes());
        data
    }

    /// Answers the options of `navigator.credentials.create`.
    pub fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        self.user = options["user"]["id"].as_str().map(str::to_owned);
        let mut data = self.authenticator_data(ATTESTED_CREDENTIAL);
        data.extend([0; 16]);
        data.extend((self.credential.len() as u16).to_be_bytes());
        data.extend(&self.credential);
        data.extend(self.cose_key());

        // {"fmt": "none", "attStmt": {}, "authData": data} in CBOR.
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).expect("a short text"));
        attestation.extend(data);
        let client_data = self.client_data("webauthn.create", &options["challenge"]);
        self.credential_json(json!({
            "attestationObject": URL_SAFE_NO_PAD.encode(attestation),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
        }))
    }

    /// Answers the options of `navigator.credentials.get`.
    pub fn get(&mut self, options: &Value) -> Value {
        let data = self.authenticator_data(0);
        let client_data = self.client_data("webauthn.get", &options["publicKey"]["challenge"]);
        let signed = [data.as_slice(), &Sha256::digest(&client_data)].concat();
        let signature: Signature = self.key.sign(&signed);
        self.credential_json(json!({
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "signature": URL_SAFE_NO_PAD.encode(signature.to_der().as_bytes()),
            "userHandle": self.user,
        }))
    }

    fn credential_json(&self, response: Value) -> Value {
        let id = URL_SAFE_NO_PAD.encode(&self.credential);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response })
    }

    /// The public key as COSE has it: kind EC2, algorithm ES256, curve P-256.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let (x, y) = (point.x().expect("x"), point.y().expect("y"));
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(x);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(y);
        key
    }
}

/// The code that an authenticator app shows for a secret in Base32.
pub fn totp_code(secret: &str, at: DateTime<Utc>) -> String {
    let secret = Secret::try_from_base32(secret).expect("Base32");
    let app = Builder::new().with_secret(secret).build().expect("an app");
    app.generate(at.timestamp().try_into().expect("a time")).to_string()
}
